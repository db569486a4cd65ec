import CLinux
import Linux
import Policy
public import Walls

extension SentryWall {
  public func availability(on host: Host) -> Availability {
    #if arch(x86_64)
      var lacks: [Lack] = []
      if let lack = Self.notificationLack() { lacks.append(lack) }
      if systemCall(Int(IMMURE_SYS_mount_setattr), word(-1), 0, 0, 0, 0) == -Int(ENOSYS) {
        lacks.append(
          Lack("this kernel has no mount_setattr (Linux 5.12)", remedy: "boot a newer kernel, or use --wall jail"))
      }
      if case .refused(let lack) = host.userNamespaces { lacks.append(lack) }
      if !lacks.isEmpty { return .missing(lacks) }
      var notes: [String] = []
      if !Cgroup.canMake(.memory) || !Cgroup.canMake(.pids) {
        notes.append("control groups cannot be written: limits of memory and processes become rlimits")
      }
      return .ready(notes: notes)
    #else
      return .missing([
        Lack("the sentry knows the system calls of x86-64 only", remedy: "use --wall container")
      ])
    #endif
  }

  /// Calls are handed over by seccomp user notification, and a signal must not void one that was handed over:
  /// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19. A flag that the kernel knows is refused for its null program (EFAULT), another
  /// one before that (EINVAL; seccomp(2)).
  private static func notificationLack() -> Lack? {
    let setModeFilter: UInt = 1
    let newListener: UInt = 1 << 3
    let waitKillable: UInt = 1 << 5
    let result = systemCall(Int(SYS_seccomp), setModeFilter, newListener | waitKillable, 0)
    if result == -Int(EFAULT) { return nil }
    if result == -Int(EINVAL) {
      return Lack(
        "this kernel has no seccomp notification that signals leave alone (Linux 5.19)",
        remedy: "boot a newer kernel, or use --wall container")
    }
    return Lack(
      "seccomp is refused here (\(Errno(rawValue: Int32(truncatingIfNeeded: -result))))",
      remedy: "run outside of the container whose profile forbids it, or use --wall container")
  }
}
