import CLinux
import Confinement
import Linux
import Policy
public import Walls

extension ContainerWall {
  /// As root, and for a user whom no setting forbids it, asking costs no process; where something around us may
  /// refuse (a
  /// container's seccomp filter, an outer user namespace) it is tried in a child.
  public func availability(on host: Host) -> Availability {
    if let lack = obstacle(on: host) { return .missing([lack]) }
    var notes: [String] = []
    if !Cgroup.canMake(.memory) || !Cgroup.canMake(.pids) {
      notes.append(
        "control groups cannot be written: default limits become rlimits, asked ones are refused (\(BoxLimits.advice))"
      )
    }
    if !host.isRoot && SubordinateIDs.mapForCaller() == nil {
      notes.append("one user id only in the sandbox: no range in /etc/subuid and /etc/subgid, or no newuidmap (uidmap)")
    }
    return .ready(notes: notes)
  }

  private func obstacle(on host: Host) -> Lack? {
    if !host.isRoot && ContainerProbe.isForbiddenBySetting() { return Host.whyNoUserNamespaces(.notPermitted) }
    if host.isRoot && !ContainerProbe.isFiltered() { return nil }
    if host.inInitialUserNamespace && !ContainerProbe.isFiltered() { return nil }
    return ContainerProbe.run(isRoot: host.isRoot)
  }
}

/// Tries what raising a box begins with, in a child that goes away.
enum ContainerProbe {
  static func isFiltered() -> Bool { Identity.hasSeccompFilter }

  static func isForbiddenBySetting() -> Bool {
    func setting(_ path: String) -> String? { (try? File.text("/proc/sys/" + path))?.trimmingSpaces }
    return setting("kernel/apparmor_restrict_unprivileged_userns") == "1"
      || setting("kernel/unprivileged_userns_clone") == "0" || setting("user/max_user_namespaces") == "0"
  }

  private static let mountsRefused: Int32 = 3
  private static let procRefused: Int32 = 4

  /// Nil when namespaces, a mount and a new /proc are to be had.
  static func run(isRoot: Bool) -> Lack? {
    let flags = Namespaces.user | Namespaces.mount | Namespaces.pid
    do throws(SystemError) {
      guard let child = try Process.clone(CloneArguments(flags: flags)) else { tryMounts() }
      switch try child.wait() {
      case .exited(0): return nil
      case .exited(mountsRefused):
        return Lack(
          "mounts are refused even in a user namespace of one's own: a security module, a Landlock domain or a container's profile forbids them",
          remedy: "run outside of it, or use --wall jail")
      case .exited(procRefused):
        return Lack(
          "a new /proc cannot be mounted: the /proc here is masked, as in a Docker container",
          remedy: "start the container around immure with --security-opt systempaths=unconfined, or use --wall jail")
      default: return Host.whyNoUserNamespaces(.notPermitted)
      }
    } catch {
      return Host.whyNoUserNamespaces(error.errno)
    }
  }

  private static func tryMounts() -> Never {
    do throws(SystemError) {
      try Mount.makeAllPrivate()
      _ = try FileSystemContext("tmpfs").mount()
    } catch {
      Process.exit(mountsRefused)
    }
    do throws(SystemError) { _ = try FileSystemContext("proc").mount() } catch { Process.exit(procRefused) }
    Process.exit(0)
  }
}
