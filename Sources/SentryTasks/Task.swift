public import SentryABI
public import SentryFiles
public import SentryMemory
public import SentrySignals
public import SentryWait

/// A thread of a guest (the kernel's `task_struct`); the host runs one thread for each, and numbers it.
public final class Task {
  public unowned let kernel: Kernel
  /// Its thread id in the guests' pid namespace, and in the sentry's; 0 until the host has made it (Births.swift).
  public internal(set) var id: Int32
  public internal(set) var hostID: Int32
  public let group: ThreadGroup
  public var memory: GuestMemory
  public var descriptors: DescriptorTable {
    didSet { if descriptors !== oldValue { group.answers.forget() } }
  }
  /// Root, current directory and umask.
  public var paths: PathContext
  public var credentials: Credentials {
    didSet {
      group.answers.forget()
      // no_new_privs is the task's, none of its credentials'.
      if credentials.noNewPrivileges == oldValue.noNewPrivileges { identity = Self.nextIdentity() }
    }
  }
  /// Of its credentials as the kernel's `struct cred` has one by its address: another one with each change and for each process, one for all
  /// threads that were made since.
  public internal(set) var identity = nextIdentity()
  /// The call that it sleeps in; nil while it runs on its own.
  public var parked: ParkedCall?
  public private(set) var waiter: TaskWaiter!
  /// What prctl(2), nice(2) and the like say of the thread.
  public var traits = TaskTraits()
  public var namespaces: TaskNamespaces
  var resumption: Resumption?
  var borrowed: [Borrowed] = []
  /// What its tracer knows of it, where it has one.
  public var tracee: Tracee?
  /// To whom its last call may have sent a signal.
  weak var signalled: ThreadGroup?
  /// Of `ThreadGroup.signalsSent`, when it fell asleep last.
  var signalsSeen: UInt64 = 0

  public init(
    kernel: Kernel, id: Int32, hostID: Int32, group: ThreadGroup, memory: GuestMemory, descriptors: DescriptorTable,
    paths: PathContext, credentials: Credentials
  ) {
    self.kernel = kernel
    self.id = id
    self.hostID = hostID
    self.group = group
    self.memory = memory
    self.descriptors = descriptors
    self.paths = paths
    self.credentials = credentials
    namespaces = kernel.namespaces
    waiter = TaskWaiter(self)
  }
}

extension Task {
  // SAFETY: the sentry is one thread; it serves one sandbox.
  nonisolated(unsafe) private static var lastIdentity: UInt64 = 0
  private static func nextIdentity() -> UInt64 {
    unsafe lastIdentity &+= 1
    return unsafe lastIdentity
  }

  /// Itself as it walks paths and opens files.
  public var caller: FileCaller { FileCaller(credentials: credentials, process: group.id, thread: id, task: self) }
  public var walk: PathWalk { PathWalk(paths, caller) }
}

/// A call whose answer waits: which notification it is, and what its handler remembers from one look to the next.
public struct ParkedCall {
  public let call: Call
  /// The platform's name for the call (seccomp_unotify(2)'s id).
  public let id: UInt64
  /// Bytes already moved, for a write that goes on.
  public var moved = 0
  /// Whether a look has put it to sleep.
  public var hasSlept = false
  /// When it gives up, and the heap's name for that; set once, at the first look.
  public var deadline: UInt64?
  public var token: Deadlines.Token?
  /// When a call that moves many things stops between two of them.
  public var bound: UInt64?
  /// Whether the deadline passed.
  public var hasTimedOut = false
  /// Its handler said that it waits. Until then a signal that the call itself sends does not end it.
  var isAsleep = false
  /// Such a signal came.
  var wasPassedOver = false
  /// What becomes of the call where a signal ends it.
  public var ending = Ending.restarts
  /// The signals that are blocked while it waits, where the call names others than the thread's own (ppoll(2)).
  public var mask: SignalBits?
  /// Where what is left of a sleep goes (nanosleep(2)).
  public var remainder: GuestAddress?

