import Linux
import SentryABI
import SentryMemory
import SentryTasks

/// Clocks and sleeping (clock_gettime(2), nanosleep(2)).
enum ClockCalls {
  static let rows: [CallRow] = [
    CallRow(228, "clock_gettime") { (call, task) throws(Errno) in
      let time = try GuestClock(call.arguments.0.int32).now(task)
      try task.memory.store(time.bytes, at: call.arguments.1.address)
      return .zero
    },
    CallRow(229, "clock_getres", .part("coarse clocks always say 4 ms")) { (call, task) throws(Errno) in
      let clock = try GuestClock(call.arguments.0.int32)
      _ = try clock.now(task)
      // The coarse clocks go by ticks: 4 ms at the usual 250 a second.
      let isCoarse = clock == .wall(5) || clock == .wall(6)
      if !call.arguments.1.address.isNull {
        let resolution = TimeSpec(seconds: 0, nanoseconds: isCoarse ? 4_000_000 : 1)
        try task.memory.store(resolution.bytes, at: call.arguments.1.address)
      }
      return .zero
    },
    CallRow(227, "clock_settime", .refused(.notPermitted)) { (_, _) throws(Errno) in throw .notPermitted },
    CallRow(164, "settimeofday", .refused(.notPermitted)) { (_, _) throws(Errno) in throw .notPermitted },
    CallRow(159, "adjtimex", .refused(.notPermitted)) { (_, _) throws(Errno) in throw .notPermitted },
    CallRow(305, "clock_adjtime", .refused(.notPermitted)) { (_, _) throws(Errno) in throw .notPermitted },
    CallRow(96, "gettimeofday", .part("the time zone is UTC")) { (call, task) throws(Errno) in
      let time = try GuestClock.wall(GuestClock.realTime).now(task)
      if !call.arguments.0.address.isNull { try task.memory.store(time.timeval, at: call.arguments.0.address) }
      if !call.arguments.1.address.isNull {
        try task.memory.store([UInt8](repeating: 0, count: 8), at: call.arguments.1.address)
      }
      return .zero
    },
    CallRow(201, "time") { (call, task) throws(Errno) in
      let time = try GuestClock.wall(GuestClock.realTime).now(task)
      if !call.arguments.0.address.isNull { try task.memory.store(time.seconds, at: call.arguments.0.address) }
      return .value(time.seconds)
    },
    CallRow(35, "nanosleep", blocksOn: "time") { (call, task) throws(Errno) in
      let time = try loadTime(call.arguments.0.address, task)
      return sleep(until: task.kernel.now.later(by: time.total), remainder: call.arguments.1.address, task)
    },
    CallRow(230, "clock_nanosleep", .part("processor clocks are refused with ENOTSUP"), blocksOn: "time") {
      (call, task) throws(Errno) in
      let number = call.arguments.0.int32
      let clock = try GuestClock(number)
      // Linux knows no sleep on raw and coarse clocks, nor on the thread's own.
      switch clock {
      case .wall(4), .wall(5), .wall(6): throw .notSupported
      case .processor: throw .notSupported
      case .wall: break
      }
      let time = try loadTime(call.arguments.2.address, task)
      if call.arguments.1.uint32 & 1 != 0 {
        return sleep(until: try GuestClock.deadline(number, at: time), remainder: GuestAddress(0), task)
      }
      return sleep(until: task.kernel.now.later(by: time.total), remainder: call.arguments.3.address, task)
    },
  ]

  /// - Throws: EFAULT; EINVAL for what is no time.
  static func loadTime(_ address: GuestAddress, _ task: Task) throws(Errno) -> TimeSpec {
    let time = TimeSpec(try task.memory.bytes(address, count: 16))
    guard time.isValid else { throw .invalid }
    return time
  }

  private static func sleep(until time: UInt64, remainder: GuestAddress, _ task: Task) -> Outcome {
    if task.hasTimedOut { return .zero }
    task.setDeadline(time)
    task.parked?.ending = .restartsUnhandled
    if !remainder.isNull { task.parked?.remainder = remainder }
    return task.hasTimedOut ? .zero : .blocked
  }
}
