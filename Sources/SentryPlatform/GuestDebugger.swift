import CLinux
import Linux
import SentryABI
import SentryCalls
import SentryMemory
import SentrySignals
import SentryTasks
import SentryWait

/// ptrace(2) between guests. The host lets a thread have one tracer, whose requests it does not check as the sentry must; so the sentry is
/// that tracer, and passes on what a guest asks about its tracees and what they stop at. Of an execve(2) a tracer hears when the stub has
/// loaded the program: the stub's own calls are nobody's.
///
/// Attacker: a guest that traces what it may trace, in any order, with any words. It gains nothing over the sentry: registers and memory of a
/// guest are the guest's in any case, calls that it has another make pass the filter and the sentry, and it reaches tracees of its own alone.
final class GuestDebugger {
  private unowned let platform: NotificationPlatform
  /// Readable where a thread has stopped (SIGCHLD).
  let descriptor: FileDescriptor
  /// By the host's number for the thread.
  private var traced: [Int32: TracedGuest] = [:]
  private var detours: [Int32: WaitDetour] = [:]

  init(_ platform: NotificationPlatform) throws(SystemError) {
    self.platform = platform
    let child: SignalSet = [SIGCHLD]
    try child.block()
    descriptor = try child.descriptor()
  }

  /// Whether stops are to be expected.
  var isIdle: Bool { traced.isEmpty && detours.isEmpty }

  // MARK: - Beginnings

