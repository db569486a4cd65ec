/// What a container runtime is told to raise: the Linux part of the OCI runtime specification 1.3 (config.md, config-linux.md).
/// The walls read this value; it is made from options and an image by `run`, and from config.json by the OCI verbs.
public struct RuntimeConfiguration: Sendable, Equatable {
  public var process = ProcessConfiguration()
  public var rootReadOnly = false
  public var hostname: String?
  public var domainname: String?
  /// In the order they are mounted.
  public var mounts: [MountConfiguration] = []
  public var annotations: [String: String] = [:]
  public var namespaces: [NamespaceConfiguration] = []
  /// Empty: no user namespace of its own, or the walls' own choice where one is asked for without a mapping.
  public var userMappings: [IDMapping] = []
  public var groupMappings: [IDMapping] = []
  public var devices: [DeviceConfiguration] = []
  /// Relative to the hierarchy's root; nil lets the wall choose a name of its own.
  public var cgroupsPath: String?
  public var resources = ResourceConfiguration()
  /// "private", "slave", "shared", "unbindable" or nil (private).
  public var rootPropagation: String?
  public var maskedPaths: [String] = []
  public var readonlyPaths: [String] = []
  public var sysctl: [String: String] = [:]

  public init() {}

  /// Kernel files that tell about or change the host, hidden in every box by default (Docker's and podman's list).
  public static let defaultMaskedPaths = [
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
    "/sys/devices/virtual/powercap",
  ]
  /// Kernel files that a box may read and never write.
  public static let defaultReadonlyPaths = [
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
  ]
}

/// The program in the box: config.md, "Process".
public struct ProcessConfiguration: Sendable, Equatable {
  public var terminal = false
  /// Never empty once complete; the first is looked up in the environment's PATH inside the box.
  public var arguments: [String] = []
  /// "NAME=value".
  public var environment: [String] = []
  /// Absolute, inside the box.
  public var workingDirectory = "/"
  public var user = UserConfiguration()
  public var capabilities = CapabilityConfiguration()
  public var rlimits: [ResourceLimit] = []
  public var noNewPrivileges = false
  public var oomScoreAdjustment: Int32?
  public init() {}
}

/// Ids inside the box.
public struct UserConfiguration: Sendable, Equatable {
  public var user: UInt32 = 0
  public var group: UInt32 = 0
  public var additionalGroups: [UInt32] = []
  public var umask: UInt32?
  public init() {}
}

/// The five capability sets as bit masks: bit N is capability number N (capabilities(7)).
public struct CapabilityConfiguration: Sendable, Equatable {
  public var bounding: UInt64 = 0
  public var effective: UInt64 = 0
  public var permitted: UInt64 = 0
  public var inheritable: UInt64 = 0
  public var ambient: UInt64 = 0
  public init() {}
}

/// setrlimit(2): `kind` is the kernel's RLIMIT_* number; UInt64.max is infinity.
public struct ResourceLimit: Sendable, Equatable {
  public var kind: Int32
  public var soft: UInt64
  public var hard: UInt64
  public init(kind: Int32, soft: UInt64, hard: UInt64) {
    self.kind = kind
    self.soft = soft
    self.hard = hard
  }
}

/// config.md, "Mounts". A bind mount is "bind" or "rbind" among the options; `type` is then empty or "bind".
public struct MountConfiguration: Sendable, Equatable {
  /// Absolute, inside the box.
  public var destination: String
  public var type: String
  public var source: String
  public var options: [String]
  public init(destination: String, type: String, source: String, options: [String] = []) {
    self.destination = destination
    self.type = type
    self.source = source
    self.options = options
  }
}

/// The kinds of namespaces(7).
public enum NamespaceKind: String, Sendable, CaseIterable {
  case user, mount, pid, network, ipc, uts, cgroup, time
}

/// A namespace to create, or with a path, to join.
public struct NamespaceConfiguration: Sendable, Equatable {
  public var kind: NamespaceKind
  public var path: String?
  public init(_ kind: NamespaceKind, path: String? = nil) {
    self.kind = kind
    self.path = path
  }
}

/// One line of uid_map or gid_map (user_namespaces(7)).
public struct IDMapping: Sendable, Equatable {
  public var inside: UInt32
  public var outside: UInt32
  public var count: UInt32
  public init(inside: UInt32, outside: UInt32, count: UInt32) {
    self.inside = inside
    self.outside = outside
    self.count = count
  }
}

/// A device node to be made, besides the default ones (config-linux.md, "Devices").
public struct DeviceConfiguration: Sendable, Equatable {
  public var path: String
  public var isBlock: Bool
  public var major: UInt32
  public var minor: UInt32
  public var mode: UInt32
  public init(path: String, isBlock: Bool, major: UInt32, minor: UInt32, mode: UInt32 = 0o666) {
    self.path = path
    self.isBlock = isBlock
    self.major = major
    self.minor = minor
    self.mode = mode
  }
}

/// cgroup limits (config-linux.md, "Control groups"). Sizes in bytes; nil leaves a limit as it is.
public struct ResourceConfiguration: Sendable, Equatable {
  public var memoryLimit: Int64?
  /// Memory and swap together, as v1 counts them; -1 is unlimited.
  public var memorySwapLimit: Int64?
  /// cgroup v1's cpu.shares: 2 to 262144, 1024 by default.
  public var cpuShares: UInt64?
  /// Microseconds of CPU in each period.
  public var cpuQuota: Int64?
  public var cpuPeriod: UInt64?
  public var cpus: String?
  public var mems: String?
  public var pidsLimit: Int64?
  public var deviceRules: [DeviceRule] = []
  /// Bytes and operations a second, for the block device under the sandbox's writable files unless a device is named.
  public var blockThrottles: [BlockThrottle] = []
  public init() {}
}

/// A device cgroup rule (config-linux.md, "Allowed Device list"); nil numbers mean every device.
public struct DeviceRule: Sendable, Equatable {
  public var allow: Bool
  /// "a", "b" or "c".
  public var type: Character
  public var major: Int64?
  public var minor: Int64?
  /// Some of "rwm".
  public var access: String
  public init(allow: Bool, type: Character, major: Int64?, minor: Int64?, access: String) {
    self.allow = allow
    self.type = type
    self.major = major
    self.minor = minor
    self.access = access
  }
}

public struct BlockThrottle: Sendable, Equatable {
  public enum Kind: Sendable { case readBytes, writeBytes, readOperations, writeOperations }
  public var kind: Kind
  public var major: UInt32
  public var minor: UInt32
  /// Per second.
  public var rate: UInt64
  public init(kind: Kind, major: UInt32, minor: UInt32, rate: UInt64) {
    self.kind = kind
    self.major = major
    self.minor = minor
    self.rate = rate
  }
}
