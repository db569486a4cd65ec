import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks

/// open(2), openat2(2), creat(2).
enum OpenCalls {
  static let rows: [CallRow] = [
    CallRow(2, "open", blocksOn: "fifo") { (call, task) throws(Errno) in
      try open(Call.here, call.arguments.0.address, call.arguments.1.int32, call.arguments.2.uint32, task)
    },
    CallRow(85, "creat", blocksOn: "fifo") { (call, task) throws(Errno) in
      let flags = OpenFlags.create | OpenFlags.truncate | OpenFlags.writeOnly
      return try open(Call.here, call.arguments.0.address, flags, call.arguments.1.uint32, task)
    },
    CallRow(257, "openat", blocksOn: "fifo") { (call, task) throws(Errno) in
      try open(call.arguments.0, call.arguments.1.address, call.arguments.2.int32, call.arguments.3.uint32, task)
    },
    CallRow(437, "openat2", .part("RESOLVE_CACHED: EAGAIN"), blocksOn: "fifo") { (call, task) throws(Errno) in
      try openHow(call, task)
    },
  ]

  private static func open(
    _ directory: GuestWord, _ address: GuestAddress, _ flags: Int32, _ mode: UInt32, _ task: Task
  ) throws(Errno) -> Outcome {
    if let outcome = try goOn(flags, task) { return outcome }
    guard OpenFlags.areTogether(flags) else { throw .invalid }
    let path = try task.text(address)
    let file: OpenFile
    do throws(Errno) {
      file = try task.walk.open(
        path, from: try task.start(directory, path), flags: flags & OpenFlags.all, mode: mode & 0o7777)
    } catch {
      if error == .noEntry { task.asked(for: path, followsLast: true) }
      throw error
    }
    return try finish(file, flags, task)
  }

  /// - Throws: E2BIG for a longer structure with anything in what isn't known.
  private static func openHow(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    guard let size = call.arguments.3.size, size >= 24 else { throw .invalid }
    guard size <= 4096 else { throw .tooBig }
    let how = try task.memory.bytes(call.arguments.2.address, count: size)
    guard how[24...].allSatisfy({ $0 == 0 }) else { throw .tooBig }
    let (word, mode, resolve) = (how.little64(0), how.little64(8), how.little64(16))
    guard let flags = Int32(exactly: word), flags & ~OpenFlags.all == 0 else { throw .invalid }
    let makes = flags & (OpenFlags.create | (OpenFlags.temporaryFile & ~OpenFlags.directory)) != 0
    guard mode & ~0o7777 == 0, makes || mode == 0, resolve & ~0x3f == 0, resolve & 0x18 != 0x18,
      OpenFlags.areTogether(flags)
    else { throw .invalid }
    // RESOLVE_CACHED: whether it can be told without waiting is not known here.
    if resolve & 0x20 != 0 { throw .again }
    if let outcome = try goOn(flags, task) { return outcome }
    var walk = task.walk
    walk.limits = WalkLimits(rawValue: resolve & 0x1f)
    let path = try task.text(call.arguments.1.address)
    // A path from "/" also begins at the directory under RESOLVE_IN_ROOT.
    let isRooted = walk.limits.contains(.inRoot) && call.arguments.0.int32 != PathFlags.currentDirectory
    let start =
      isRooted ? try task.descriptors.file(call.arguments.0.int32).path : try task.start(call.arguments.0, path)
    let file = try walk.open(path, from: start, flags: flags, mode: UInt32(truncatingIfNeeded: mode))
    return try finish(file, flags, task)
  }

  private static func finish(_ file: OpenFile, _ flags: Int32, _ task: Task) throws(Errno) -> Outcome {
    file.opener = task.identity
    // Held, so that a file without a descriptor is let go again.
    file.retain()
    if file.isOpening {
      task.parked?.file = file
      return task.wait(on: file.queue)
    }
    let number: Int32
    do throws(Errno) {
      number = try task.descriptors.add(file, closesOnExec: flags & OpenFlags.closeOnExec != 0)
    } catch {
      file.release()
      throw error
    }
    // The descriptor alone has it now.
    file.release()
    task.opened(file, number)
    return .value(Int64(number))
  }

  /// A later look at a FIFO that waits for its other end.
  private static func goOn(_ flags: Int32, _ task: Task) throws(Errno) -> Outcome? {
    guard let file = task.parked?.file else { return nil }
    if file.isOpening { return task.wait(on: file.queue) }
    let number = try task.descriptors.add(file, closesOnExec: flags & OpenFlags.closeOnExec != 0)
    task.parked?.file = nil
    file.release()
    return .value(Int64(number))
  }
}
