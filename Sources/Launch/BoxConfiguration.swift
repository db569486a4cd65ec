import CLinux
import Formats
import Linux
import Policy
import Walls

/// The runtime configuration that `run` makes of a policy and a program: what the OCI verbs get from config.json.
struct BoxConfiguration {
  var policy: Policy
  var process: ProcessConfiguration
  var hostname: String
  var readOnly: Bool
  /// Binds, tmpfs and overlays that the user asked for, in order.
  var mounts: [MountConfiguration]
  /// "resolv.conf" and the like, as (path inside, host file).
  var generated: [(inside: String, file: String)] = []
  var hasImage: Bool

  func make() -> RuntimeConfiguration {
    var configuration = RuntimeConfiguration()
    configuration.process = confinedProcess()
    configuration.rootReadOnly = readOnly
    configuration.hostname = hostname
    configuration.mounts = standardMounts + mounts + generatedMounts
    configuration.namespaces = namespaces
    configuration.resources = resources
    configuration.maskedPaths = RuntimeConfiguration.defaultMaskedPaths
    configuration.readonlyPaths = RuntimeConfiguration.defaultReadonlyPaths
    return configuration
  }

  private var namespaces: [NamespaceConfiguration] {
    var kinds: [NamespaceKind] = [.mount, .pid, .ipc, .uts, .cgroup]
    if policy.processes.userNamespace.value == .auto { kinds.append(.user) }
    if policy.network.value != .host { kinds.append(.network) }
    return kinds.map { NamespaceConfiguration($0) }
  }

  /// /proc, /dev, /sys and /tmp, as every engine gives them.
  private var standardMounts: [MountConfiguration] {
    let scratch = policy.limits.scratch.map { ["size=\($0.value)"] } ?? []
    var mounts = [
      MountConfiguration(destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]),
      MountConfiguration(
        destination: "/dev", type: "tmpfs", source: "tmpfs",
        options: ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]),
      MountConfiguration(
        destination: "/dev/pts", type: "devpts", source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
      MountConfiguration(
        destination: "/dev/shm", type: "tmpfs", source: "shm",
        options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
      MountConfiguration(
        destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
      MountConfiguration(
        destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]),
    ]
    // /tmp is writable and bounded also where the root is read-only; a mount of the user's own there comes later and wins.
    mounts.append(
      MountConfiguration(
        destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777"] + scratch))
    return mounts
  }

  private var generatedMounts: [MountConfiguration] {
    generated.map {
      MountConfiguration(
        destination: $0.inside, type: "bind", source: $0.file, options: ["bind", "ro", "nosuid", "nodev"])
    }
  }

  private func confinedProcess() -> ProcessConfiguration {
    var process = self.process
    let mask = policy.processes.capabilities?.value ?? CapabilityName.dockerDefaultMask
    process.capabilities.bounding = mask
    // Capabilities are root's in the box; another user gets none unless a file gives them (Docker's way).
    let held = process.user.user == 0 ? mask : 0
    process.capabilities.permitted = held
    process.capabilities.effective = held
    process.noNewPrivileges = !policy.processes.newPrivileges.value
    let limits = policy.limits
    func add(_ name: String, _ value: UInt64?) {
      guard let value, let kind = ResourceLimitName.number(name) else { return }
      process.rlimits.append(ResourceLimit(kind: kind, soft: value, hard: value))
    }
    add("nofile", limits.openFiles?.value)
    add("core", limits.coreSize?.value)
    add("fsize", limits.fileSize?.value)
    if let milliseconds = limits.cpuTime?.value {
      let seconds = (milliseconds + 999) / 1000
      // SIGXCPU at the soft limit tells why; SIGKILL one second later ends a program that ignores it.
      process.rlimits.append(ResourceLimit(kind: 0, soft: seconds, hard: seconds + 1))
    }
    return process
  }

  private var resources: ResourceConfiguration {
    var resources = ResourceConfiguration()
    let limits = policy.limits
    if let memory = limits.memory?.value {
      resources.memoryLimit = Int64(clamping: memory)
      resources.memorySwapLimit = Int64(clamping: memory)
    }
    if let cpus = limits.milliCPUs?.value {
      resources.cpuPeriod = 100_000
      resources.cpuQuota = Int64(clamping: max(cpus * 100, 1000))
    }
    if let pids = limits.pids?.value { resources.pidsLimit = Int64(clamping: pids) }
    return resources
  }
}
