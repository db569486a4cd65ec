public import Linux
public import SentryTasks

/// A program that the keeper is to start: strings without NULs, and the task that its process will be, which has no number yet.
public struct Launch {
  public let path: [UInt8]
  public let arguments: [[UInt8]]
  public let environment: [[UInt8]]
  public let task: Task
  /// Called once it runs, or with what execve(2) failed with.
  let started: (Errno?) -> Void

  public init(
    path: [UInt8], arguments: [[UInt8]], environment: [[UInt8]], task: Task, started: @escaping (Errno?) -> Void
  ) {
    self.path = path
    self.arguments = arguments
    self.environment = environment
    self.task = task
    self.started = started
  }

  /// Two counts of 32 bits, then the path, the arguments and the environment, each with a NUL (guest/stub.c).
  var block: [UInt8] {
    var bytes: [UInt8] = []
    for count in [arguments.count, environment.count] {
      for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: count >> shift)) }
    }
    for string in [path] + arguments + environment { bytes += string.prefix { $0 != 0 } + [0] }
    return bytes
  }
}
