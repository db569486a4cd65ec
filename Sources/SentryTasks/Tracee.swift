import SentryABI

/// A thread that a thread of another guest traces (ptrace(2)): what its tracer knows of it. On the host the sentry is the tracer.
public final class Tracee {
  /// Where it stands, as its tracer's wait4(2) is told.
  public struct Stop: Sendable {
    public let status: Int32
    /// PTRACE_GETEVENTMSG.
    public let message: UInt64
    /// What the host knows nothing of, as the thread stands elsewhere there.
    public let made: MadeStop?
    public var isTold = false
    public init(status: Int32, message: UInt64 = 0, made: MadeStop? = nil) {
      self.status = status
      self.message = message
      self.made = made
    }
    public var isEnd: Bool { status & 0xff != 0x7f }
  }
  /// Stops about an execve(2), which its tracer sees when the program is loaded.
  public enum MadeStop: Sendable, Equatable {
    /// PTRACE_EVENT_EXEC.
    case executed
    /// The end of the call.
    case callEnd
    /// The SIGTRAP for tracers that asked for neither.
    case trap
  }

  public let task: Task
  public private(set) weak var tracer: Task?
  /// PTRACE_SEIZE and not PTRACE_ATTACH or PTRACE_TRACEME.
  public let isSeized: Bool
  /// Who had it traced could trace anyone then (`ptracer_cred`, kernel/ptrace.c): its tracer's own power may since come from a set-id program that
  /// knows of no tracee.
  public let isTrusted: Bool
  /// PTRACE_O_*, as its tracer set them.
  public var options: UInt32
  /// Its number to guests, which stays when it has ended.
  public let id: Int32
  /// Nil while it runs.
  public var stop: Stop?

  public init(_ task: Task, tracer: Task, isSeized: Bool, isTrusted: Bool, options: UInt32) {
    self.isTrusted = isTrusted
    self.task = task
    self.tracer = tracer
    self.isSeized = isSeized
    self.options = options
    id = task.id
    task.tracee = self
    tracer.group.tracees.append(self)
  }

  /// Its tracer has it no more.
  public func release() {
    if task.tracee === self { task.tracee = nil }
    tracer?.group.tracees.removeAll { $0 === self }
  }
}

/// How a tracer comes by a thread.
public enum TraceBeginning: Sendable, Equatable {
  case attached, seized, asked
}

extension Task {
  /// PTRACE_MODE_ATTACH_REALCREDS of ptrace(2).
  public func mayTrace(_ other: Task) -> Bool {
    // It is about to be more than that (cred_guard_mutex and exec_update_lock, fs/exec.c).
    if kernel.host.isGaining(other.group) { return false }
    let (mine, its) = (credentials, other.credentials)
    if mine.has(Capability.trace) { return true }
    return [its.user, its.effectiveUser, its.savedUser].allSatisfy { $0 == mine.user }
      && [its.group, its.effectiveGroup, its.savedGroup].allSatisfy { $0 == mine.group }
      && other.group.traits.isDumpable && its.permitted & ~mine.permitted == 0
  }
}
