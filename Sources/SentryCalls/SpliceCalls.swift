import CLinux
import Linux
import SentryABI
import SentryEvents
import SentryFiles
import SentryMemory
import SentryPipes
import SentrySignals
import SentryTasks
import SentryWait

/// splice(2) and tee(2): bytes between a pipe and another file, by the sentry's own copies.
enum SpliceCalls {
  static let rows: [CallRow] = [
    CallRow(
      275, "splice", .part("64 KiB at once; from a socket or terminal: EINVAL"), blocksOn: "pipe"
    ) {
      (call, task) throws(Errno) in try splice(call, task)
    },
    CallRow(276, "tee", .part("64 KiB at once"), blocksOn: "pipe") { (call, task) throws(Errno) in try tee(call, task)
    },
  ]

  private static let nonBlocking: UInt32 = 2

  private static func splice(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    if call.arguments.4.bits == 0 { return .zero }
    let flags = call.arguments.5.uint32
    guard flags & ~15 == 0 else { throw .invalid }
    let wanted = Int(min(call.arguments.4.bits, 65536))
    let from = try task.descriptors.file(call.arguments.0.int32)
    let to = try task.descriptors.file(call.arguments.2.int32)
    guard from.isReadable, to.isWritable else { throw .badDescriptor }
    let (fromPosition, toPosition) = (call.arguments.1.address, call.arguments.3.address)
    if from is PipeFile, !fromPosition.isNull { throw .illegalSeek }
    if to is PipeFile, !toPosition.isNull { throw .illegalSeek }
    let waits = flags & nonBlocking == 0
    switch (from as? PipeFile, to as? PipeFile) {
    case (nil, nil): throw .invalid
    case (let source?, let target?):
      guard source.pipe !== target.pipe else { throw .invalid }
      return try move(source, target, wanted, keeps: false, waits, task)
    case (let source?, nil):
      if to.flags & OpenFlags.append != 0 || !takesPages(to) { throw .invalid }
      if source.pipe.ring.isEmpty { return try whenEmpty(source, waits, task) }
      let bytes = source.pipe.ring.take(wanted, keeps: true)
      let start = try position(toPosition, task)
      let count: Int
      do throws(Errno) {
        count = try to.store(bytes, at: start)
      } catch {
        // The pipe still has the bytes.
        if error == .brokenPipe { task.raise(Signal.pipe) }
        guard error == .again, !to.isNonBlocking, let queue = to.queue else { throw error }
        return task.wait(on: queue, for: .writable)
      }
      source.pipe.consumed(count)
      try setPosition(toPosition, start, count, task)
      return .value(Int64(count))
    case (nil, let target?):
      if target.pipe.readers == 0 { return try broken(task) }
      let room = target.pipe.ring.free
      if room == 0 { return try whenFull(target, waits, task) }
      let start = try position(fromPosition, task)
      let bytes = try from.bytes(at: start ?? from.position, count: min(wanted, room))
      target.pipe.produced(target.pipe.ring.append(bytes))
      if start == nil { from.position &+= Int64(bytes.count) }
      try setPosition(fromPosition, start, bytes.count, task)
      return .value(Int64(bytes.count))
    }
  }

  /// Whether a kind of file has `splice_write` (fs/splice.c): those of the kernel's own that are no memory have not.
  private static func takesPages(_ file: OpenFile) -> Bool {
    !(file is EventCounterFile || file is EventPollFile || file is FileWatchFile || file is SignalFile
      || file is TimerFile)
  }

  private static func tee(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let flags = call.arguments.3.uint32
    guard flags & ~15 == 0 else { throw .invalid }
    if call.arguments.2.bits == 0 { return .zero }
    let from = try task.descriptors.file(call.arguments.0.int32)
    let to = try task.descriptors.file(call.arguments.1.int32)
    guard from.isReadable, to.isWritable else { throw .badDescriptor }
    guard let source = from as? PipeFile, let target = to as? PipeFile, source.pipe !== target.pipe else {
      throw .invalid
    }
    let wanted = Int(min(call.arguments.2.bits, 65536))
    return try move(source, target, wanted, keeps: true, flags & nonBlocking == 0, task)
  }

  private static func move(
    _ source: PipeFile, _ target: PipeFile, _ wanted: Int, keeps: Bool, _ waits: Bool, _ task: Task
  ) throws(Errno) -> Outcome {
    // As splice_pipe_to_pipe of fs/splice.c looks at them.
    if source.pipe.ring.isEmpty, source.pipe.writers > 0 {
      return try whenEmpty(source, waits && !target.isNonBlocking, task)
    }
    if target.pipe.readers == 0 { return try broken(task) }
    if target.pipe.ring.free == 0 { return try whenFull(target, waits && !source.isNonBlocking, task) }
    if source.pipe.ring.isEmpty { return .zero }
    let count = source.pipe.ring.move(to: target.pipe.ring, limit: wanted, keeps: true)
    if !keeps { source.pipe.consumed(count) }
    target.pipe.produced(count)
    return .value(Int64(count))
  }

  private static func broken(_ task: Task) throws(Errno) -> Outcome {
    task.raise(Signal.pipe)
    throw .brokenPipe
  }

  private static func whenEmpty(_ file: PipeFile, _ waits: Bool, _ task: Task) throws(Errno) -> Outcome {
    if file.pipe.writers == 0 { return .zero }
    guard waits, !file.isNonBlocking else { throw .again }
    return task.wait(on: file.queue, for: [.readable, .hangup])
  }

  private static func whenFull(_ file: PipeFile, _ waits: Bool, _ task: Task) throws(Errno) -> Outcome {
    guard waits, !file.isNonBlocking else { throw .again }
    return task.wait(on: file.queue, for: [.writable, .error])
  }

  private static func position(_ address: GuestAddress, _ task: Task) throws(Errno) -> Int64? {
    if address.isNull { return nil }
    let position: Int64 = try task.memory.load(address)
    guard position >= 0 else { throw .invalid }
    return position
  }

  private static func setPosition(_ address: GuestAddress, _ start: Int64?, _ moved: Int, _ task: Task) throws(Errno) {
    guard let start else { return }
    try task.memory.store(start &+ Int64(moved), at: address)
  }
}
