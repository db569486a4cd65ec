public import Foundation

/// A process beside a test, which ends with it: killed, where it has not ended itself. What it writes to stdout is waited for.
public final class Helper {
  private let child: Child
  private let output = Pipe()
  private var unread = Data()
  private var status: Int32?

  /// Its stderr is the test's.
  public init(_ words: [String], environment: [String: String]? = nil, folder: String? = nil) throws {
    child = try Child(
      words, environment: environment ?? ProcessInfo.processInfo.environment, folder: folder, input: .path("/dev/null"),
      output: .descriptor(output.fileHandleForWriting.fileDescriptor), error: .descriptor(STDERR_FILENO))
    // It alone may write, so that its end is the end.
    try output.fileHandleForWriting.close()
  }

  deinit { end() }

  /// Not reaped while this lives, unless waited for, so the pid stays its own.
  public var pid: pid_t { child.pid }
  public var isRunning: Bool { status == nil && !child.hasEnded }

  /// Waits for the next line that it writes, and returns it without its end; what there is of one once it has ended.
  public func line() -> String {
    // A line may come in pieces.
    while !unread.contains(10) {
      let more = output.fileHandleForReading.availableData
      if more.isEmpty { break }
      unread += more
    }
    let line = unread.prefix { $0 != 10 }
    unread = unread.dropFirst(line.count + 1)
    return String(decoding: line, as: UTF8.self)
  }

  public func signal(_ number: Int32) {
    if status == nil { kill(child.pid, number) }
  }

  /// Waits for its end: its exit status, 128 + N where signal N ended it.
  @discardableResult
  public func wait() -> Int32 {
    let ended = status ?? child.wait()
    status = ended
    return ended
  }

  public func end() {
    signal(SIGKILL)
    wait()
  }
}
