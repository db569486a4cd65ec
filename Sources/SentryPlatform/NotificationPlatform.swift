import CLinux
public import Linux
public import SentryABI
public import SentryCalls
import SentryFiles
import SentryMemory
public import SentrySignals
public import SentryTasks
import SentryWait

/// Guests' calls by seccomp's user notification: the loop of the sentry. One thread; a call that sleeps is a task with a parked
/// notification, no thread of its own.
public final class NotificationPlatform: HostThreads {
  public let kernel: Kernel
  let table: CallTable
  var space: GuestSpace
  var files: ProcessFiles
  /// Tasks by the sentry's number for their threads.
  var byHost: [Int32: Task] = [:] {
    didSet { lastCaller = nil }
  }
  /// Who called last, which most often is who calls next.
  private var lastCaller: Task?
  var births: [Birth] = []
  /// Threads that are making another one: they have not called since.
  var cloning: [Task] = []
  var executions: [Execution] = []
  var held: [HeldCall] = []
  private var ticks: Ticks
  /// What guests trace; nil where calls come by a tracer themselves.
  private(set) var debugger: GuestDebugger?
  /// Looks at everything that come before calls alone are waited for again: something is about to happen.
  private var caution = 0
  /// Taken, not yet looked at.
  var waiting: [Notification] = []
  /// Processes by the descriptor that tells their end.
  var watched: [Int32: ThreadGroup] = [:]
  var launches: [Launch] = []
  /// Whether the keeper is at work on the first of them.
  var isLaunching = false
  /// The keeper's call, where it sleeps in one.
  var idleKeeper: UInt64?
  var orphanEnded = false
  /// Processes that one of their threads ends (exit_group(2)); others may still call.
  var leaving: Set<Int32> = []
  /// Processes whose end is the keeper's to wait for: programs that it started, and those whose parents ended. By the sentry's number.
  var keepersChildren: Set<Int32> = []
  /// Processes that ended, and at which of them those are dropped of whom nobody will hear again.
  var ends: UInt64 = 0
  var nextLook: UInt64 = 16
  /// The status of each process that the keeper waited for, by the guests' number: programs that were launched, and orphans.
  public var reaped: (_ process: Int32, _ status: Int32) -> Void = { _, _ in }
  /// The guests' number of each program that was launched, by the keeper's where that stands outside of their namespace.
  var launched: [Int32: Int32] = [:]
  /// Told of each call that ends with an error, with its row; nil costs nothing.
  public var failed: ((_ call: Call, _ error: Errno, _ row: CallRow?, _ task: Task) -> Void)?
  /// Somebody outside sent SIGALRM, which the platform keeps for itself.
  public var alarmed: () -> Void = {}
  /// For a thread that nothing is known of, by the guests' number; its process is killed.
  public var stray: (_ thread: Int32) -> Void = { _ in }
  public private(set) var hasEnded = false
  /// Calls that came to the sentry.
  public private(set) var served: UInt64 = 0
  /// Whether the stub may answer calls by itself, where it can. Processes that run keep what they have.
  public var answersInStub = true

  /// - Throws: what the host's epoll says.
  public init(_ kernel: Kernel, _ table: CallTable, _ space: consuming GuestSpace) throws(Errno) {
    self.kernel = kernel
    self.table = table
    self.space = space
    files = ProcessFiles(folder: self.space.processes.rawValue)
    ticks = try Ticks()
    super.init()
    try kernel.hostEvents.add(own: self.space.listener.number)
    try kernel.hostEvents.add(own: self.space.keeper.descriptor.rawValue)
    kernel.host = self
    if self.space.listener.tracer == nil {
      do throws(SystemError) { debugger = try GuestDebugger(self) } catch { throw error.errno }
      if let debugger { try kernel.hostEvents.add(own: debugger.descriptor.rawValue) }
    }
    // Without memory for it, or on a kernel that cannot seal it, everything is asked for.
    do throws(SystemError) { kernel.board = try AnswerBoard.make() } catch { answersInStub = false }
  }

