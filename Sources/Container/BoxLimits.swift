import CLinux
import Formats
import Linux
import Walls

/// The configuration's resources as control groups take them, and what stands in for them where there are none.
enum BoxLimits {
  static func cgroup(_ resources: ResourceConfiguration, _ identity: BoxIdentity) -> CgroupLimits {
    var limits = CgroupLimits()
    limits.memory = resources.memoryLimit
    limits.memoryAndSwap = resources.memorySwapLimit
    limits.cpuShares = resources.cpuShares
    limits.cpuQuota = resources.cpuQuota
    limits.cpuPeriod = resources.cpuPeriod
    limits.cpus = resources.cpus
    limits.memoryNodes = resources.mems
    limits.pids = resources.pidsLimit.map { $0 == 0 ? -1 : $0 }
    limits.throttles = resources.blockThrottles.map { throttle in
      let kind: CgroupLimits.Throttle.Kind =
        switch throttle.kind {
        case .readBytes: .readBytes
        case .writeBytes: .writeBytes
        case .readOperations: .readOperations
        case .writeOperations: .writeOperations
        }
      return CgroupLimits.Throttle(kind: kind, major: throttle.major, minor: throttle.minor, rate: throttle.rate)
    }
    limits.devices = resources.deviceRules.map { rule in
      func number(_ value: Int64?) -> String { value.map { "\($0)" } ?? "*" }
      let text =
        rule.type == "a"
        ? "a *:* rwm" : "\(rule.type) \(number(rule.major)):\(number(rule.minor)) \(rule.access)"
      return CgroupLimits.DeviceRule(allow: rule.allow, text: text)
    }
    // Without a user namespace the box's root could make any device node it has CAP_MKNOD for.
    if identity.map == nil && limits.devices.isEmpty { limits.devices = defaultDevices }
    return limits
  }

  /// Docker's list: nothing but the standard nodes and terminals; making (not opening) any node.
  static let defaultDevices: [CgroupLimits.DeviceRule] =
    [CgroupLimits.DeviceRule(allow: false, text: "a *:* rwm")]
    + [
      "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm",
      "c 5:2 rwm", "c 136:* rwm",
    ].map { CgroupLimits.DeviceRule(allow: true, text: $0) }

  /// Weaker stand-ins where no group can be made: the data segment for memory, processes of the box's user for pids.
  static func substitutes(_ resources: ResourceConfiguration, _ given: [ResourceLimit]) -> [ResourceLimit] {
    var limits: [ResourceLimit] = []
    func add(_ kind: Int32, _ value: Int64?) {
      guard let value, value > 0, !given.contains(where: { $0.kind == kind }) else { return }
      limits.append(ResourceLimit(kind: kind, soft: UInt64(value), hard: UInt64(value)))
    }
    add(ResourceLimits.data, resources.memoryLimit)
    add(ResourceLimits.processes, resources.pidsLimit)
    return limits
  }
}
