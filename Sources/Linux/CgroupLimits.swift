/// Limits as control groups take them, and the files that each version writes them to (cgroups(7);
/// Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst). nil leaves a limit as it is; -1 is no limit.
public struct CgroupLimits: Sendable, Equatable {
  /// Bytes.
  public var memory: Int64?
  /// Bytes of memory and swap together.
  public var memoryAndSwap: Int64?
  /// Version 1's cpu.shares, 2 to 262144.
  public var cpuShares: UInt64?
  /// Microseconds of CPU per period.
  public var cpuQuota: Int64?
  /// Microseconds.
  public var cpuPeriod: UInt64?
  /// Lists such as "0-2,7".
  public var cpus: String?
  public var memoryNodes: String?
  public var pids: Int64?
  public var throttles: [Throttle] = []
  /// Version 1's device lists in order, "c 1:3 rwm"; version 2 has no file for them.
  public var devices: [DeviceRule] = []
  /// Further writes of version 1 and of version 2, after all others.
  public var moreLegacy: [Setting] = []
  public var moreUnified: [Setting] = []

  public init() {}

  /// A bound on a block device's traffic, per second.
  public struct Throttle: Sendable, Equatable {
    public enum Kind: Sendable { case readBytes, writeBytes, readOperations, writeOperations }
    public var kind: Kind
    public var major: UInt32
    public var minor: UInt32
    public var rate: UInt64
    public init(kind: Kind, major: UInt32, minor: UInt32, rate: UInt64) {
      self.kind = kind
      self.major = major
      self.minor = minor
      self.rate = rate
    }
  }

  public struct DeviceRule: Sendable, Equatable {
    public var allow: Bool
    /// As devices.allow takes it: "a", or "c 1:3 rwm" with "*" for any number.
    public var text: String
    public init(allow: Bool, text: String) {
      self.allow = allow
      self.text = text
    }
  }

  /// One write: which controller's folder, which file, what.
  public struct Setting: Sendable, Equatable {
    public let controller: CgroupController
    public let file: String
    public let value: String
    public init(_ controller: CgroupController, _ file: String, _ value: String) {
      self.controller = controller
      self.file = file
      self.value = value
    }
  }

  /// The controllers that the limits need.
  public var controllers: [CgroupController] {
    var needed: [CgroupController] = []
    if memory != nil || memoryAndSwap != nil { needed.append(.memory) }
    if pids != nil { needed.append(.pids) }
    if cpuShares != nil || cpuQuota != nil || cpuPeriod != nil { needed.append(.cpu) }
    if cpus != nil || memoryNodes != nil { needed.append(.cpuset) }
    if !throttles.isEmpty { needed.append(.blkio) }
    if !devices.isEmpty { needed.append(.devices) }
    return needed
  }

  /// The controllers that the further writes of a version need.
  func more(_ settings: [Setting]) -> [CgroupController] {
    var needed = controllers
    for setting in settings where !needed.contains(setting.controller) { needed.append(setting.controller) }
    return needed
  }

  /// The writes of version 1, in an order the kernel takes: memory before memory+swap, the period before the quota.
  public var legacySettings: [Setting] {
    var settings: [Setting] = []
    if let memory { settings.append(Setting(.memory, "memory.limit_in_bytes", "\(memory)")) }
    if let memoryAndSwap { settings.append(Setting(.memory, "memory.memsw.limit_in_bytes", "\(memoryAndSwap)")) }
    if let pids { settings.append(Setting(.pids, "pids.max", CgroupLimits.orMax(pids))) }
    if let cpuShares { settings.append(Setting(.cpu, "cpu.shares", "\(cpuShares)")) }
    if let cpuPeriod { settings.append(Setting(.cpu, "cpu.cfs_period_us", "\(cpuPeriod)")) }
    if let cpuQuota { settings.append(Setting(.cpu, "cpu.cfs_quota_us", "\(cpuQuota)")) }
    if let cpus { settings.append(Setting(.cpuset, "cpuset.cpus", cpus)) }
    if let memoryNodes { settings.append(Setting(.cpuset, "cpuset.mems", memoryNodes)) }
    for throttle in throttles {
      settings.append(
        Setting(.blkio, throttle.legacyFile, "\(throttle.major):\(throttle.minor) \(throttle.rate)"))
    }
    for rule in devices {
      settings.append(Setting(.devices, rule.allow ? "devices.allow" : "devices.deny", rule.text))
    }
    return settings + moreLegacy
  }

  /// The writes of version 2. Device rules are none of its files' business.
  public var unifiedSettings: [Setting] {
    var settings: [Setting] = []
    if let memory { settings.append(Setting(.memory, "memory.max", CgroupLimits.orMax(memory))) }
    if let memoryAndSwap {
      let swap = memoryAndSwap < 0 ? -1 : max(0, memoryAndSwap - max(0, memory ?? 0))
      settings.append(Setting(.memory, "memory.swap.max", CgroupLimits.orMax(swap)))
    }
    if let pids { settings.append(Setting(.pids, "pids.max", CgroupLimits.orMax(pids))) }
    if let cpuShares { settings.append(Setting(.cpu, "cpu.weight", "\(CgroupLimits.weight(shares: cpuShares))")) }
    if cpuQuota != nil || cpuPeriod != nil {
      settings.append(Setting(.cpu, "cpu.max", "\(CgroupLimits.orMax(cpuQuota ?? -1)) \(cpuPeriod ?? 100_000)"))
    }
    if let cpus { settings.append(Setting(.cpuset, "cpuset.cpus", cpus)) }
    if let memoryNodes { settings.append(Setting(.cpuset, "cpuset.mems", memoryNodes)) }
    for throttle in throttles {
      settings.append(
        Setting(.blkio, "io.max", "\(throttle.major):\(throttle.minor) \(throttle.unifiedKey)=\(throttle.rate)"))
    }
    return settings + moreUnified
  }

  /// cpu.weight (1 to 10000) for cpu.shares (2 to 262144), as every runtime converts it (OCI runtime-spec, cgroup v2).
  public static func weight(shares: UInt64) -> UInt64 {
    let bounded = min(max(shares, 2), 262_144)
    return 1 + (bounded - 2) * 9999 / 262_142
  }

  private static func orMax(_ value: Int64) -> String { value < 0 ? "max" : "\(value)" }
}

extension CgroupLimits.Throttle {
  var legacyFile: String {
    switch kind {
    case .readBytes: "blkio.throttle.read_bps_device"
    case .writeBytes: "blkio.throttle.write_bps_device"
    case .readOperations: "blkio.throttle.read_iops_device"
    case .writeOperations: "blkio.throttle.write_iops_device"
    }
  }
  var unifiedKey: String {
    switch kind {
    case .readBytes: "rbps"
    case .writeBytes: "wbps"
    case .readOperations: "riops"
    case .writeOperations: "wiops"
    }
  }
}
