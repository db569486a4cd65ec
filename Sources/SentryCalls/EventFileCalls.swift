import CLinux
import Linux
import SentryABI
import SentryEvents
import SentryFiles
import SentryMemory
import SentrySignals
import SentryTasks

/// eventfd(2), timerfd_create(2) and signalfd(2).
enum EventFileCalls {
  static let rows: [CallRow] = [
    CallRow(284, "eventfd") { (call, task) throws(Errno) in try counter(call.arguments.0.uint32, 0, task) },
    CallRow(290, "eventfd2") { (call, task) throws(Errno) in
      try counter(call.arguments.0.uint32, call.arguments.1.int32, task)
    },
    CallRow(283, "timerfd_create") { (call, task) throws(Errno) in
      try timer(call.arguments.0.int32, call.arguments.1.int32, task)
    },
    CallRow(286, "timerfd_settime", .part("TFD_TIMER_CANCEL_ON_SET: the clock is never set")) {
      (call, task) throws(Errno) in try setTimer(call, task)
    },
    CallRow(287, "timerfd_gettime") { (call, task) throws(Errno) in
      try task.memory.store(times(try timer(call, task)), at: call.arguments.1.address)
      return .zero
    },
    CallRow(282, "signalfd", .part("ssi_pid of another process is 0")) { (call, task) throws(Errno) in
      try signals(call, 0, task)
    },
    CallRow(289, "signalfd4", .part("ssi_pid of another process is 0")) { (call, task) throws(Errno) in
      try signals(call, call.arguments.3.int32, task)
    },
  ]

  private static let kept = O_CLOEXEC | O_NONBLOCK

  private static func counter(_ count: UInt32, _ flags: Int32, _ task: Task) throws(Errno) -> Outcome {
    guard flags & ~(kept | 1) == 0 else { throw .invalid }
    let file = EventCounterFile(count, isSemaphore: flags & 1 != 0, flags: flags & O_NONBLOCK)
    file.path = task.kernel.unnamed.other("anon_inode:[eventfd]")
    return try task.install(file, closesOnExec: flags & O_CLOEXEC != 0)
  }

  private static func timer(_ clock: Int32, _ flags: Int32, _ task: Task) throws(Errno) -> Outcome {
    guard flags & ~kept == 0, [0, 1, 7, 8, 9].contains(clock) else { throw .invalid }
    // CAP_WAKE_ALARM.
    if clock >= 8, !task.credentials.has(35) { throw .notPermitted }
    let file = TimerFile(clock: clock, flags: flags & O_NONBLOCK, task.kernel.deadlines)
    file.path = task.kernel.unnamed.other("anon_inode:[timerfd]")
    return try task.install(file, closesOnExec: flags & O_CLOEXEC != 0)
  }

  private static func timer(_ call: Call, _ task: Task) throws(Errno) -> TimerFile {
    guard let file = try task.descriptors.opened(call.arguments.0.int32) as? TimerFile else { throw .invalid }
    return file
  }

  private static func setTimer(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let bytes = try task.memory.bytes(call.arguments.2.address, count: 32)
    func time(_ at: Int) -> TimeSpec {
      TimeSpec(seconds: Int64(bitPattern: bytes.little64(at)), nanoseconds: Int64(bitPattern: bytes.little64(at + 8)))
    }
    let (period, value) = (time(0), time(16))
    let flags = call.arguments.1.int32
    guard flags & ~3 == 0, period.isValid, value.isValid else { throw .invalid }
    let file = try timer(call, task)
    let before = times(file)
    file.set(value, period: period, isAbsolute: flags & 1 != 0)
    let old = call.arguments.3.address
    if !old.isNull { try task.memory.store(before, at: old) }
    return .zero
  }

  /// struct itimerspec.
  private static func times(_ file: TimerFile) -> [UInt8] {
    let left = file.left
    var bytes: [UInt8] = []
    for time in [left.period, left.value] {
      bytes.append(little: UInt64(bitPattern: time.seconds))
      bytes.append(little: UInt64(bitPattern: time.nanoseconds))
    }
    return bytes
  }

  private static func signals(_ call: Call, _ flags: Int32, _ task: Task) throws(Errno) -> Outcome {
    guard call.arguments.2.bits == 8 else { throw .invalid }
    let mask: UInt64 = try task.memory.load(call.arguments.1.address)
    guard flags & ~kept == 0 else { throw .invalid }
    let number = call.arguments.0.int32
    if number != -1 {
      guard let file = try task.descriptors.opened(number) as? SignalFile else { throw .invalid }
      try file.setMask(mask)
      return .value(Int64(number))
    }
    let file = try SignalFile(mask: mask, flags: flags & O_NONBLOCK, queue: task.group.signalQueue) { [weak task] in
      task?.pendingSignals.bits ?? 0
    }
    file.path = task.kernel.unnamed.other("anon_inode:[signalfd]")
    return try task.install(file, closesOnExec: flags & O_CLOEXEC != 0)
  }
}
