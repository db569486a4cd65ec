extension RuntimeConfiguration {
  /// What `spec` writes to begin a bundle with: a shell in `rootfs`, with few capabilities.
  /// - Parameter rootless: the caller's ids where it has no power on the host: they become root in a user namespace.
  public static func template(rootless: (user: UInt32, group: UInt32)? = nil) -> RuntimeConfiguration {
    var configuration = RuntimeConfiguration()
    configuration.process = processTemplate
    configuration.rootPath = "rootfs"
    configuration.rootReadOnly = true
    configuration.hostname = "immure"
    configuration.mounts = mountTemplate
    configuration.maskedPaths = defaultMaskedPaths
    configuration.readonlyPaths = defaultReadonlyPaths
    let kinds: [NamespaceKind] = [.pid, .network, .ipc, .uts, .mount, .cgroup]
    configuration.namespaces = kinds.map { NamespaceConfiguration($0) }
    configuration.resources.deviceRules = [
      DeviceRule(allow: false, type: "a", major: nil, minor: nil, access: "rwm")
    ]
    if let rootless { configuration.makeRootless(rootless.user, rootless.group) }
    return configuration
  }

  private static var processTemplate: ProcessConfiguration {
    var process = ProcessConfiguration()
    process.terminal = true
    process.arguments = ["sh"]
    process.environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]
    // CAP_KILL, CAP_NET_BIND_SERVICE, CAP_AUDIT_WRITE.
    let mask: UInt64 = 1 << 5 | 1 << 10 | 1 << 29
    process.capabilities.bounding = mask
    process.capabilities.effective = mask
    process.capabilities.permitted = mask
    process.rlimits = [ResourceLimit(kind: 7, soft: 1024, hard: 1024)]
    process.noNewPrivileges = true
    return process
  }

  private static var mountTemplate: [MountConfiguration] {
    func mount(_ destination: String, _ type: String, _ options: [String]) -> MountConfiguration {
      MountConfiguration(
        destination: destination, type: type, source: destination == "/dev/shm" ? "shm" : type, options: options)
    }
    return [
      mount("/proc", "proc", ["nosuid", "noexec", "nodev"]),
      mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
      mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
      mount("/dev/shm", "tmpfs", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
      mount("/dev/mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
      mount("/sys", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
      mount("/sys/fs/cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
  }

  /// No network namespace, as nobody could give it a way out; /sys is then the host's; no limits, as no group may be made.
  private mutating func makeRootless(_ user: UInt32, _ group: UInt32) {
    namespaces.removeAll { $0.kind == .network }
    namespaces.append(NamespaceConfiguration(.user))
    userMappings = [IDMapping(inside: 0, outside: user, count: 1)]
    groupMappings = [IDMapping(inside: 0, outside: group, count: 1)]
    resources = ResourceConfiguration()
    for index in mounts.indices {
      mounts[index].options.removeAll { $0.hasPrefix("gid=") }
      if mounts[index].destination == "/sys" {
        mounts[index] = MountConfiguration(
          destination: "/sys", type: "none", source: "/sys", options: ["rbind", "nosuid", "noexec", "nodev", "ro"])
      }
    }
  }
}
