import Linux
import SentryABI
import SentryMemory
import SentrySignals
import SentryTasks

/// Timers that send signals (setitimer(2), alarm(2), timer_create(2)).
enum TimerCalls {
  static let rows: [CallRow] = [
    CallRow(36, "getitimer") { (call, task) throws(Errno) in
      guard let timer = task.group.timers.interval(call.arguments.0.int32) else { throw .invalid }
      try task.memory.store(setting(timer, inMicroseconds: true), at: call.arguments.1.address)
      return .zero
    },
    CallRow(38, "setitimer", .part("siginfo_t says SI_USER")) { (call, task) throws(Errno) in
      guard let timer = task.group.timers.interval(call.arguments.0.int32) else { throw .invalid }
      var period = TimeSpec(seconds: 0, nanoseconds: 0)
      var time = period
      // A null pointer puts the timer off: what Linux still does for old programs.
      if !call.arguments.1.address.isNull {
        let bytes = try task.memory.bytes(call.arguments.1.address, count: 32)
        period = try timeval(bytes, at: 0)
        time = try timeval(bytes, at: 16)
      }
      let old = call.arguments.2.address
      let before = setting(timer, inMicroseconds: true)
      try timer.set(time, period: period.total, isAbsolute: false)
      if !old.isNull { try task.memory.store(before, at: old) }
      return .zero
    },
    CallRow(37, "alarm", .part("siginfo_t says SI_USER")) { (call, task) throws(Errno) in
      guard let timer = task.group.timers.interval(0) else { throw .invalid }
      let left = timer.remaining
      try timer.set(
        TimeSpec(seconds: Int64(call.arguments.0.uint32), nanoseconds: 0), period: 0, isAbsolute: false)
      // Rounded to the nearest second, but never to 0 for a timer that is on (alarm_setitimer).
      let seconds = left / 1_000_000_000
      let isRoundedUp = left % 1_000_000_000 >= 500_000_000 || (seconds == 0 && left > 0)
      return .value(Int64(seconds) + (isRoundedUp ? 1 : 0))
    },
    CallRow(222, "timer_create") { (call, task) throws(Errno) in try create(call, task) },
    CallRow(223, "timer_settime") { (call, task) throws(Errno) in
      let new = call.arguments.2.address
      if new.isNull { throw .invalid }
      let bytes = try task.memory.bytes(new, count: 32)
      let (period, time) = (TimeSpec(bytes), TimeSpec(bytes, at: 16))
      guard period.isValid, time.isValid else { throw .invalid }
      let timer = try task.group.timers.timer(call.arguments.0.int32)
      let before = setting(timer, inMicroseconds: false)
      try timer.set(time, period: period.total, isAbsolute: call.arguments.1.uint32 & 1 != 0)
      if !call.arguments.3.address.isNull { try task.memory.store(before, at: call.arguments.3.address) }
      return .zero
    },
    CallRow(224, "timer_gettime") { (call, task) throws(Errno) in
      let timer = try task.group.timers.timer(call.arguments.0.int32)
      try task.memory.store(setting(timer, inMicroseconds: false), at: call.arguments.1.address)
      return .zero
    },
    CallRow(225, "timer_getoverrun") { (call, task) throws(Errno) in
      .value(Int64(try task.group.timers.timer(call.arguments.0.int32).overruns))
    },
    CallRow(226, "timer_delete") { (call, task) throws(Errno) in
      try task.group.timers.delete(call.arguments.0.int32)
      return .zero
    },
  ]

  /// struct itimerval or itimerspec: the period, then what is left.
  private static func setting(_ timer: Timer, inMicroseconds: Bool) -> [UInt8] {
    let (period, left) = (timer.period, timer.remaining)
    if !inMicroseconds { return TimeSpec(nanoseconds: period).bytes + TimeSpec(nanoseconds: left).bytes }
    // A timer that is on never shows 0.
    let shown = left > 0 ? max(left, 1000) : 0
    return TimeSpec(nanoseconds: period).timeval + TimeSpec(nanoseconds: shown).timeval
  }

  private static func timeval(_ bytes: [UInt8], at start: Int) throws(Errno) -> TimeSpec {
    let value = TimeSpec(bytes, at: start)
    guard value.seconds >= 0, value.nanoseconds >= 0, value.nanoseconds < 1_000_000 else { throw .invalid }
    return TimeSpec(seconds: value.seconds, nanoseconds: value.nanoseconds * 1000)
  }

  /// struct sigevent: value, signal, how, thread (sigevent(3type)).
  private static func create(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let clock = try GuestClock(call.arguments.0.int32)
    switch clock {
    case .wall(4), .wall(5), .wall(6): throw .notSupported
    case .wall: break
    case .processor: _ = try clock.now(task)
    }
    var signal = Signal.alarm
    var value: UInt64?
    var thread: Task?
    let event = call.arguments.1.address
    if !event.isNull {
      let bytes = try task.memory.bytes(event, count: 64)
      value = bytes.little64(0)
      signal = Int32(bitPattern: bytes.little32(8))
      // SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID.
      switch bytes.little32(12) {
      case 1: signal = 0
      case 4:
        guard let other = task.kernel.tasks[Int32(bitPattern: bytes.little32(16))], other.group === task.group else {
          throw .invalid
        }
        thread = other
        guard Signal.isValid(signal) else { throw .invalid }
      case 0, 2: guard Signal.isValid(signal) else { throw .invalid }
      default: throw .invalid
      }
    }
    let timer = try task.group.timers.create(clock, signal: signal, value: value, thread: thread)
    do throws(Errno) {
      try task.memory.store(timer.id ?? 0, at: call.arguments.2.address)
    } catch {
      if let id = timer.id { try task.group.timers.delete(id) }
      throw error
    }
    return .zero
  }
}
