public import SentryABI
public import SentryFiles
import SentrySignals

/// What of a thread is neither files nor memory nor credentials.
public struct TaskTraits: Sendable {
  /// comm, at most 15 bytes (PR_SET_NAME).
  public var name: [UInt8] = []
  /// PR_SET_PDEATHSIG; 0 for none.
  public var parentDeathSignal: Int32 = 0
  /// In nanoseconds (PR_SET_TIMERSLACK).
  public var timerSlack: UInt64 = 50_000
  public var defaultTimerSlack: UInt64 = 50_000
  /// -20 to 19 (setpriority(2)).
  public var niceness: Int32 = 0
  /// ioprio_set(2); 0 for none said.
  public var inputOutputPriority: Int32 = 0
  /// SCHED_OTHER, SCHED_BATCH or SCHED_IDLE, and the flag SCHED_RESET_ON_FORK.
  public var schedulingPolicy: Int32 = 0
  /// sched_setaffinity(2)'s mask; empty for all there are.
  public var processors: [UInt8] = []
  /// SECCOMP_MODE_STRICT.
  public var isStrict = false
  public init() {}
}

/// What of a process is neither files nor memory nor credentials.
public struct ProcessTraits: Sendable {
  /// It has made an execve(2) since it was forked (setpgid(2) looks at it).
  public var hasExeced = false
  /// PR_SET_DUMPABLE.
  public var isDumpable = true
  /// PR_SET_CHILD_SUBREAPER.
  public var isSubreaper = false
  /// personality(2).
  public var personality: UInt32 = 0
  /// Nanoseconds of the host's CLOCK_MONOTONIC.
  public var startTime: UInt64 = 0
  /// Where the host keeps the strings of execve(2): [start, end) (PR_SET_MM_ARG_START and so on); both 0 where nobody said.
  public var arguments = (start: GuestAddress(0), end: GuestAddress(0))
  public var environment = (start: GuestAddress(0), end: GuestAddress(0))
  /// The program's path as /proc/PID/exe shows it.
  public var program: [UInt8] = []
  /// /proc/PID/oom_score_adj, -1000 to 1000.
  public var outOfMemoryAdjustment: Int32 = 0
  /// The process is a zombie, or gone.
  public var hasEnded = false
  public init() {}
}

extension Task {
  /// clone(2): what the new thread has from the one that made it. Its name too; the parent's death is not its own matter.
  public func inherit(from parent: Task) {
    traits = parent.traits
    namespaces = parent.namespaces
    traits.parentDeathSignal = 0
    if parent.traits.schedulingPolicy & 0x4000_0000 != 0 {
      traits.schedulingPolicy = 0
      traits.niceness = max(0, traits.niceness)
    }
    traits.defaultTimerSlack = parent.traits.timerSlack
  }

  /// execve(2) has replaced the program.
  /// - Parameters:
  ///   - name: the last part of the path; cut to 15 bytes.
  ///   - program: the path, as /proc/PID/exe shows it.
  ///   - place: what that link leads to.
  ///   - credentials: who it is now.
  public func didExec(name: [UInt8], program: [UInt8], place: Path? = nil, as credentials: Credentials) {
    traits.name = [UInt8](name.prefix(15))
    traits.parentDeathSignal = 0
    let gains = credentials.permitted & ~self.credentials.permitted != 0
    self.credentials = credentials
    group.actions = group.actions.copy()
    group.actions.resetForExec()
    group.executions &+= 1
    group.traits.hasExeced = true
    // Nobody looks into a program that has more than its user (begin_new_exec of fs/exec.c, commit_creds of kernel/cred.c).
    group.traits.isDumpable =
      !gains && credentials.effectiveUser == credentials.user && credentials.effectiveGroup == credentials.group
    group.traits.program = program
    group.executable = place
    group.executed = place?.inode.map { ExecutedFile($0) }
    group.timers.drop()
  }
}

extension ThreadGroup {
  /// fork(2): what the new process has from the one that made it.
  /// - Parameter flags: of clone(2); CLONE_SIGHAND shares the actions, CLONE_CLEAR_SIGHAND forgets them.
  public func inherit(from parent: ThreadGroup, flags: UInt64) {
    executable = parent.executable
    executed = parent.executed
    actions = flags & 0x800 != 0 ? parent.actions : parent.actions.copy()
    if flags & 0x1_0000_0000 != 0 { actions.resetForExec() }
    limits = parent.limits
    traits = parent.traits
    traits.hasExeced = false
    traits.isSubreaper = false
    traits.startTime = kernel.now
  }
}
