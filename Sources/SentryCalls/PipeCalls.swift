import CLinux
public import Linux
import SentryABI
public import SentryFiles
import SentryMemory
import SentryPipes
import SentryTasks

/// pipe(2) and what fcntl(2) asks of pipes.
public enum PipeCalls {
  static let rows: [CallRow] = [
    CallRow(22, "pipe") { (call, task) throws(Errno) in try pipe(call.arguments.0.address, flags: 0, task) },
    CallRow(293, "pipe2", .part("O_NOTIFICATION_PIPE: EINVAL")) { (call, task) throws(Errno) in
      try pipe(call.arguments.0.address, flags: call.arguments.1.int32, task)
    },
  ]

  private static func pipe(_ address: GuestAddress, flags: Int32, _ task: Task) throws(Errno) -> Outcome {
    guard flags & ~(O_CLOEXEC | O_NONBLOCK | 0o40000) == 0 else { throw .invalid }
    let ends = Pipe.pair(
      flags: flags & (O_NONBLOCK | 0o40000), in: task.kernel.unnamed, user: task.credentials.fileUser,
      group: task.credentials.fileGroup)
    try install([ends.reading, ends.writing], closesOnExec: flags & O_CLOEXEC != 0, at: address, task)
    return .zero
  }

  /// Gives descriptors to files and stores the numbers; all or none.
  static func install(_ files: [OpenFile], closesOnExec: Bool, at address: GuestAddress, _ task: Task) throws(Errno) {
    var numbers: [Int32] = []
    // Held until all stand, so that a file without a descriptor is let go too.
    for file in files {
      file.opener = task.identity
      file.retain()
    }
    defer { for file in files { file.release() } }
    do throws(Errno) {
      var record: [UInt8] = []
      for file in files {
        let number = try task.descriptors.add(file, closesOnExec: closesOnExec)
        numbers.append(number)
        record.append(little: UInt32(bitPattern: number))
      }
      try task.memory.store(record, at: address)
    } catch {
      for number in numbers { do throws(Errno) { try task.descriptors.close(number) } catch {} }
      throw error
    }
  }

  /// F_GETPIPE_SZ and F_SETPIPE_SZ (fcntl(2)).
  /// - Parameter wanted: bytes; nil asks only.
  /// - Throws: EBADF for what is no pipe.
  public static func capacity(of file: OpenFile, wanted: Int32?) throws(Errno) -> Int64 {
    guard let end = file as? PipeFile else { throw .badDescriptor }
    guard let wanted else { return Int64(end.pipe.ring.capacity) }
    return Int64(try end.pipe.setCapacity(wanted))
  }
}
