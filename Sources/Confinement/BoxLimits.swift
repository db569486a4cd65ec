import CLinux
package import Formats
package import Linux
import Policy
package import Walls

/// The configuration's resources as control groups take them, and what stands in for them where there are none.
package enum BoxLimits {
  package static func cgroup(_ resources: ResourceConfiguration, _ identity: BoxIdentity) -> CgroupLimits {
    var limits = CgroupLimits()
    // Zero is what clients write that have nothing to say.
    func unlessZero<Number: BinaryInteger>(_ value: Number?) -> Number? { value == 0 ? nil : value }
    limits.memory = unlessZero(resources.memoryLimit)
    limits.memoryAndSwap = unlessZero(resources.memorySwapLimit)
    limits.cpuShares = unlessZero(resources.cpuShares)
    limits.cpuQuota = unlessZero(resources.cpuQuota)
    limits.cpuPeriod = unlessZero(resources.cpuPeriod)
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
    // Standard nodes are in every box, whatever the rules say before (config-linux.md, "Default Devices").
    if !limits.devices.isEmpty { limits.devices += defaultDevices.dropFirst() }
    // Without a user namespace the box's root could make any device node it has CAP_MKNOD for.
    if identity.map == nil && limits.devices.isEmpty { limits.devices = defaultDevices }
    return limits
  }

  /// Where the box's group is to be; nil where the wall may choose.
  package static func path(_ configuration: RuntimeConfiguration) throws(WallError) -> String? {
    guard let path = configuration.cgroupsPath else { return nil }
    if !path.hasPrefix("/") && path.split(separator: ":", omittingEmptySubsequences: false).count == 3 {
      throw WallError(
        "linux.cgroupsPath: \"\(FormatError.presentable(path))\" is for the systemd driver: give --systemd-cgroup, or use the cgroupfs driver (podman --cgroup-manager=cgroupfs, Docker exec-opts native.cgroupdriver=cgroupfs)"
      )
    }
    return path
  }

  /// The groups that the box will stand in, as its record keeps them.
  package static func traces(_ configuration: RuntimeConfiguration) throws(WallError) -> [String: String] {
    guard let path = try path(configuration) else { return [:] }
    do throws(SystemError) { return ["cgroup": Cgroup(places: try Cgroup.places(at: path)).text] } catch {
      throw WallError("linux.cgroupsPath", error)
    }
  }

  /// The policy's bounds on disk traffic, for each disk that the box's volumes and image are on.
  package static func throttles(_ bundle: Bundle) -> [CgroupLimits.Throttle] {
    let bytes = bundle.policy.limits.diskBytesPerSecond?.value
    let operations = bundle.policy.limits.diskOperationsPerSecond?.value
    if bytes == nil && operations == nil { return [] }
    var disks: [(major: UInt32, minor: UInt32)] = []
    for path in paths(bundle) {
      // What is in memory or on the network has no disk to throttle.
      guard let device = (try? File.status(path))?.st_dev,
        let disk = File.wholeDisk(major: immure_major(UInt64(device)), minor: immure_minor(UInt64(device)))
      else { continue }
      if !disks.contains(where: { $0 == disk }) { disks.append(disk) }
    }
    var throttles: [CgroupLimits.Throttle] = []
    for disk in disks {
      func add(_ kinds: [CgroupLimits.Throttle.Kind], _ rate: UInt64?) {
        guard let rate else { return }
        throttles += kinds.map {
          CgroupLimits.Throttle(kind: $0, major: disk.major, minor: disk.minor, rate: rate)
        }
      }
      add([.readBytes, .writeBytes], bytes)
      add([.readOperations, .writeOperations], operations)
    }
    return throttles
  }

  /// Host folders whose files the box reads or writes.
  private static func paths(_ bundle: Bundle) -> [String] {
    var paths = bundle.configuration.mounts.map(\.source).filter { $0.hasPrefix("/") }
    switch bundle.root {
    case .directory(let path, _): paths.append(path)
    case .layers(let layers, let scratch):
      paths += layers
      if case .directory(let path) = scratch { paths.append(path) }
    case .image(let image, let scratch):
      paths += [image.metadata] + image.devices
      if case .directory(let path) = scratch { paths.append(path) }
    case .host(let root, _): paths += root.visible.filter { File.exists($0) }
    }
    return paths
  }

  /// Docker's list: nothing but the standard nodes and terminals; making (not opening) any node.
  static let defaultDevices: [CgroupLimits.DeviceRule] =
    [CgroupLimits.DeviceRule(allow: false, text: "a *:* rwm")]
    + [
      "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm",
      "c 136:* rwm",
    ].map { CgroupLimits.DeviceRule(allow: true, text: $0) }

  /// Weaker stand-ins where no group can be made: the data segment for memory, processes of the box's user for pids.
  package static func substitutes(_ resources: ResourceConfiguration, _ given: [ResourceLimit]) -> [ResourceLimit] {
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
