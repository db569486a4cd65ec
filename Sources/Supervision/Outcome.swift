import Linux
public import Walls

/// What bounds and steers a supervised sandbox.
public struct SupervisionOptions: Sendable {
  /// Wall-clock time from `run` on; nil is no limit.
  public var timeoutMilliseconds: UInt64?
  /// Bytes of standard output and error together; needs streams that are relayed (piped, terminal, or a monitor).
  public var outputLimitBytes: UInt64?
  /// How long a program that was asked to end may take before it is killed.
  public var killGraceMilliseconds: UInt64 = 10_000

  public init(timeoutMilliseconds: UInt64? = nil, outputLimitBytes: UInt64? = nil) {
    self.timeoutMilliseconds = timeoutMilliseconds
    self.outputLimitBytes = outputLimitBytes
  }
}

/// How a supervised sandbox ended, and what `run` exits with.
public struct Outcome: Sendable, Equatable {
  /// How the program ended; `limit` is the one that ended it, be it the wall's, the timeout or the output limit.
  public var ending: Ending
  /// The signal to immure (SIGINT, SIGTERM, SIGHUP, SIGQUIT, or SIGPIPE for output that nobody reads) that made it kill a box
  /// that did not end when asked.
  public var interruption: Int32?

  public init(ending: Ending, interruption: Int32? = nil) {
    self.ending = ending
    self.interruption = interruption
  }

  /// The exit status of `run`: a limit's, 128 + the signal, or the program's.
  public var code: Int32 {
    if let limit = ending.limit { return limit.code }
    if let interruption { return 128 + interruption }
    return ending.status.code
  }
}