  public enum Ending: Sendable, Equatable {
    /// With EINTR, unless the handler has SA_RESTART or there is none (ERESTARTSYS).
    case restarts
    /// With EINTR where there is a handler (ERESTARTNOHAND).
    case restartsUnhandled
    /// With EINTR.
    case never
  }
  /// A file that the call has opened and that has no descriptor yet; held (`OpenFile.retain`).
  public var file: OpenFile?
  public init(call: Call, id: UInt64) {
    self.call = call
    self.id = id
  }
}

/// Makes its task look again.
public final class TaskWaiter: Waiter {
  private unowned let task: Task
  private var isQueued = false
  init(_ task: Task) { self.task = task }

  public override func wake(_ events: PollEvents) {
    if isQueued || task.parked == nil { return }
    isQueued = true
    task.kernel.ready.append(task)
  }

  /// The loop took the task from `ready`.
  public func taken() { isQueued = false }
}

/// A process (the kernel's `signal_struct` with its threads).
public final class ThreadGroup {
  public unowned let kernel: Kernel
  /// Its process id in the guests' pid namespace, and in the sentry's; 0 until the host has made it.
  public internal(set) var id: Int32
  public internal(set) var hostID: Int32 = 0
  public var parent: ThreadGroup? { didSet { answers.forget() } }
  /// The thread of the parent's that made it.
  weak var maker: Task?
  /// Whose child it is to ptrace(2): that thread, or when it has ended another of its parent's (forget_original_parent, kernel/exit.c).
  public var realParent: Task? {
    if let maker, maker.group === parent, maker.kernel.tasks[maker.id] === maker { return maker }
    return parent?.tasks.first
  }
  /// Programs that it has executed: what was opened about one (/proc/PID/mem) says nothing of the next.
  public internal(set) var executions: UInt64 = 0
  /// The sentry's own, which guests only see (Keeper.swift).
  public internal(set) var isKeeper = false
  public var tasks: [Task] = []
  public var session: Int32
  public var processGroup: Int32 { didSet { answers.forget() } }
  /// What its calls are answered without the sentry; of its address space.
  public var answers = StubAnswers()
  public var actions = SignalActions()
  public var limits = Limits()
  /// What getppid(2) gives: a process whose parent is none of the guests has the sandbox's first for one.
  public var parentID: Int32 { parent?.id ?? (id == 1 ? 0 : 1) }
  /// The last of its threads, once it has left: a zombie is shown by it.
  public internal(set) var remains: Task?
  /// The program's file, which /proc/PID/exe leads to.
  public var executable: Path?
  /// Keeps that file from being written while the process runs it.
  public var executed: ExecutedFile?
  var signalWatch: SignalWatch?
  /// Tasks that send it a signal by themselves and may not have come to it yet.
  var signallers: [Task] = []
  /// How often a signal may have become pending.
  var signalsSent: UInt64 = 0
  /// Woken when a signal may have become pending (signalfd(2)).
  public let signalQueue = WaitQueue()
  /// What its threads trace (ptrace(2)).
  public var tracees: [Tracee] = []
  /// Woken when one of them has stopped or ended, and for a tracer when a child has.
  public private(set) lazy var traceEvents = WaitQueue()
  /// It has traced, so that its threads may wait for children there.
  public var isTracer = false
  /// Children that have ended so far.
  public var endedChildren: UInt64 = 0
  /// Woken when the process has ended (pidfd_open(2)).
  public let ends = WaitQueue()
  public var traits = ProcessTraits()
  var undoing: [LeftSpace] = []
  public private(set) lazy var timers = ProcessTimers(self)
  public init(kernel: Kernel, id: Int32, parent: ThreadGroup?, session: Int32, processGroup: Int32) {
    self.kernel = kernel
    self.id = id
    self.parent = parent
    self.session = session
    self.processGroup = processGroup
    traits.startTime = kernel.now
  }
}
