public import Linux
public import SentryABI
import SentrySignals
public import SentryWait

/// The timers of a process: three of setitimer(2), and those of timer_create(2). They belong to the sentry, which sends the signal.
public final class ProcessTimers {
  private unowned let group: ThreadGroup
  /// ITIMER_REAL, ITIMER_VIRTUAL and ITIMER_PROF.
  private var intervals: [Timer?] = [nil, nil, nil]
  private var timers: [Int32: Timer] = [:]
  private var next: Int32 = 0
  var count: Int { timers.count }

  init(_ group: ThreadGroup) { self.group = group }

  /// execve(2) and exit: timers of timer_create(2) go; those of setitimer(2) stay over execve.
  func drop() {
    for timer in timers.values { timer.stop() }
    timers = [:]
    next = 0
    if group.traits.hasEnded {
      for timer in intervals { timer?.stop() }
      intervals = [nil, nil, nil]
    }
  }

  /// One of setitimer(2)'s, made when first asked for.
  /// - Parameter kind: ITIMER_REAL 0, ITIMER_VIRTUAL 1, ITIMER_PROF 2.
  public func interval(_ kind: Int32) -> Timer? {
    guard kind >= 0, kind < 3 else { return nil }
    if let timer = intervals[Int(kind)] { return timer }
    let signals = [Signal.alarm, Signal.virtualAlarm, Signal.profiling]
    let clocks = [
      GuestClock.wall(1), .processor(of: 0, isThread: false, kind: 1), .processor(of: 0, isThread: false, kind: 0),
    ]
    let timer = Timer(group, id: nil, clocks[Int(kind)], signal: signals[Int(kind)], value: 0, thread: nil)
    intervals[Int(kind)] = timer
    return timer
  }

  /// timer_create(2).
  /// - Throws: EAGAIN beyond as many as signals may be pending (RLIMIT_SIGPENDING), 4096 at most.
  public func create(_ clock: GuestClock, signal: Int32, value: UInt64?, thread: Task?) throws(Errno) -> Timer {
    let bound = min(group.limits[Limits.pendingSignals].soft, 4096)
    guard UInt64(timers.count) < bound else { throw .again }
    while timers[next] != nil { next = next == .max ? 0 : next + 1 }
    let timer = Timer(group, id: next, clock, signal: signal, value: value ?? UInt64(next), thread: thread)
    timers[next] = timer
    next = next == .max ? 0 : next + 1
    return timer
  }

  /// - Throws: EINVAL.
  public func timer(_ id: Int32) throws(Errno) -> Timer {
    guard let timer = timers[id] else { throw .invalid }
    return timer
  }

  /// timer_delete(2).
  public func delete(_ id: Int32) throws(Errno) {
    try timer(id).stop()
    timers[id] = nil
  }
}

/// A timer that sends a signal.
public final class Timer: Waiter {
  private weak var group: ThreadGroup?
  /// Of timer_create(2); nil for setitimer(2)'s.
  public let id: Int32?
  public let clock: GuestClock
  private let signal: Int32
  private let value: UInt64
  private weak var thread: Task?
  private let isForThread: Bool
  private var token: Deadlines.Token?
  /// When it fires next: of CLOCK_MONOTONIC, or of the processor clock; nil while it is off.
  private var expiry: UInt64?
  private var earliest: UInt64 = 0
  /// Nanoseconds from one firing to the next; 0 for one only.
  public private(set) var period: UInt64 = 0
  /// Firings beyond the first that the last signal stood for (timer_getoverrun(2)).
  public private(set) var overruns: Int32 = 0

  init(_ group: ThreadGroup, id: Int32?, _ clock: GuestClock, signal: Int32, value: UInt64, thread: Task?) {
    self.group = group
    self.id = id
    self.clock = clock
    self.signal = signal
    self.value = value
    self.thread = thread
    isForThread = thread != nil
  }

  /// Nanoseconds until it fires; 0 while it is off.
  public var remaining: UInt64 {
    guard let expiry else { return 0 }
    let now = reading
    if expiry > now { return expiry - now }
    // One that tells nobody is not woken: it is as far as it would be.
    if signal == 0 { return period == 0 ? 0 : period - (now - expiry) % period }
    // One that is due has not fired yet: a timer that is on never shows 0.
    return 1
  }

  /// - Parameters:
  ///   - time: nanoseconds; 0 puts it off.
  ///   - isAbsolute: of its clock.
  public func set(_ time: TimeSpec, period: UInt64, isAbsolute: Bool) throws(Errno) {
    stop()
    self.period = period
    overruns = 0
    if time.total == 0 { return }
    switch clock {
    case .wall(let number):
      guard let now = group?.kernel.now else { return }
      expiry = isAbsolute ? try GuestClock.deadline(number, at: time) : now.later(by: time.total)
    case .processor:
      expiry = isAbsolute ? time.total : reading.later(by: time.total)
    }
    arm()
  }

  public func stop() {
    if let token { group?.kernel.deadlines.cancel(token) }
    token = nil
    expiry = nil
  }

  private var reading: UInt64 {
    guard let group else { return 0 }
    if case .wall = clock { return group.kernel.now }
    guard let task = group.tasks.first else { return 0 }
    // A process that is gone runs no more.
    do throws(Errno) { return try clock.now(task).total } catch { return .max }
  }

  /// A processor clock runs at most as fast as the process has threads, so the sentry looks when it could have come at the earliest, at
  /// most a thousand times a second.
  private func arm() {
    guard let group, let expiry, signal != 0 else { return }
    var time = max(expiry, earliest)
    if case .processor = clock {
      let now = reading
      if now == .max { return }
      let left = expiry > now ? expiry - now : 0
      time = group.kernel.now.later(by: max(left / UInt64(max(1, group.tasks.count)), 1_000_000))
    }
    token = group.kernel.deadlines.add(self, at: time)
  }

  public override func wake(_ events: PollEvents) {
    token = nil
    guard let group, !group.traits.hasEnded, let due = expiry else { return }
    let now = reading
    if now < due {
      arm()
      return
    }
    // The last signal still waits for the guest: this firing is one of its overruns.
    let isWaiting = id != nil && isPending(group)
    overruns = isWaiting ? overruns &+ 1 : 0
    if period > 0 {
      let missed = (now - due) / period
      overruns = Int32(clamping: UInt64(UInt32(bitPattern: overruns)).later(by: missed))
      expiry = due.later(by: period &* (missed &+ 1))
      // While its last signal waits there is nothing to do but to count: not so often that very many timers would take all of the sentry's time.
      if isWaiting { earliest = group.kernel.now.later(by: 1_000_000 &+ 100_000 &* UInt64(group.timers.count)) }
      arm()
    } else {
      expiry = nil
    }
    if !isWaiting { send(group) }
  }

  private func isPending(_ group: ThreadGroup) -> Bool {
    guard let task = isForThread ? thread : group.tasks.first else { return false }
    let status = group.kernel.host.status(task)
    return (isForThread ? status.pending : status.sharedPending).contains(signal)
  }

  private func send(_ group: ThreadGroup) {
    if signal == 0 { return }
    let info = id.map { SignalInfo(signal: signal, timer: $0, overruns: overruns, value: value) }
    // A thread or process that has just gone gets none.
    do throws(Errno) {
      if !isForThread {
        try group.kernel.send(signal, to: group, info: info)
      } else if let thread {
        try group.kernel.send(signal, to: thread, info: info)
      }
    } catch {}
  }
}
