import Linux
public import SentryFiles
public import SentryTerminals
public import SentryWait

/// What all guests of one sandbox share: tasks, time and who is to run. One thread uses it.
public final class Kernel {
  public let deadlines = Deadlines()
  public let hostEvents = HostEvents()
  public let unnamed = UnnamedFiles()
  public let terminals: Terminals
  public var host = HostThreads()
  /// Tasks that a wake made ready to look again, in order; `TaskWaiter` appends, the sentry's loop takes.
  public var ready: [Task] = []
  /// By thread id as the guests' pid namespace numbers them.
  public var tasks: [Int32: Task] = [:]
  public var groups: [Int32: ThreadGroup] = [:]
  public var names = MachineNames()
  /// Bytes that the guests may have in memory together; nil for no bound of their own.
  public var memoryLimit: UInt64?
  public var load = LoadAverage()
  /// Nanoseconds of CLOCK_MONOTONIC since which the sandbox is up.
  public let bootTime = Clock.monotonicNanoseconds()
  /// Whose call is served, for files that ask who calls (terminals); set before they are used.
  public weak var current: Task?
  public init() {
    terminals = Terminals(deadlines)
    terminals.jobs = self
  }

  /// Nanoseconds of the host's CLOCK_MONOTONIC.
  public var now: UInt64 { Clock.monotonicNanoseconds() }
}
