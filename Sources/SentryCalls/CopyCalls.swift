import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryPipes
import SentrySignals
import SentryTasks
import SentryWait

/// Bytes from file to file: sendfile(2) and copy_file_range(2).
enum CopyCalls {
  static let rows: [CallRow] = [
    CallRow(40, "sendfile", .part("from a pipe or a standard stream: EINVAL"), blocksOn: "file") {
      (call, task) throws(Errno) in try send(call, task)
    },
    CallRow(326, "copy_file_range", .part("from or to a standard stream: EXDEV")) { (call, task) throws(Errno) in
      try copy(call, task)
    },
  ]
  private static var piece: Int { 65536 }
  /// Linux: MAX_RW_COUNT.
  private static var most: UInt64 { 0x7fff_f000 }

  private static func offset(_ address: GuestAddress, _ task: Task) throws(Errno) -> Int64? {
    if address.isNull { return nil }
    let offset = try task.memory.load(address, as: Int64.self)
    guard offset >= 0 else { throw .invalid }
    return offset
  }

  private static func send(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let input = try task.descriptors.file(call.arguments.1.int32)
    guard input.isReadable else { throw .badDescriptor }
    if !call.arguments.2.address.isNull {
      if input.inode?.kind == .unnamed { throw .illegalSeek }
      _ = try input.seek(to: 0, from: 1)
    }
    let output = try task.descriptors.file(call.arguments.0.int32)
    guard output.isWritable else { throw .badDescriptor }
    if call.arguments.3.bits == 0, call.arguments.2.address.isNull { return .zero }
    guard input.inode?.kind == .regular || input.inode?.kind == .characterDevice else { throw .invalid }
    if output.flags & OpenFlags.append != 0 { throw .invalid }
    // Its position is the host's, which others move too: programs go on with read(2).
    if input is HostStreamFile { throw .invalid }
    let address = call.arguments.2.address
    let start = try offset(address, task)
    // A pipe is looked at before the input is read (splice_file_to_pipe of fs/splice.c).
    if let pipe = output as? PipeFile, pipe.pipe.readers == 0, task.parked?.moved ?? 0 == 0 {
      task.raise(Signal.pipe)
      throw .brokenPipe
    }
    let wanted = Int(truncatingIfNeeded: min(call.arguments.3.bits, most))
    var moved = task.parked?.moved ?? 0
    // An earlier look has moved the input's own position already; an offset in memory is written at the end only.
    while moved < wanted {
      let place = start.map { $0 &+ Int64(moved) } ?? input.position
      guard place >= 0 else { throw .invalid }
      let bytes = try input.bytes(at: place, count: min(piece, wanted - moved))
      if bytes.isEmpty { break }
      let stored: Int
      do throws(Errno) {
        stored = try output.store(bytes, at: nil)
      } catch {
        if error == .again, !output.isNonBlocking, moved == 0, let queue = output.queue {
          return task.wait(on: queue, for: .writable)
        }
        if error == .brokenPipe, output.writesWhole { task.raise(Signal.pipe) }
        if moved > 0 { break }
        throw error
      }
      moved += stored
      if start == nil { input.position = place + Int64(stored) }
      if stored < bytes.count { break }
    }
    if let start { try task.memory.store(start &+ Int64(moved), at: address) }
    if moved > 0 { output.tell(FileEvent.modified) }
    return .value(Int64(moved))
  }

  private static func copy(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let input = try task.descriptors.opened(call.arguments.0.int32)
    let output = try task.descriptors.opened(call.arguments.2.int32)
    guard call.arguments.5.bits == 0 else { throw .invalid }
    guard let from = input.inode, let to = output.inode else { throw .invalid }
    if from.kind == .directory || to.kind == .directory { throw .isDirectory }
    guard from.kind == .regular, to.kind == .regular else { throw .invalid }
    guard input.isReadable, output.isWritable, output.flags & OpenFlags.append == 0 else { throw .badDescriptor }
    // As between file systems that cannot: programs go on with read(2) and write(2), at the host's own position.
    if input is HostStreamFile || output is HostStreamFile { throw .crossDevice }
    guard from.fileSystem === to.fileSystem else { throw .crossDevice }
    let (inputStart, outputStart) = (
      try offset(call.arguments.1.address, task), try offset(call.arguments.3.address, task)
    )
    let (source, target) = (inputStart ?? input.position, outputStart ?? output.position)
    var wanted = Int64(truncatingIfNeeded: min(call.arguments.4.bits, most))
    if !from.fileSystem.isStable { try from.refresh() }
    // Cut to the input's end before it is looked whether it would pass the largest offset (generic_copy_file_checks of mm/filemap.c).
    wanted = max(0, min(wanted, from.attributes.size - source))
    if target.addingReportingOverflow(wanted).overflow { throw .invalid }
    if from === to, source < target + wanted, target < source + wanted { throw .invalid }
    var moved: Int64 = 0
    while moved < wanted {
      do throws(Errno) {
        let bytes = try input.bytes(at: source + moved, count: Int(min(Int64(piece), wanted - moved)))
        if bytes.isEmpty { break }
        let stored = try output.store(bytes, at: target + moved)
        moved += Int64(stored)
        if stored < bytes.count { break }
      } catch {
        if moved > 0 { break }
        throw error
      }
    }
    if inputStart != nil {
      try task.memory.store(source + moved, at: call.arguments.1.address)
    } else {
      input.position = source + moved
    }
    if outputStart != nil {
      try task.memory.store(target + moved, at: call.arguments.3.address)
    } else {
      output.position = target + moved
    }
    if moved > 0 { output.tell(FileEvent.modified) }
    return .value(moved)
  }
}
