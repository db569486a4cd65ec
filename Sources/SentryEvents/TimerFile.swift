import CLinux
public import Linux
public import SentryABI
public import SentryFiles
public import SentryMemory
public import SentryWait

/// timerfd_create(2): a timer that is read.
public final class TimerFile: OpenFile {
  /// CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME or their alarms.
  private let clock: Int32
  private let deadlines: Deadlines
  private let changes = WaitQueue()
  private var alarm: Alarm?
  /// Nanoseconds of CLOCK_MONOTONIC; nil while it is disarmed.
  private var due: UInt64?
  private var period: UInt64 = 0
  private var expirations: UInt64 = 0

  public init(clock: Int32, flags: Int32, _ deadlines: Deadlines) {
    self.clock = clock
    self.deadlines = deadlines
    super.init(flags: flags | 2)
  }

  public override func released() { disarm() }
  public override var queue: WaitQueue? { changes }
  public override var readableBands: UInt32 { 0 }
  public override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 { position }
  public override var readiness: PollEvents {
    settle()
    return expirations > 0 ? .readable : []
  }

  public override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    guard buffer.remaining >= 8 else { throw .invalid }
    settle()
    if expirations == 0 { throw .again }
    var bytes: [UInt8] = []
    bytes.append(little: expirations)
    // Taken, whether it can be stored or not (timerfd_read_iter of fs/timerfd.c).
    expirations = 0
    guard try buffer.put(bytes) == 8 else { throw .badAddress }
    return 8
  }

  public override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int { throw .invalid }

  /// timerfd_settime(2).
  /// - Parameter value: the first time, zero to disarm.
  public func set(_ value: TimeSpec, period: TimeSpec, isAbsolute: Bool) {
    disarm()
    expirations = 0
    self.period = period.total
    let wanted = value.total
    if wanted == 0 { return }
    let now = Clock.monotonicNanoseconds()
    if isAbsolute {
      let there = Self.now(clock)
      due = wanted > there ? now.later(by: wanted - there) : now
    } else {
      due = now.later(by: wanted)
    }
    arm()
  }

  /// What is left, zero where it is disarmed, and the period.
  public var left: (value: TimeSpec, period: TimeSpec) {
    settle()
    let now = Clock.monotonicNanoseconds()
    // An armed timer has at least a nanosecond.
    let rest = due.map { $0 > now ? $0 - now : 1 } ?? 0
    return (TimeSpec(nanoseconds: rest), TimeSpec(nanoseconds: period))
  }

  /// Counts what has passed, and goes on.
  private func settle() {
    guard let time = due else { return }
    let now = Clock.monotonicNanoseconds()
    guard time <= now else { return }
    disarm()
    if period == 0 {
      expirations &+= 1
      return
    }
    let passed = (now - time) / period &+ 1
    expirations = expirations.later(by: passed)
    let (ahead, overflow) = passed.multipliedReportingOverflow(by: period)
    due = overflow ? nil : time.later(by: ahead)
    arm()
  }

  private func arm() {
    guard let due else { return }
    let alarm = Alarm(self)
    alarm.token = deadlines.add(alarm, at: due)
    self.alarm = alarm
  }
  private func disarm() {
    if let token = alarm?.token { deadlines.cancel(token) }
    alarm = nil
    due = nil
  }

  private final class Alarm: Waiter {
    private unowned let file: TimerFile
    var token: Deadlines.Token?
    init(_ file: TimerFile) { self.file = file }
    override func wake(_ events: PollEvents) {
      // Fired before its time is never: the deadline is the time.
      file.settle()
      file.changes.wake(.readable)
    }
  }

  private static func now(_ clock: Int32) -> UInt64 {
    var time = timespec()
    // SAFETY: clock_gettime fills one timespec; the clock was checked when the timer was made.
    _ = unsafe withUnsafeMutablePointer(to: &time) { pointer in
      systemCall(Int(SYS_clock_gettime), word(clock), UInt(bitPattern: pointer))
    }
    return TimeSpec(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec)).total
  }
}
