import CLinux

extension Clock {
  /// Rests for so long, or until a signal comes (nanosleep(2)): for the few things the kernel offers no event for.
  public static func pause(milliseconds: UInt64) {
    var time = timespec(tv_sec: Int(milliseconds / 1000), tv_nsec: Int(milliseconds % 1000) * 1_000_000)
    // SAFETY: nanosleep reads one timespec.
    _ = unsafe withUnsafePointer(to: &time) { pointer in
      systemCall(Int(SYS_nanosleep), UInt(bitPattern: pointer), 0)
    }
  }
}
