import CLinux
import Linux
import Policy
import SentryPlatform
public import Walls

extension SentryWall {
  public func availability(on host: Host) -> Availability {
    #if arch(x86_64)
      var lacks: [Lack] = []
      if Interception.available == nil {
        lacks.append(
          Lack(
            "seccomp is refused here",
            remedy: "run outside of the container whose profile forbids it, or use --wall container"))
      }
      if systemCall(Int(IMMURE_SYS_mount_setattr), word(-1), 0, 0, 0, 0) == -Int(ENOSYS) {
        lacks.append(
          Lack("this kernel has no mount_setattr (Linux 5.12)", remedy: "boot a newer kernel, or use --wall jail"))
      }
      if let lack = Self.namespaceLack(on: host) { lacks.append(lack) }
      if !lacks.isEmpty { return .missing(lacks) }
      var notes: [String] = []
      if !Cgroup.canMake(.memory) || !Cgroup.canMake(.pids) {
        notes.append("control groups cannot be written: limits of memory and processes become rlimits")
      }
      if Interception.available == .tracing {
        notes.append(
          "there is no seccomp notification that signals leave alone (Linux 5.19): calls are taken by ptrace, which is slower"
        )
      }
      return .ready(notes: notes)
    #else
      return .missing([
        Lack("the sentry knows the system calls of x86-64 only", remedy: "use --wall container")
      ])
    #endif
  }

  /// As root without a filter around nothing refuses them but what the raising itself then tells; else a child tries, which costs as much as
  /// the rest of a start: its namespaces' end is waited for.
  private static func namespaceLack(on host: Host) -> Lack? {
    if host.isRoot, !Identity.hasSeccompFilter { return nil }
    if case .refused(let lack) = host.userNamespaces { return lack }
    return nil
  }
}
