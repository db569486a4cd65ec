import Confinement
import Linux
public import Policy
public import Walls

extension ContainerWall {
  public func enforcement(of rule: Rule, on host: Host) -> Enforcement {
    switch rule.key {
    case .files(let file): files(file)
    case .network(let network): self.network(network)
    case .newPrivileges(let allowed): .enforced(allowed ? "as asked" : "no_new_privs")
    case .capabilities: .enforced("capability sets, within the box's user namespace")
    case .seccomp(let profile): .enforced(profile == "unconfined" ? "as asked" : "seccomp filter")
    case .userNamespace(let kind): userNamespace(kind, on: host)
    case .systemCalls: .unenforced("the host's kernel performs every call of a container: use --wall sentry")
    case .hostProcesses: .enforced("process namespace")
    case .device: .enforced(host.isRoot ? "a node in a /dev of its own" : "the host's node, bind-mounted")
    case .environment: .enforced("only the named variables")
    case .memory:
      BoxLimits.enforcement(
        of: rule, .memory, legacy: "memory.limit_in_bytes", unified: "memory.max",
        weaker: "RLIMIT_DATA, for each process")
    case .pids:
      BoxLimits.enforcement(
        of: rule, .pids, legacy: "pids.max", unified: "pids.max", weaker: "RLIMIT_NPROC of the box's user")
    case .cpus: BoxLimits.enforcement(of: rule, .cpu, legacy: "cpu.cfs_quota_us", unified: "cpu.max", weaker: nil)
    case .diskBytes, .diskOperations:
      BoxLimits.enforcement(
        of: rule, .blkio, legacy: "blkio.throttle (reads, and writes past the page cache)", unified: "io.max",
        weaker: nil)
    case .openFiles: .enforced("RLIMIT_NOFILE")
    case .coreSize: .enforced("RLIMIT_CORE")
    case .fileSize: .enforced("RLIMIT_FSIZE")
    case .cpuTime: .enforced("RLIMIT_CPU, for each process")
    case .scratch: .enforced("size of the file systems in memory")
    case .timeout, .output, .log: .enforced("supervisor")
    }
  }

  private func files(_ rule: FileRule) -> Enforcement {
    switch rule.access {
    case .read: .enforced("read-only bind mount; nothing else is there")
    case .write: .enforced("bind mount; nothing else is there")
    case .hidden: .enforced("masked by a mount that the box cannot take away")
    }
  }

  private func network(_ rule: NetworkRule) -> Enforcement {
    switch rule {
    case .none: .enforced("network namespace with loopback only")
    case .host: .enforced("as asked: the host's network, whole")
    case .user: .enforced("network namespace behind a user-mode stack")
    }
  }

  private func userNamespace(_ rule: UserNamespaceRule, on host: Host) -> Enforcement {
    switch rule {
    case .host:
      return host.isRoot
        ? .enforced("as asked: the box's root is the host's") : .unenforced("for root only: run as root")
    case .auto:
      if host.isRoot { return .enforced("user namespace with 65536 ids of its own") }
      if SubordinateIDs.mapForCaller() != nil { return .enforced("user namespace with the user's subordinate ids") }
      return .weaker("user namespace with the caller's own id only: install uidmap and add ranges to /etc/subuid")
    }
  }
}
