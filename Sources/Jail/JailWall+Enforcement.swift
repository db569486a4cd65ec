import CLinux
import Confinement
import Linux
public import Policy
public import Walls

extension JailWall {
  public func enforcement(of rule: Rule, on host: Host) -> Enforcement {
    let mode = JailMode(host)
    let abi = Landlock.probe()
    switch rule.key {
    case .files(let file): return files(file, mode, abi)
    case .network(let network): return Self.network(network, abi)
    case .newPrivileges(let allowed):
      return allowed
        ? .unenforced("the jail always sets no_new_privs: use --wall container") : .enforced("no_new_privs")
    case .capabilities: return .enforced("no capability at all, and no_new_privs")
    case .seccomp(let profile):
      return profile == "unconfined" ? .enforced("no filter") : .enforced("seccomp filter of the profile \(profile)")
    case .userNamespace(.auto):
      return mode.hasOwnUser
        ? .enforced("an own user id for each sandbox")
        : .weaker("the program runs as the user who starts it: run as root for an own user id")
    case .userNamespace(.host): return .unenforced("a jail has its own user id and no other: use --wall container")
    case .systemCalls: return .unenforced("the host's kernel performs every call of a jail: use --wall sentry")
    case .hostProcesses: return Self.others(rule.value, mode, abi)
    case .device:
      return mode == .rooted
        ? .enforced("a node in the jail's own /dev") : .enforced("Landlock, as the node's permissions allow")
    case .environment: return .enforced("set before the program starts")
    case .memory:
      return Self.byGroup(.memory, mode, otherwise: "RLIMIT_DATA, for each process and not for all together")
    case .pids:
      return mode.hasOwnUser
        ? .enforced("RLIMIT_NPROC of the sandbox's own user id")
        : .weaker("RLIMIT_NPROC, which counts all processes of the user: run as root")
    case .cpus: return Self.byGroup(.cpu, mode, otherwise: nil)
    case .diskBytes, .diskOperations: return Self.byGroup(.blkio, mode, otherwise: nil)
    case .openFiles: return .enforced("RLIMIT_NOFILE")
    case .coreSize: return .enforced("RLIMIT_CORE")
    case .fileSize: return .enforced("RLIMIT_FSIZE")
    case .cpuTime: return .enforced("RLIMIT_CPU")
    case .scratch:
      return mode == .rooted
        ? .enforced("size of the file system in memory")
        : .unenforced(
          "without root the private folder lies on the disk: only the size of one file is bounded (--file-size)")
    case .log, .timeout, .output: return .enforced("supervisor")
    }
  }

  private func files(_ file: FileRule, _ mode: JailMode, _ abi: Landlock.ABI?) -> Enforcement {
    if mode == .rooted {
      switch file.access {
      case .read: return .enforced("read-only mount in the jail's own root")
      case .write: return .enforced("mount in the jail's own root")
      case .hidden: return .enforced("mounted over in the jail's own root")
      }
    }
    guard let abi else { return .unenforced("no Landlock in this kernel") }
    if file.access != .hidden && file.destination != file.path {
      return .unenforced("without root \(file.path) cannot appear at another path: run as root, or name it at its own")
    }
    if file.access == .hidden {
      return .weaker("Landlock keeps its contents, not its name and size: run as root")
    }
    if abi.version < 3 { return .weaker("Landlock ABI \(abi.version): files can be emptied (truncate) all the same") }
    return .enforced("Landlock")
  }

  private static func network(_ rule: NetworkRule, _ abi: Landlock.ABI?) -> Enforcement {
    switch rule {
    case .none: return .enforced("seccomp: no socket family but AF_UNIX")
    case .host: return .enforced("the host's network")
    case .user: return .unenforced("a jail stands in the host's network or in none: use --wall container")
    }
  }

  private static func others(_ value: String, _ mode: JailMode, _ abi: Landlock.ABI?) -> Enforcement {
    if value == "visible" { return .enforced("the host's processes") }
    let signals = (abi?.scopes ?? []).contains(.signals)
    switch mode {
    case .rooted:
      return .weaker(
        "own user id, /proc with hidepid: others are not seen, signalled or traced, but whether a pid is in use can be probed (kill(2))"
      )
    case .ownUser:
      return .weaker(
        "own user id: others are not signalled or traced, but whether a pid is in use can be probed (kill(2))")
    case .caller:
      return signals
        ? .weaker("Landlock: others are not signalled or traced, but whether a pid is in use can be probed (kill(2))")
        : .unenforced("Landlock before ABI 6 lets signals to the user's other processes pass: run as root")
    }
  }

  private static func byGroup(_ controller: CgroupController, _ mode: JailMode, otherwise: String?) -> Enforcement {
    if Cgroup.canMake(controller) { return .enforced("control group (\(controller.rawValue))") }
    let why =
      mode == .rooted
      ? "the control group \(controller.rawValue) is not to be had here" : "control groups cannot be made by this user"
    guard let otherwise else { return .unenforced("\(why): run as root, or use --wall container") }
    return .weaker("\(otherwise) (\(why))")
  }
}
