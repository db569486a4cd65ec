import Confinement
import Linux
public import Policy
import SentryPlatform
public import Walls

extension SentryWall {
  public func enforcement(of rule: Rule, on host: Host) -> Enforcement {
    switch rule.key {
    case .files(let file): Self.files(file)
    case .network(let network): Self.network(network)
    case .newPrivileges(let allowed): .enforced(allowed ? "as asked, among the sentry's own ids" : "the sentry")
    case .capabilities: .enforced("the sentry's own capabilities; none on the host")
    case .seccomp(let profile):
      profile == "default"
        ? .enforced("the sentry serves the calls itself, the host's kernel only those of its own list")
        : .unenforced("profiles are for walls whose calls the host's kernel serves: leave --seccomp out")
    case .userNamespace(.auto): .enforced("user namespace with ids of its own, and the sentry's own ids within")
    case .userNamespace(.host):
      .unenforced("the sentry's guests are never users of the host: use --wall container")
    case .systemCalls(let calls): Self.systemCalls(calls)
    case .hostProcesses:
      rule.value == "visible"
        ? .unenforced("the sentry shows its own processes only: use --wall container")
        : .enforced("the sentry's own process table, and a process namespace")
    case .device:
      .unenforced("the sentry has no devices of the host: use --wall container")
    case .environment: .enforced("only the named variables")
    case .memory:
      BoxLimits.enforcement(
        of: rule, .memory, legacy: "memory.limit_in_bytes", unified: "memory.max",
        weaker: "RLIMIT_DATA, for each process")
    case .pids:
      BoxLimits.enforcement(
        of: rule, .pids, legacy: "pids.max", unified: "pids.max", weaker: "RLIMIT_NPROC of the sandbox's user")
    case .cpus: BoxLimits.enforcement(of: rule, .cpu, legacy: "cpu.cfs_quota_us", unified: "cpu.max", weaker: nil)
    case .diskBytes, .diskOperations:
      BoxLimits.enforcement(
        of: rule, .blkio, legacy: "blkio.throttle (reads; writes go by the page cache)", unified: "io.max",
        weaker: nil)
    case .openFiles: .enforced("the sentry's descriptor tables")
    case .coreSize: .enforced("RLIMIT_CORE")
    case .fileSize: .enforced("the sentry, at each write")
    case .cpuTime: .enforced("RLIMIT_CPU, for each process")
    case .scratch: .enforced("the sentry's file systems in memory")
    case .timeout, .output, .log: .enforced("supervisor")
    }
  }

  private static func files(_ rule: FileRule) -> Enforcement {
    switch rule.access {
    case .read: .enforced("the sentry opens it for reading only, through a read-only mount")
    case .write: .enforced("the sentry; nothing else is there")
    case .hidden: .enforced("covered in the sentry's mounts")
    }
  }

  private static func systemCalls(_ rule: SystemCallRule) -> Enforcement {
    let filter = StubFilter(StubFilter.Policy(rule))
    return .enforced("the stubs' filter: \(filter.native.count) calls are the host's kernel's, the rest the sentry's")
  }

  private static func network(_ rule: NetworkRule) -> Enforcement {
    switch rule {
    case .none: .enforced("network namespace with loopback only")
    case .host: .unenforced("the sentry's sockets are those of its own network namespace: use --wall container")
    case .user: .enforced("the sentry's network namespace behind a user-mode stack")
    }
  }
}
