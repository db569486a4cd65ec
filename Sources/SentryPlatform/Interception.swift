import CLinux
import Linux

/// How guests' calls come to the sentry and are answered.
public enum Interception: String, Sendable, CaseIterable {
  /// seccomp's user notification (seccomp_unotify(2)).
  case notification
  /// A tracer (ptrace(2)): on any kernel, slower.
  case tracing

  /// The best that there is here; nil where there is neither.
  public static var available: Interception? {
    if hasNotification { return .notification }
    return hasFilters ? .tracing : nil
  }

  /// A signal must not void a call that was handed over: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19. A flag that the kernel knows
  /// is refused for its null program (EFAULT), another one before that (EINVAL; seccomp(2)).
  private static var hasNotification: Bool { asked(1 << 3 | 1 << 5) == -Int(EFAULT) }
  private static var hasFilters: Bool { asked(0) == -Int(EFAULT) }

  private static func asked(_ flags: UInt) -> Int {
    let setModeFilter: UInt = 1
    return systemCall(Int(SYS_seccomp), setModeFilter, flags, 0)
  }
}
