import CLinux

/// The kernel's clocks (clock_gettime(2)), by the C library, which reads them without a call where it can (vdso(7)).
public enum Clock {
  /// Seconds and nanoseconds since 1970.
  public static func realTime() -> (seconds: Int64, nanoseconds: Int64) { read(CLOCK_REALTIME) }
  /// Nanoseconds since boot; never goes back.
  public static func monotonicNanoseconds() -> UInt64 {
    let now = read(CLOCK_MONOTONIC)
    return UInt64(now.seconds) * 1_000_000_000 + UInt64(now.nanoseconds)
  }

  private static func read(_ clock: Int32) -> (seconds: Int64, nanoseconds: Int64) {
    var time = timespec()
    // SAFETY: clock_gettime fills one timespec; these clocks exist on every kernel.
    unsafe clock_gettime(clock, &time)
    return (Int64(time.tv_sec), Int64(time.tv_nsec))
  }
}
