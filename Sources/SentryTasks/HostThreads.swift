public import Linux
public import SentrySignals

/// What the sentry asks of the host's kernel about the threads that run its guests. The platform overrides it; this one, which can
/// do nothing, stands in for it in tests.
open class HostThreads {
  public init() {}

  /// Whether a signal was sent since somebody asked last: a process may be about to end.
  public final var hasSignalled = false

  /// Threads that are being made to look at what is pending, by the host's number (HostThreads+Nudge.swift).
  final var nudges: [Int32: Nudge] = [:]

  /// Told of a thread, by the host's number, that did not stop when it was made to, and whose process is killed for it.
  public final var isLost: (_ thread: Int32) -> Void = { _ in }

  /// Whether all threads are traced anyway.
  open var isTracer: Bool { false }

  /// A procfs whose numbers are the tasks' `hostID`, as an open folder.
  open var processes: Int32 { -1 }

  /// Takes every call that waits at the host's door, so that no thread stands in front of it when a signal is sent: a call that was not
  /// received yet would end with EINTR.
  open func receiveWaiting() {}

  /// Answers a task's parked call from outside of it.
  /// - Parameter value: as the host's kernel takes it: also -512 (ERESTARTSYS) and its kin, where a signal is pending that the
  ///   thread does not block.
  open func end(_ task: Task, with value: Int64) { task.endCall() }

  /// Gives the process of a task that is in a call an open file of the sentry's, under a number of the caller's choice; what had it
  /// in the host's table is closed. It always is close-on-exec.
  open func inject(_ descriptor: Int32, as number: Int32, for task: Task) throws(Errno) { throw .notImplemented }

  /// Makes the host's kernel perform the execve(2) that a task is in, with the sentry's program behind the name; what that program then
  /// loads is `image`. Answer `.native` after it.
  /// - Parameters:
  ///   - path: as the guest gave it, without its NUL; nil for execveat(2) of a descriptor, at `descriptor`.
  ///   - gives: the program gets what its caller has not, so that it must be beyond doubt that it was executed.
  ///   - done: called once the old image is gone: the other threads have ended, the task has its process's id. Not called where the
  ///     host's kernel refused (E2BIG, EFAULT, ENOMEM).
  open func execute(
    _ image: ProgramImage, path: [UInt8]?, descriptor: Int32, gives: Bool, for task: Task,
    _ done: @escaping (Task) -> Void
  ) throws(Errno) { throw .notImplemented }

  /// Before the host's kernel performs a clone(2) or its kin: `child` is what the new thread or process will be.
  open func expect(_ child: Task, of parent: Task, flags: UInt64) throws(Errno) { throw .notImplemented }

  /// Whether a thread of the process has been made, or is about to be, whose number the sentry does not know yet.
  open func isExpectingThread(of group: ThreadGroup) -> Bool { false }

  /// Threads and processes that are being made, or are, and have not called yet.
  open var expected: [Task] { [] }

  /// Whether the process is executing a program that gets what its caller has not: until that is known to have come about, nobody may look into
  /// it or change it by what it was before.
  open func isGaining(_ group: ThreadGroup) -> Bool { false }

  /// Threads of the process that share its descriptors and whose numbers the sentry does not know yet.
  /// - Returns: nil while what is told of descriptors may come to another process: one is being made, or a program executed.
  open func expectedThreads(of group: ThreadGroup) -> Int? { 0 }

  /// Instructions (struct sock_filter, 8 bytes each) that must stand before every filter of a guest's own.
  open var filterPrologue: [UInt8] { [] }

  /// Whether job control has stopped the thread.
  open func isStopped(_ task: Task) -> Bool { status(task).state == UInt8(ascii: "T") }

  /// Ends a call with EINTR and has what `mask` does not block delivered under it, where the thread is traced anyway.
  /// - Returns: false where it is not: nothing was done.
  open func delivers(_ task: Task, under mask: SignalBits) -> Bool { false }

  /// Makes a thread one's tracee (ptrace(2)); who may has been looked at.
  /// - Throws: EPERM where the host's kernel or the way that calls come does not allow it.
  open func trace(_ task: Task, by tracer: Task, _ beginning: TraceBeginning, options: UInt32) throws(Errno) {
    throw .notPermitted
  }

  /// Any other request about a tracee of the caller's.
  /// - Returns: what ptrace(2) gives.
  open func request(_ number: Int32, _ tracee: Tracee, _ address: UInt64, _ data: UInt64, by tracer: Task)
    throws(Errno) -> Int64
  { throw .noProcess }

  /// The thread, or its whole process, ends with the call that it is in.
  open func ending(_ task: Task, wholeGroup: Bool) {}
}

/// What a process starts as: files to be mapped by the program behind every name, in its own words (guest/stub.c).
public struct ProgramImage: Sendable {
  /// Bytes of `struct plan` with numbers of descriptors left open.
  public var plan: [UInt8]
  /// The program's, then the interpreter's; descriptors of the sentry's, kept open until the image is loaded.
  public var descriptors: [Int32]
  public init(plan: [UInt8], descriptors: [Int32]) {
    self.plan = plan
    self.descriptors = descriptors
  }
}
