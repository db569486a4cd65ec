import CLinux
import Linux

/// When the sentry may wait for guests' calls alone. That is one call of the host's kernel a guest's call instead of two, and it wakes on the
/// guest's own processor; but nothing else can be waited for in it. So while calls come thick a timer ticks (setitimer(2)), ends that wait
/// wherever it is, and everything else is looked at; a tick that no call came before is the last.
struct Ticks {
  private(set) var areRunning = false
  /// Calls since the last tick; while there are none, since the beginning.
  private var calls = 0
  /// So many in a row, and more are expected.
  private static let many = 16
  private static let microseconds = 4000

  /// Once a process, while it still may.
  init() throws(Errno) {
    let error = immure_hear_ticks()
    if error != 0 { throw Errno(rawValue: error) }
  }

  /// A call came.
  mutating func count() {
    calls &+= 1
    if calls == Self.many, !areRunning { set(Self.microseconds) }
  }

  /// Everything else has been looked at, or is about to be.
  mutating func settle() {
    guard immure_take_tick() != 0 else { return }
    if calls == 0 { set(0) }
    calls = 0
  }

  /// Whether somebody sent the signal that the timer uses, since it was asked last.
  static func takeAlarm() -> Bool { immure_take_alarm() != 0 }

  private mutating func set(_ microseconds: Int) {
    let interval = timeval(tv_sec: 0, tv_usec: microseconds)
    var timer = itimerval(it_interval: interval, it_value: interval)
    // SAFETY: setitimer reads one itimerval.
    let result = unsafe withUnsafeMutablePointer(to: &timer) { pointer in
      systemCall(Int(SYS_setitimer), UInt(ITIMER_REAL.rawValue), UInt(bitPattern: pointer), 0)
    }
    areRunning = result == 0 && microseconds > 0
  }
}
