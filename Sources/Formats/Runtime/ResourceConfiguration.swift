/// cgroup limits (config-linux.md, "Control groups"). Sizes in bytes; nil leaves a limit as it is, and so does 0 where a client that has
/// nothing to say writes 0 (all but the device rules and `cpuIdle`).
public struct ResourceConfiguration: Sendable, Equatable {
  public var memoryLimit: Int64?
  /// What is taken back first when memory is short.
  public var memoryReservation: Int64?
  /// Memory and swap together, as v1 counts them; -1 is unlimited.
  public var memorySwapLimit: Int64?
  /// Buffers of TCP, version 1 only.
  public var kernelTCPLimit: Int64?
  /// 0 to 100, version 1 only.
  public var swappiness: UInt64?
  public var disableOOMKiller: Bool?
  /// Version 1 only; version 2 always counts what is below.
  public var useHierarchy: Bool?
  /// Refuse an update to less than what is in use, instead of letting the kernel kill.
  public var checkBeforeUpdate: Bool?
  /// cgroup v1's cpu.shares: 2 to 262144, 1024 by default.
  public var cpuShares: UInt64?
  /// Microseconds of CPU in each period.
  public var cpuQuota: Int64?
  /// Microseconds that may be saved up and used later.
  public var cpuBurst: UInt64?
  public var cpuPeriod: UInt64?
  /// Version 1 only.
  public var realtimeRuntime: Int64?
  public var realtimePeriod: UInt64?
  /// 1 makes a group run only when nothing else wants to.
  public var cpuIdle: Int64?
  public var cpus: String?
  public var mems: String?
  /// Negative is unlimited.
  public var pidsLimit: Int64?
  public var deviceRules: [DeviceRule] = []
  /// 10 to 1000.
  public var blockWeight: UInt16?
  public var blockDeviceWeights: [BlockDeviceWeight] = []
  /// Bytes and operations a second, for the block device under the sandbox's writable files unless a device is named.
  public var blockThrottles: [BlockThrottle] = []
  public var hugepageLimits: [HugepageLimit] = []
  /// net_cls.classid, version 1 only.
  public var networkClass: UInt32?
  /// net_prio.ifpriomap, version 1 only.
  public var networkPriorities: [NetworkPriority] = []
  public var rdma: [RDMALimit] = []
  /// Files of version 2 and what is written to them.
  public var unified: [String: String] = [:]
  public init() {}
}

public struct BlockDeviceWeight: Sendable, Equatable {
  public var major: UInt32
  public var minor: UInt32
  public var weight: UInt16
  public init(major: UInt32, minor: UInt32, weight: UInt16) {
    self.major = major
    self.minor = minor
    self.weight = weight
  }
}

public struct HugepageLimit: Sendable, Equatable {
  /// As the kernel names it in the file's name: "2MB", "1GB", "64KB".
  public var pageSize: String
  public var bytes: UInt64
  public init(pageSize: String, bytes: UInt64) {
    self.pageSize = pageSize
    self.bytes = bytes
  }
}

public struct NetworkPriority: Sendable, Equatable {
  public var interface: String
  public var priority: UInt32
  public init(interface: String, priority: UInt32) {
    self.interface = interface
    self.priority = priority
  }
}

/// nil is unlimited.
public struct RDMALimit: Sendable, Equatable {
  public var device: String
  public var handles: UInt32?
  public var objects: UInt32?
  public init(device: String, handles: UInt32?, objects: UInt32?) {
    self.device = device
    self.handles = handles
    self.objects = objects
  }
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