  func trace(_ task: Task, by tracer: Task, _ beginning: TraceBeginning, options: UInt32) throws(Errno) {
    guard task.hostID > 0, tracer.hostID > 0, traced[task.hostID] == nil else { throw .notPermitted }
    // The sentry may be tracing it this moment for a signal (HostThreads+Nudge.swift).
    platform.finish(nudge: task.hostID)
    platform.finish(nudge: tracer.hostID)
    try detour(tracer)
    let isSeized = beginning == .seized
    let request = isSeized ? TraceRequest.seize : TraceRequest.attach
    let result = TraceRequest.ask(
      request, task.hostID, 0, isSeized ? UInt(TraceRequest.hostOptions(options)) : 0)
    // Gone, or another call's mask has a signal delivered to it this moment.
    guard result >= 0 else { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
    let asker = beginning == .asked ? task : tracer
    let tracee = Tracee(
      task, tracer: tracer, isSeized: isSeized, isTrusted: asker.credentials.has(Capability.trace), options: options)
    traced[task.hostID] = TracedGuest(
      tracee, thread: task.hostID, isSeized ? .runs : .begins(reports: beginning == .attached))
    // Its tracer is to see all of its calls.
    task.group.answers.giveWayToFilter()
    if beginning == .attached { platform.kernel.interrupt(task) }
  }

  /// Who traces waits through the sentry: a thread that sleeps in the host's wait4(2) would hear of nobody.
  private func detour(_ tracer: Task) throws(Errno) {
    if detours[tracer.hostID] != nil { return }
    guard traced[tracer.hostID] == nil else { throw .notPermitted }
    guard TraceRequest.ask(TraceRequest.seize, tracer.hostID, 0, UInt(TraceRequest.hostOptions(0) & ~0x10)) >= 0,
      TraceRequest.ask(TraceRequest.interrupt, tracer.hostID) >= 0
    else { throw .notPermitted }
    detours[tracer.hostID] = WaitDetour(tracer)
    tracer.group.isTracer = true
  }

  // MARK: - Stops

  /// Stops are left that nobody tells of once more.
  private(set) var hasMore = false
  /// A thread that stops again and again does not keep everybody else waiting.
  private static let rounds = 16

  /// Takes in the stops and ends that there are.
  func collect() {
    // One signal may stand for many stops.
    do throws(SystemError) { while try SignalSet.next(descriptor.rawValue) != nil {} } catch {}
    hasMore = !isIdle
    for _ in 0..<Self.rounds where hasMore { hasMore = look() }
  }

  /// One look at each thread.
  private func look() -> Bool {
    var found = false
    // A process that another of its threads executes a program in goes on under its own number: those are asked about first.
    let leaders = Set(traced.values.map { $0.tracee.task.group.hostID })
    for thread in Array(leaders) + traced.keys.filter({ !leaders.contains($0) }) {
      switch TraceRequest.wait(thread) {
      case .nothing: break
      case .gone: if let guest = traced[thread] { vanished(guest) }
      case .status(let status):
        found = true
        took(thread, status)
      }
    }
    let tracers = Set(detours.values.map(\.process))
    for thread in Array(tracers) + detours.keys.filter({ !tracers.contains($0) }) {
      switch TraceRequest.wait(thread) {
      case .nothing: break
      case .gone: detours[thread] = nil
      case .status(let status):
        found = true
        if detours[thread] == nil, let old = detours.first(where: { $0.value.process == thread }) {
          detours[old.key] = nil
          detours[thread] = old.value
          old.value.thread = thread
        }
        if let detour = detours[thread], !detour.stopped(status) { detours[thread] = nil }
      }
    }
    return found
  }

  /// A leader whose number another thread has taken with an execve(2): nobody hears of its end (ptrace(2), "execve(2) under ptrace").
  private func vanished(_ guest: TracedGuest) {
    if traced[guest.thread] === guest { traced[guest.thread] = nil }
    guest.tracee.release()
  }

  private func took(_ thread: Int32, _ status: Int32) {
    if status & 0xff == 0x7f, status >> 16 == TraceRequest.Event.exec { settleNumber(thread) }
    guard let guest = traced[thread] else { return }
    if status & 0xff != 0x7f { return ended(guest, status) }
    let (signal, event) = (status >> 8 & 0xff, status >> 16)
    switch guest.phase {
    case .leaves: return detach(guest, signal: event == 0 && signal != SIGSTOP && signal & 0x80 == 0 ? signal : 0)
    case .begins(let reports):
      // ATTACH's own stop, of which one that asked to be traced hears nothing.
      guard event == 0, signal == SIGSTOP else {
        return reports ? report(guest, status) : guest.go(signal: event == 0 ? signal : 0)
      }
      guest.phase = .runs
      guest.setOptions()
      return reports ? report(guest, status) : guest.go()
    case .loads:
      if guest.load(event: event, signal: signal) { loaded(guest) }
      return
    case .runs: break
    }
    switch event {
    case TraceRequest.Event.exec: guest.beginLoading()
    case TraceRequest.Event.fork, TraceRequest.Event.vfork, TraceRequest.Event.clone:
      report(guest, status, message: born(of: guest).map { UInt64(UInt32(bitPattern: $0)) })
    default: report(guest, status)
    }
  }

  /// A thread that executed a program has its process's number now.
  private func settleNumber(_ leader: Int32) {
    guard let former = TraceRequest.message(leader).map({ Int32(truncatingIfNeeded: $0) }), former != leader else {
      return
    }
    traced[leader]?.tracee.release()
    traced[leader] = traced.removeValue(forKey: former)
    traced[leader]?.thread = leader
  }

  /// - Returns: what guests call the thread or process that was made, which is its parent's tracer's too.
  private func born(of guest: TracedGuest) -> Int32? {
    guard let thread = TraceRequest.message(guest.thread).map({ Int32(truncatingIfNeeded: $0) }),
      let tracer = guest.tracee.tracer, let child = platform.adopt(thread)
    else { return nil }
    let tracee = Tracee(
      child, tracer: tracer, isSeized: guest.tracee.isSeized, isTrusted: guest.tracee.isTrusted,
      options: guest.tracee.options)
    traced[thread] = TracedGuest(tracee, thread: thread, .runs)
    return child.id
  }

  private func report(_ guest: TracedGuest, _ status: Int32, message: UInt64? = nil, made: Tracee.MadeStop? = nil) {
    var status = status
    // PTRACE_O_TRACESYSGOOD.
    if status >> 8 == SIGTRAP | 0x80, guest.tracee.options & 1 == 0 { status &= ~0x8000 }
    let said = message ?? (status >> 16 == 0 ? 0 : TraceRequest.message(guest.thread) ?? 0)
    guest.tracee.stop = Tracee.Stop(status: status, message: said, made: made)
    tell(guest.tracee)
  }

  /// As do_notify_parent_cldstop() of kernel/signal.c.
  private func tell(_ tracee: Tracee) {
    guard let group = tracee.tracer?.group else { return }
    group.traceEvents.wake()
    let action = group.actions[Signal.child]
    if action.isIgnored || action.flags & SignalAction.noChildStops != 0 { return }
    // It may have ended.
    do throws(Errno) { try platform.kernel.send(Signal.child, to: group) } catch {}
  }

  private func ended(_ guest: TracedGuest, _ status: Int32) {
    traced[guest.thread] = nil
    let tracee = guest.tracee
    guard let tracer = tracee.tracer, guest.isTraced else { return tracee.release() }
    let group = tracee.task.group
    if group.parent === tracer.group, tracee.id == group.id {
      // Its tracer's own child: the host tells of its end.
      tracee.release()
      tracer.group.endedChildren &+= 1
      return tracer.group.traceEvents.wake()
    }
    tracee.task.tracee = nil
    tracee.stop = Tracee.Stop(status: status)
    tell(tracee)
  }

  // MARK: - Executing a program

  /// A thread has, and the others of its process are gone: what has one of their numbers now is nobody's tracee for that.
  func executed(_ task: Task) {
    for guest in traced.values where guest.tracee.task.group === task.group && guest.tracee.task !== task {
      vanished(guest)
    }
  }

  private func loaded(_ guest: TracedGuest) {
    if !guest.isTraced { return detach(guest, signal: 0) }
    let tracee = guest.tracee
    if tracee.options & TraceRequest.traceExec != 0 {
      guest.upcoming = [.executed]
    } else {
      guest.upcoming = guest.last == TraceRequest.syscall ? [.callEnd] : []
      if !tracee.isSeized { guest.upcoming.append(.trap) }
    }
    advance(guest, signal: 0)
  }

  private func advance(_ guest: TracedGuest, signal: Int32) {
    if guest.upcoming.isEmpty { return guest.go(signal: signal) }
    let stop = guest.upcoming.removeFirst()
    let id = UInt64(UInt32(bitPattern: guest.tracee.id))
    let trap = SIGTRAP << 8 | 0x7f
    switch stop {
    case .executed: report(guest, trap | TraceRequest.Event.exec << 16, message: id, made: stop)
    case .callEnd: report(guest, trap | 0x8000, message: 0, made: stop)
    case .trap: report(guest, trap, message: 0, made: stop)
    }
  }

  // MARK: - Requests

  func request(_ number: Int32, _ tracee: Tracee, _ address: UInt64, _ data: UInt64, by tracer: Task) throws(Errno)
    -> Int64
  {
    guard let guest = traced.values.first(where: { $0.tracee === tracee }), !platform.isHeldBack(tracee.task) else {
      throw .noProcess
    }
    if number == TraceRequest.kill {
      _ = systemCall(Int(SYS_kill), word(tracee.task.group.hostID), UInt(SIGKILL))
      return 0
    }
    if number == Int32(TraceRequest.interrupt) {
      guard tracee.isSeized else { throw .inputOutput }
      if tracee.stop != nil { return 0 }
      _ = TraceRequest.ask(TraceRequest.interrupt, guest.thread)
      platform.kernel.interrupt(tracee.task)
      return 0
    }
    guard let stop = tracee.stop, !stop.isEnd else { throw .noProcess }
    switch UInt(bitPattern: Int(number)) {
    case TraceRequest.cont, TraceRequest.syscall, TraceRequest.step, TraceRequest.stepBlock, TraceRequest.emulate,
      TraceRequest.emulateStep:
      guard data <= UInt64(Signal.last) else { throw .inputOutput }
      tracee.stop = nil
      guest.last = UInt(bitPattern: Int(number))
      var signal = Int32(truncatingIfNeeded: data)
      if stop.made == .executed {
        signal = 0
        if guest.last == TraceRequest.syscall { guest.upcoming.insert(.callEnd, at: 0) }
      }
      advance(guest, signal: signal)
      return 0
    case TraceRequest.listen:
      guard tracee.isSeized, stop.status >> 16 == TraceRequest.Event.stop,
        TraceRequest.ask(TraceRequest.listen, guest.thread) >= 0
      else { throw .inputOutput }
      tracee.stop = nil
      return 0
    case TraceRequest.detach:
      guard data <= UInt64(Signal.last) else { throw .inputOutput }
      detach(guest, signal: stop.made == .executed ? 0 : Int32(truncatingIfNeeded: data))
      return 0
    default: return try guest.answer(number, address, data, stop, tracer.memory)
    }
  }

  // MARK: - Ends

  private func detach(_ guest: TracedGuest, signal: Int32) {
    _ = TraceRequest.ask(TraceRequest.detach, guest.thread, 0, UInt(signal))
    traced[guest.thread] = nil
    guest.tracee.release()
  }

  /// A thread has ended: whom it traced goes on by himself, or ends with it.
  func ended(tracer: Task) {
    for guest in traced.values where guest.tracee.tracer === tracer && guest.isTraced {
      guest.isTraced = false
      // PTRACE_O_EXITKILL.
      if guest.tracee.options & 1 << 20 != 0 {
        _ = systemCall(Int(SYS_kill), word(guest.tracee.task.group.hostID), UInt(SIGKILL))
      }
      if case .loads = guest.phase { continue }
      if guest.tracee.stop != nil {
        detach(guest, signal: 0)
      } else {
        guest.phase = .leaves
        if TraceRequest.ask(TraceRequest.interrupt, guest.thread) < 0 {
          _ = systemCall(
            Int(SYS_tgkill), word(guest.tracee.task.group.hostID), word(guest.thread), UInt(SIGSTOP))
        }
        platform.kernel.interrupt(guest.tracee.task)
      }
    }
    tracer.group.tracees.removeAll { $0.tracer === tracer }
  }

  // MARK: - Waiting

  /// One look of wait4(2) or waitid(2), made by a thread that traces.
  func wait(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    guard let detour = detours[task.hostID] else { throw .notImplemented }
    let wait = TraceeWait(call, byID: call.number == StubCall.waitsForTraceeByID)
    if let found = try wait.find(task) { return found }
    // Children may have ended meanwhile: the host knows.
    guard detour.mayPark else {
      detour.asksHost = true
      return .zero
    }
    if wait.isForStops { detour.askAgain() }
    return task.wait(on: task.group.traceEvents)
  }
}

extension NotificationPlatform {
  /// A thread that has made no call yet, as its parent's tracer hears of it.
  func adopt(_ thread: Int32) -> Task? {
    if let task = byHost[thread] { return task }
    var notification = Notification()
    notification.thread = thread
    return bind(notification)
  }
}
