package import Formats
package import Linux
package import Walls

/// The rest of `linux.resources` in the files of version 1 and of version 2, and what neither of the two versions has.
/// Zero is what Go's clients write for nothing to say, and so says nothing, as to runc.
extension BoxLimits {
  package static func addResources(
    _ resources: ResourceConfiguration, to limits: inout CgroupLimits, layout: CgroupLayout
  )
    throws(WallError)
  {
    let isUnified = layout.mode == .unified
    func unsupported(_ field: String) -> WallError {
      WallError(
        "linux.resources.\(field): not supported: version \(isUnified ? 2 : 1) of control groups has nothing like it")
    }
    func both(_ controller: CgroupController, _ legacy: String, _ unified: String, _ value: String) {
      limits.moreLegacy.append(CgroupLimits.Setting(controller, legacy, value))
      limits.moreUnified.append(CgroupLimits.Setting(controller, unified, value))
    }
    func legacyOnly(_ field: String, _ controller: CgroupController, _ file: String, _ value: String) throws(WallError)
    {
      if isUnified { throw unsupported(field) }
      limits.moreLegacy.append(CgroupLimits.Setting(controller, file, value))
    }
    func orMax(_ value: Int64) -> String { value < 0 ? "max" : "\(value)" }

    if let value = resources.memoryReservation, value != 0 {
      limits.moreLegacy.append(CgroupLimits.Setting(.memory, "memory.soft_limit_in_bytes", "\(value)"))
      limits.moreUnified.append(CgroupLimits.Setting(.memory, "memory.low", orMax(value)))
    }
    if let value = resources.kernelTCPLimit, value != 0 {
      try legacyOnly("memory.kernelTCP", .memory, "memory.kmem.tcp.limit_in_bytes", "\(value)")
    }
    if let value = resources.swappiness {
      try legacyOnly("memory.swappiness", .memory, "memory.swappiness", "\(value)")
    }
    if resources.disableOOMKiller == true {
      try legacyOnly("memory.disableOOMKiller", .memory, "memory.oom_control", "1")
    }
    if resources.useHierarchy == true && !isUnified {
      // Always on in version 2, and in version 1 since Linux 5.11.
      limits.moreLegacy.append(CgroupLimits.Setting(.memory, "memory.use_hierarchy", "1"))
    }
    if let value = resources.cpuBurst { both(.cpu, "cpu.cfs_burst_us", "cpu.max.burst", "\(value)") }
    if let value = resources.realtimePeriod, value != 0 {
      try legacyOnly("cpu.realtimePeriod", .cpu, "cpu.rt_period_us", "\(value)")
    }
    if let value = resources.realtimeRuntime, value != 0 {
      try legacyOnly("cpu.realtimeRuntime", .cpu, "cpu.rt_runtime_us", "\(value)")
    }
    if let value = resources.cpuIdle { both(.cpu, "cpu.idle", "cpu.idle", "\(value)") }
    addWeights(resources, &limits, layout)
    for limit in resources.hugepageLimits {
      both(
        .hugetlb, "hugetlb.\(limit.pageSize).limit_in_bytes", "hugetlb.\(limit.pageSize).max", "\(limit.bytes)")
    }
    if let value = resources.networkClass, value != 0 {
      try legacyOnly("network.classID", .netClass, "net_cls.classid", "\(value)")
    }
    for priority in resources.networkPriorities {
      try legacyOnly(
        "network.priorities", .netPriority, "net_prio.ifpriomap", "\(priority.interface) \(priority.priority)")
    }
    for limit in resources.rdma {
      func text(_ value: UInt32?) -> String { value.map { "\($0)" } ?? "max" }
      both(
        .rdma, "rdma.max", "rdma.max",
        "\(limit.device) hca_handle=\(text(limit.handles)) hca_object=\(text(limit.objects))")
    }
    for (file, value) in resources.unified.sorted(by: { $0.key < $1.key }) {
      guard isUnified else { throw unsupported("unified.\(file)") }
      let name = file.prefix { $0 != "." }
      let controller: CgroupController? = CgroupController.allCases.first { $0.unifiedName == String(name) }
      limits.moreUnified.append(CgroupLimits.Setting(controller ?? .freezer, file, value))
    }
  }

  /// Weights of BFQ, or of the controller itself where no disk has that scheduler (Documentation/block/bfq-iosched.rst).
  private static func addWeights(
    _ resources: ResourceConfiguration, _ limits: inout CgroupLimits, _ layout: CgroupLayout
  ) {
    func legacy(_ name: String) -> String {
      // The topmost group has no weight, but BFQ's counts where the kernel has BFQ.
      guard let directory = layout.directory(of: .blkio), File.exists(directory + "/blkio.bfq.io_serviced") else {
        return "blkio." + name
      }
      return "blkio.bfq." + name
    }
    // io.weight is 1 to 10000 where the specification has 10 to 1000.
    func scaled(_ weight: UInt16) -> Int { 1 + (Int(weight) - 10) * 9999 / 990 }
    if let weight = resources.blockWeight, weight != 0 {
      limits.moreLegacy.append(CgroupLimits.Setting(.blkio, legacy("weight"), "\(weight)"))
      limits.moreUnified.append(CgroupLimits.Setting(.blkio, "io.weight", "default \(scaled(weight))"))
    }
    for device in resources.blockDeviceWeights where device.weight != 0 {
      let number = "\(device.major):\(device.minor)"
      limits.moreLegacy.append(CgroupLimits.Setting(.blkio, legacy("weight_device"), "\(number) \(device.weight)"))
      limits.moreUnified.append(CgroupLimits.Setting(.blkio, "io.weight", "\(number) \(scaled(device.weight))"))
    }
  }
}