  public override var isTracer: Bool { space.listener.tracer != nil }

  public override var processes: Int32 { space.processes.rawValue }

  /// Serves guests until there are none, or `goesOn` says no.
  public func run(while goesOn: () -> Bool) {
    while !hasEnded, goesOn() { step() }
  }

  /// One wait, and all that it brought.
  public func step() {
    lookAtReady()
    if mayWaitForCallsAlone, let notification = space.listener.nextUntilTick() {
      take(notification)
    } else {
      lookAtEverything()
    }
    while !waiting.isEmpty { handle(waiting.removeFirst()) }
  }

  private func take(_ notification: Notification) {
    if space.listener.tracer == nil { ticks.count() }
    handle(notification)
  }

  /// Whether nothing but a call is to be expected before the next tick.
  private var mayWaitForCallsAlone: Bool {
    guard ticks.areRunning, immure_has_ticked() == 0, space.listener.tracer == nil else { return false }
    if hasSignalled {
      hasSignalled = false
      caution = 32
    }
    if caution > 0 {
      caution -= 1
      return false
    }
    guard kernel.ready.isEmpty, waiting.isEmpty, leaving.isEmpty, !kernel.hostEvents.areAwaited,
      debugger?.isIdle != false
    else { return false }
    // A tick would be too late for it.
    guard let next = kernel.deadlines.next else { return true }
    return next > kernel.now &+ 8_000_000
  }

  private func lookAtEverything() {
    ticks.settle()
    if Ticks.takeAlarm() { alarmed() }
    var ended: [ThreadGroup] = []
    var hasCalls = false
    var hasStops = false
    kernel.hostEvents.wait(milliseconds: patience) { descriptor, events in
      if descriptor == space.listener.number {
        hasCalls = events.contains(.readable)
      } else if descriptor == space.keeper.descriptor.rawValue {
        hasEnded = true
      } else if descriptor == debugger?.descriptor.rawValue {
        hasStops = true
      } else if let group = watched[descriptor] {
        ended.append(group)
      }
    }
    if !ended.isEmpty { space.listener.tracer?.collect() }
    // A process that ended is its parent's to wait for only once its tracer has heard.
    if let debugger, hasStops || debugger.hasMore || !ended.isEmpty && !debugger.isIdle { debugger.collect() }
    for group in ended { finish(group) }
    if kernel.deadlines.next != nil { kernel.deadlines.fire(now: kernel.now) }
    // What the wait told of may have been taken since, before a signal was sent: to ask for it again would be to sleep.
    if hasCalls || space.listener.hasMore, !hasEnded, waiting.isEmpty, let notification = space.listener.next() {
      take(notification)
    }
  }

  /// Milliseconds until the next deadline, rounded up; -1 for ever.
  private var patience: Int32 {
    if !kernel.ready.isEmpty || !waiting.isEmpty || space.listener.hasMore || debugger?.hasMore == true { return 0 }
    guard let next = kernel.deadlines.next else { return -1 }
    let now = kernel.now
    return next <= now ? 0 : Int32(truncatingIfNeeded: min((next - now + 999_999) / 1_000_000, 1 << 30))
  }

  private func lookAtReady() {
    while !kernel.ready.isEmpty {
      let ready = kernel.ready
      kernel.ready.removeAll(keepingCapacity: true)
      for task in ready {
        task.waiter.taken()
        guard task.parked != nil else { continue }
        if !executions.isEmpty, isHeldBack(task) {
          holdBack(task, nil)
          continue
        }
        // It may get a number that another thread of its process has closed meanwhile.
        if task.group.answers.mayHaveClosed { task.settleCloses() }
        task.beginLook()
        look(task)
      }
    }
  }

