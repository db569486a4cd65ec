public import Linux
public import SentryABI
public import SentryFiles
public import SentryMemory
import SentrySignals
public import SentryTasks
import SentryWait

/// read(2) and write(2) of every kind of file: what blocks, how it goes on, and what it answers.
public enum Transfer {
  /// One look of a read.
  /// - Parameter nonBlocking: MSG_DONTWAIT and the like; O_NONBLOCK is looked at here.
  public static func read(
    _ file: OpenFile, _ buffer: inout GuestBuffer, at offset: Int64? = nil, nonBlocking: Bool = false, _ task: Task
  ) throws(Errno) -> Outcome {
    guard file.isReadable else { throw .badDescriptor }
    task.kernel.current = task
    if let descriptor = file.nativeReader, let call = task.parked?.call {
      // Always anew: the number may have come by dup(2).
      let number = call.arguments.0.int32
      try task.kernel.host.inject(descriptor, as: number, for: task)
      task.descriptors.mirror(number, isWritable: false)
      return .native
    }
    do throws(Errno) {
      return .value(Int64(try file.read(&buffer, at: offset)))
    } catch {
      guard error == .again, !nonBlocking, !file.isNonBlocking, let queue = file.queue else { throw error }
      return task.wait(on: queue, for: .readable)
    }
  }

  /// One look of a write. A file that writes whole goes on where the last look stopped. EPIPE comes with SIGPIPE.
  /// - Parameter raises: false for MSG_NOSIGNAL.
  public static func write(
    _ file: OpenFile, _ buffer: inout GuestBuffer, at offset: Int64? = nil, nonBlocking: Bool = false,
    raises: Bool = true,
    _ task: Task
  ) throws(Errno) -> Outcome {
    guard file.isWritable else { throw .badDescriptor }
    if file.isTerminal { task.kernel.current = task }
    if let moved = task.parked?.moved, moved > 0 { buffer.skip(moved) }
    try bound(&buffer, by: file, at: offset, task)
    let blocks = !nonBlocking && !file.isNonBlocking
    while true {
      do throws(Errno) {
        let count = try file.write(&buffer, at: offset)
        if buffer.remaining == 0 || count == 0 || !file.writesWhole {
          return .value(Int64(file.writesWhole ? buffer.moved : count))
        }
      } catch {
        if error == .again, blocks, let queue = file.queue {
          task.parked?.moved = buffer.moved
          return task.wait(on: queue, for: .writable)
        }
        if error == .brokenPipe, raises, file.writesWhole { task.raise(Signal.pipe) }
        if file.writesWhole, buffer.moved > 0 { return .value(Int64(buffer.moved)) }
        throw error
      }
    }
  }

  /// RLIMIT_FSIZE (generic_write_check_limits of fs/read_write.c): a write that begins at the limit gets SIGXFSZ and EFBIG, one that
  /// would go past it is cut.
  private static func bound(
    _ buffer: inout GuestBuffer, by file: OpenFile, at offset: Int64?, _ task: Task
  ) throws(Errno) {
    guard buffer.remaining > 0, let attributes = file.inode?.attributes, attributes.kind == .regular else { return }
    let limit = Int64(clamping: task.group.limits[Limits.fileSize].soft)
    let start = file.flags & OpenFlags.append != 0 ? attributes.size : offset ?? file.position
    if start >= limit {
      task.raise(Signal.fileSize)
      throw .fileTooBig
    }
    buffer.cut(to: Int(clamping: limit - max(0, start)))
  }
}
