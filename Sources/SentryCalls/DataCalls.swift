import Linux
import SentryABI
import SentryEvents
import SentryFiles
import SentryMemory
import SentryPipes
import SentryTasks

/// Bytes of files: read(2), write(2) and their brothers, lseek(2).
enum DataCalls {
  static let rows: [CallRow] = [
    CallRow(0, "read", blocksOn: "file") { (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      try mayRead(file)
      var buffer = try buffer(call, task)
      guard file.isLendable else { return try read(file, &buffer, nil, task) }
      let (outcome, end) = try held(file) { () throws(Errno) in (try read(file, &buffer, nil, task), file.position) }
      if case .value(let count) = outcome {
        task.askedNext(of: file, call.arguments.0.int32, upTo: end, count: Int(truncatingIfNeeded: count))
      }
      return outcome
    },
    CallRow(1, "write", blocksOn: "file") { (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      try mayWrite(file)
      var buffer = try buffer(call, task)
      return try write(file, &buffer, nil, task)
    },
    CallRow(17, "pread64") { (call, task) throws(Errno) in
      guard call.arguments.3.int64 >= 0 else { throw .invalid }
      let file = try task.descriptors.file(call.arguments.0.int32)
      let offset = try place(call.arguments.3, file)
      try mayRead(file)
      var buffer = try buffer(call, task)
      let outcome = try read(file, &buffer, offset, task)
      if case .value(let count) = outcome {
        task.askedBytes(
          of: file, call.arguments.0.int32, at: offset, count: Int(truncatingIfNeeded: count))
      }
      return outcome
    },
    CallRow(18, "pwrite64") { (call, task) throws(Errno) in
      guard call.arguments.3.int64 >= 0 else { throw .invalid }
      let file = try task.descriptors.file(call.arguments.0.int32)
      let offset = try place(call.arguments.3, file)
      try mayWrite(file)
      var buffer = try buffer(call, task)
      return try write(file, &buffer, offset, task)
    },
    CallRow(19, "readv", blocksOn: "file") { (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      try mayRead(file)
      var buffer = try vector(call, task)
      return try read(file, &buffer, nil, task)
    },
    CallRow(20, "writev", blocksOn: "file") { (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      try mayWrite(file)
      var buffer = try vector(call, task)
      return try write(file, &buffer, nil, task)
    },
    CallRow(295, "preadv") { (call, task) throws(Errno) in
      guard call.arguments.3.int64 >= 0 else { throw .invalid }
      let file = try task.descriptors.file(call.arguments.0.int32)
      let offset = try place(call.arguments.3, file)
      try mayRead(file)
      var buffer = try vector(call, task)
      return try read(file, &buffer, offset, task)
    },
    CallRow(296, "pwritev") { (call, task) throws(Errno) in
      guard call.arguments.3.int64 >= 0 else { throw .invalid }
      let file = try task.descriptors.file(call.arguments.0.int32)
      let offset = try place(call.arguments.3, file)
      try mayWrite(file)
      var buffer = try vector(call, task)
      return try write(file, &buffer, offset, task)
    },
    CallRow(
      327, "preadv2", .part("RWF_NOWAIT of files: without effect; RWF_ATOMIC, RWF_DONTCACHE: EOPNOTSUPP"),
      blocksOn: "file"
    ) {
      (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      let flags = call.arguments.5.uint32
      guard flags & ~0xf == 0 else { throw .notSupported }
      let offset = call.arguments.3.int64 == -1 ? nil : try place(call.arguments.3, file)
      try mayRead(file)
      var buffer = try vector(call, task)
      return try read(file, &buffer, offset, task, nonBlocking: flags & 8 != 0)
    },
    CallRow(
      328, "pwritev2",
      .part("RWF_NOAPPEND, RWF_ATOMIC, RWF_DONTCACHE: EOPNOTSUPP"),
      blocksOn: "file"
    ) { (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      let flags = call.arguments.5.uint32
      guard flags & ~0x1f == 0 else { throw .notSupported }
      let offset = call.arguments.3.int64 == -1 ? nil : try place(call.arguments.3, file)
      try mayWrite(file)
      var buffer = try vector(call, task)
      // RWF_APPEND is O_APPEND for one call.
      let before = file.flags
      if flags & 0x10 != 0 { file.flags |= OpenFlags.append }
      defer { file.flags = before }
      let outcome = try write(file, &buffer, offset, task, nonBlocking: flags & 8 != 0)
      let (dataSync, sync): (UInt32, UInt32) = (2, 4)
      if flags & (dataSync | sync) != 0, file.inode?.kind == .regular, !(file is HostStreamFile),
        case .value(let count) = outcome, count > 0
      {
        try file.synchronize()
      }
      return outcome
    },
    CallRow(8, "lseek") { (call, task) throws(Errno) in
      let file = try task.descriptors.opened(call.arguments.0.int32)
      guard call.arguments.2.uint32 <= 4 else { throw .invalid }
      let position = try held(file) { () throws(Errno) in
        try file.seek(to: call.arguments.1.int64, from: call.arguments.2.int32)
      }
      if call.arguments.2.uint32 <= 2 { task.asked(about: file, call.arguments.0.int32) }
      return .value(position)
    },
  ]

  /// One call that moves a position which the process may move by itself (`OpenFile.hold`).
  private static func held<Value>(_ file: OpenFile, _ body: () throws(Errno) -> Value) throws(Errno) -> Value {
    let isHeld = file.hold()
    defer { if isHeld { file.letGo() } }
    return try body()
  }

  /// - Throws: EBADF; EINVAL for a kind of file that nobody reads (FMODE_CAN_READ, fs/read_write.c).
  private static func mayRead(_ file: OpenFile) throws(Errno) {
    guard file.isReadable else { throw .badDescriptor }
    if file is EventPollFile { throw .invalid }
  }
  private static func mayWrite(_ file: OpenFile) throws(Errno) {
    guard file.isWritable else { throw .badDescriptor }
    if file is EventPollFile || file is TimerFile || file is SignalFile { throw .invalid }
  }
  /// - Throws: EINVAL for a transfer that would pass the largest offset (rw_verify_area of fs/read_write.c).
  private static func check(_ file: OpenFile, _ offset: Int64?, _ buffer: GuestBuffer) throws(Errno) {
    guard (offset ?? file.position) &+ Int64(buffer.remaining) >= 0 else { throw .invalid }
  }

  /// - Throws: EFAULT for what does not lie beneath the end of every process's memory (access_ok, TASK_SIZE of x86-64).
  private static func buffer(_ call: Call, _ task: Task) throws(Errno) -> GuestBuffer {
    let (start, length) = (call.arguments.1.bits, call.arguments.2.bits)
    let end: UInt64 = 0x7fff_ffff_f000
    guard start <= end, length <= end - start, let count = call.arguments.2.size else { throw .badAddress }
    return GuestBuffer(task.memory, call.arguments.1.address, count: count)
  }

  private static func vector(_ call: Call, _ task: Task) throws(Errno) -> GuestBuffer {
    // Of the unsigned long the low half (import_iovec of lib/iov_iter.c).
    return try GuestBuffer(task.memory, vector: call.arguments.1.address, count: call.arguments.2.int32)
  }

  /// - Throws: EINVAL for a negative offset, ESPIPE for a file without positions.
  private static func place(_ word: GuestWord, _ file: OpenFile) throws(Errno) -> Int64 {
    guard word.int64 >= 0 else { throw .invalid }
    if file.flags & OpenFlags.path != 0 { throw .badDescriptor }
    if file.inode?.kind == .unnamed { throw .illegalSeek }
    if !(file is OpenDirectory) { _ = try file.seek(to: 0, from: 1) }
    return word.int64
  }

  private static func read(
    _ file: OpenFile, _ buffer: inout GuestBuffer, _ offset: Int64?, _ task: Task, nonBlocking: Bool = false
  ) throws(Errno) -> Outcome {
    if buffer.isVector, buffer.remaining == 0 { return .zero }
    try check(file, offset, buffer)
    let outcome = try Transfer.read(file, &buffer, at: offset, nonBlocking: nonBlocking, task)
    if case .value(let count) = outcome, count > 0 { file.tell(FileEvent.accessed) }
    return outcome
  }

  private static func write(
    _ file: OpenFile, _ buffer: inout GuestBuffer, _ offset: Int64?, _ task: Task, nonBlocking: Bool = false
  ) throws(Errno) -> Outcome {
    if buffer.isVector, buffer.remaining == 0 { return .zero }
    try check(file, offset, buffer)
    let outcome = try Transfer.write(file, &buffer, at: offset, nonBlocking: nonBlocking, task)
    if case .value(let count) = outcome, count > 0 { file.tell(FileEvent.modified) }
    return outcome
  }
}