  private func handle(_ notification: Notification) {
    served &+= 1
    if notification.thread == space.keeper.pid { return serveKeeper(notification) }
    if notification.number == StubCall.hello { return load(notification) }
    guard let task = caller(notification) else {
      // Its process ends this moment by another thread's call: no answer is wanted.
      return refuse(notification)
    }
    if !births.isEmpty || !cloning.isEmpty { settle(task) }
    if !executions.isEmpty {
      endExecution(of: task)
      if isHeldBack(task) { return holdBack(task, notification) }
    }
    if isLaunching, launches.first?.task === task, serveLaunch(notification, task) { return }
    if task.hasAftermath { task.settleAftermath() }
    if task.traits.isStrict, CallTable.isForbiddenStrictly(notification.number) {
      // As seccomp(2) says of SECCOMP_MODE_STRICT. It dies of it, whatever it is told.
      _ = systemCall(Int(SYS_kill), word(task.group.hostID), UInt(SIGKILL))
      return space.listener.answer(notification.id, value: 0, error: -EPERM)
    }
    if task.group.answers.mayHaveClosed { task.settleCloses() }
    if answersInStub { beginAnswer(notification.number, notification.instructionPointer, task) }
    let a = notification.arguments
    task.parked = ParkedCall(
      call: Call(
        number: notification.number,
        arguments: (
          GuestWord(a.0), GuestWord(a.1), GuestWord(a.2), GuestWord(a.3), GuestWord(a.4), GuestWord(a.5)
        ), instructionPointer: notification.instructionPointer), id: notification.id)
    look(task)
  }

  /// What a tracer's wait4(2) became on its way; whoever else says so is told that there is no such call.
  private func waitsForTracee(_ number: Int32) -> Bool {
    debugger != nil && (number == StubCall.waitsForTracee || number == StubCall.waitsForTraceeByID)
  }

  private func answer(_ handler: CallTable.Handler?, _ call: Call, _ task: Task) throws(Errno) -> Outcome {
    if let handler { return try handler.answer(call, task) }
    guard let debugger else { throw .notImplemented }
    return try debugger.wait(call, task)
  }

  private func caller(_ notification: Notification) -> Task? {
    if !births.isEmpty { dropVanished(notification.thread) }
    if let lastCaller, lastCaller.hostID == notification.thread { return lastCaller }
    let task = byHost[notification.thread] ?? bind(notification)
    lastCaller = task
    return task
  }

  /// Asks the call's handler, again where it slept.
  private func look(_ task: Task) {
    guard let parked = task.parked else { return }
    let handler = table.handler(parked.call.number)
    guard handler != nil || waitsForTracee(parked.call.number) else {
      failed?(parked.call, .notImplemented, nil, task)
      space.listener.answer(parked.id, value: 0, error: -ENOSYS)
      return task.endCall()
    }
    do throws(Errno) {
      switch try answer(handler, parked.call, task) {
      case .value(let value):
        if task.group.answers.isAnswerable { leadNext(parked.call, task) }
        space.listener.answer(parked.id, value: value)
      case .native where space.filter.mayContinue(parked.call.number): space.listener.proceed(parked.id)
      // No handler says so of another call: it would be a fault of the sentry's.
      case .native: space.listener.answer(parked.id, value: 0, error: -ENOSYS)
      case .blocked: return task.fallAsleep()
      case .gone: break
      }
    } catch {
      if task.group.answers.isAnswerable { leadNext(parked.call, task) }
      failed?(parked.call, error, table[parked.call.number], task)
      space.listener.answer(parked.id, value: 0, error: -error.rawValue)
    }
    task.endCall()
  }

  // What handlers ask.

  public override var filterPrologue: [UInt8] {
    space.listener.tracer == nil ? FilterPrologue.notified : FilterPrologue.traced
  }

  public override func receiveWaiting() {
    while space.listener.hasNext() {
      guard let notification = space.listener.next() else { continue }
      waiting.append(notification)
    }
  }

  public override func end(_ task: Task, with value: Int64) {
    guard let parked = task.parked else { return }
    space.listener.answer(
      parked.id, value: max(value, 0), error: value < 0 ? Int32(truncatingIfNeeded: value) : 0)
    task.endCall()
  }

