import CLinux
public import Linux
public import SentryABI

/// The clocks of clock_gettime(2) as a guest names them.
public enum GuestClock: Equatable, Sendable {
  /// One that goes on by itself, by Linux's number.
  case wall(Int32)
  /// The time that a process or thread has run, by its number in the guests' pid namespace; 0 for the caller's.
  case processor(of: Int32, isThread: Bool, kind: Int32)

  public static let realTime: Int32 = 0
  public static let monotonic: Int32 = 1
  public static let boot: Int32 = 7

  /// - Throws: EINVAL for a clock that isn't there.
  public init(_ number: Int32) throws(Errno) {
    switch number {
    case 0, 1, 4, 5, 6, 7, 8, 9, 11: self = .wall(number)
    case 2: self = .processor(of: 0, isThread: false, kind: 2)
    case 3: self = .processor(of: 0, isThread: true, kind: 2)
    case ..<0:
      // CPUCLOCK_PID, CPUCLOCK_PERTHREAD_MASK and CPUCLOCK_WHICH (linux/posix-timers.h).
      guard number & 3 != 3 else { throw .invalid }
      self = .processor(of: ~(number >> 3), isThread: number & 4 != 0, kind: number & 3)
    default: throw .invalid
    }
  }

  /// Nanoseconds now.
  /// - Throws: EINVAL where the process isn't there, or the thread not one of the caller's.
  public func now(_ task: Task) throws(Errno) -> TimeSpec {
    switch self {
    case .wall(let number): return try Self.host(number)
    case .processor(let id, let isThread, let kind):
      let kernel = task.kernel
      if isThread {
        guard let thread = id == 0 ? task : kernel.tasks[id], thread.group === task.group else { throw .invalid }
        return TimeSpec(nanoseconds: kernel.host.processorTime(thread))
      }
      guard let group = id == 0 ? task.group : kernel.groups[id] else { throw .invalid }
      return TimeSpec(nanoseconds: try kernel.host.processorTime(group, kind))
    }
  }

  /// One of the clocks that go on by themselves.
  public static func wallTime(_ number: Int32) throws(Errno) -> TimeSpec { try host(number) }

  static func host(_ number: Int32) throws(Errno) -> TimeSpec {
    var time = timespec()
    // SAFETY: clock_gettime fills one timespec.
    let result = unsafe withUnsafeMutablePointer(to: &time) { pointer in
      systemCall(Int(SYS_clock_gettime), word(number), UInt(bitPattern: pointer))
    }
    if result < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
    return TimeSpec(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
  }

  /// When a clock that goes on by itself will show a time, in nanoseconds of CLOCK_MONOTONIC.
  public static func deadline(_ number: Int32, at time: TimeSpec) throws(Errno) -> UInt64 {
    let monotonic = try host(Self.monotonic).total
    let clock = try host(number).total
    return time.total > clock ? monotonic.later(by: time.total - clock) : monotonic
  }
}

extension HostThreads {
  /// Nanoseconds that a process has run, or half of it.
  /// - Parameter kind: CPUCLOCK_PROF 0 (both), CPUCLOCK_VIRT 1 (user), CPUCLOCK_SCHED 2.
  public func processorTime(_ group: ThreadGroup, _ kind: Int32) throws(Errno) -> UInt64 {
    guard group.hostID > 0 else { throw .invalid }
    return try GuestClock.host(~group.hostID << 3 | kind).total
  }

  /// Nanoseconds that a thread has run: from schedstat, which counts them, or else in ticks of a hundredth of a second.
  public func processorTime(_ task: Task) -> UInt64 {
    let exact = HostStatus.decimal(contents(task.hostID, "schedstat", limit: 256)[...])
    if exact > 0 { return exact }
    let stat = HostStat(contents(task.hostID, "stat", limit: 4096))
    return (stat.userTicks &+ stat.systemTicks) &* 10_000_000
  }
}