  public override func inject(_ descriptor: Int32, as number: Int32, for task: Task) throws(Errno) {
    guard let parked = task.parked else { throw .noProcess }
    if task.descriptors.takeClosing(number) { awaitClose(number, task) }
    _ = try space.listener.inject(descriptor, as: number, during: parked.id)
  }

  /// Another thread was let close this number and may not have come to it: it would close what the number stands for next. It is within the
  /// call, which nothing but the want of a processor delays.
  private func awaitClose(_ number: Int32, _ task: Task) {
    let limit = Clock.monotonicNanoseconds() &+ 1_000_000_000
    while files.has(descriptor: number, of: task.hostID), Clock.monotonicNanoseconds() < limit { letOthersRun() }
  }

  public override func expect(_ child: Task, of parent: Task, flags: UInt64) throws(Errno) {
    let birth = Birth(child: child, parent: parent, flags: flags)
    prepareAnswers(of: birth)
    births.append(birth)
    if birth.isThread { cloning.append(parent) }
  }

  public override func execute(
    _ image: ProgramImage, path: [UInt8]?, descriptor: Int32, gives: Bool, for task: Task,
    _ done: @escaping (Task) -> Void
  ) throws(Errno) { try begin(image, path: path, descriptor: descriptor, gives: gives, for: task, done) }

  public override func isExpectingThread(of group: ThreadGroup) -> Bool { births.contains { $0.child.group === group } }

  public override var expected: [Task] { births.map(\.child) }

  public override func isGaining(_ group: ThreadGroup) -> Bool {
    executions.contains { $0.gives && $0.task.group === group }
  }

  public override func expectedThreads(of group: ThreadGroup) -> Int? { threadsOnTheirWay(in: group) }

  public override func ending(_ task: Task, wholeGroup: Bool) {
    if wholeGroup { leaving.insert(task.group.hostID) }
    endAnswers(of: task, wholeGroup: wholeGroup)
    for each in wholeGroup ? task.group.tasks : [task] {
      settle(each)
      forget(each)
    }
  }

  public override func isStopped(_ task: Task) -> Bool {
    space.listener.tracer?.stopped.contains(task.hostID) ?? super.isStopped(task)
  }

  public override func delivers(_ task: Task, under mask: SignalBits) -> Bool {
    guard let tracer = space.listener.tracer else { return false }
    guard let parked = task.parked, let own = Tracing.exchangeMask(task.hostID, mask.bits),
      let thread = tracer.prepareAnswer(parked.id, value: 0, error: -EINTR)
    else { return true }
    let memory = task.memory
    task.endCall()
    // The first stop is at the call's end, the next before the signal.
    if let first = step(thread), let signal = first == Signal.trap ? step(thread) : first {
      deliver(signal, to: thread, memory, own)
    }
    Tracing.resume(thread)
    return true
  }

  public override func trace(_ task: Task, by tracer: Task, _ beginning: TraceBeginning, options: UInt32)
    throws(Errno)
  {
    // Where the sentry takes calls as a tracer, the one that a thread can have is there already.
    guard let debugger else { throw .notPermitted }
    try debugger.trace(task, by: tracer, beginning, options: options)
  }

  public override func request(
    _ number: Int32, _ tracee: Tracee, _ address: UInt64, _ data: UInt64, by tracer: Task
  ) throws(Errno) -> Int64 {
    guard let debugger else { throw .noProcess }
    return try debugger.request(number, tracee, address, data, by: tracer)
  }

  /// The task's thread is no more.
  func forget(_ task: Task) {
    if byHost[task.hostID] === task { byHost[task.hostID] = nil }
    if lastCaller === task { lastCaller = nil }
    cloning.removeAll { $0 === task }
    held.removeAll { $0.task === task }
    if !executions.isEmpty { endExecution(of: task) }
    if !task.group.tracees.isEmpty { debugger?.ended(tracer: task) }
    task.leave()
  }
}
