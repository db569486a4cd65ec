package import Formats
package import Linux
package import Walls

/// Other limits for a box that runs, written to the groups it stands in.
package struct GroupLimiting: Limiting {
  let id: String
  let cgroup: Cgroup
  /// Processes that are none of the box's own and stand in its groups.
  let attendants: Int64
  /// Whoever else keeps the limits is told first.
  let also: (CgroupLimits) throws(WallError) -> Void

  package init(
    id: String, cgroup: Cgroup, attendants: Int64 = 0,
    also: @escaping (CgroupLimits) throws(WallError) -> Void = { _ in }
  ) {
    self.id = id
    self.cgroup = cgroup
    self.attendants = attendants
    self.also = also
  }

  package func limit(_ resources: ResourceConfiguration) throws(WallError) {
    // "Deny all" stands in every update that Kubernetes sends, and changes nothing: standard devices stay allowed anyway.
    for rule in resources.deviceRules where rule.allow || rule.type != "a" || rule.major != nil || rule.minor != nil {
      throw WallError("linux.resources.devices: what devices a container may use cannot be changed while it runs")
    }
    let layout = CgroupLayout.detect()
    var plain = resources
    plain.deviceRules = []
    var limits = BoxLimits.cgroup(plain, BoxIdentity.jail(ownsFiles: false))
    limits.devices = []
    try BoxLimits.addResources(plain, to: &limits, layout: layout)
    if resources.checkBeforeUpdate == true { try check(limits) }
    if let pids = limits.pids, pids > 0 { limits.pids = pids + attendants }
    try also(limits)
    do throws(SystemError) { try apply(limits) } catch { throw WallError("sandbox \(id): update", error) }
  }

  /// Version 1 takes no memory limit above that of memory and swap, which is then raised first.
  private func apply(_ limits: CgroupLimits) throws(SystemError) {
    var group = cgroup
    do throws(SystemError) {
      try group.apply(limits)
    } catch  where error.errno == .invalid && limits.memory != nil && limits.memoryAndSwap != nil {
      var swap = CgroupLimits()
      swap.memoryAndSwap = limits.memoryAndSwap
      try group.apply(swap)
      try group.apply(limits)
    }
  }

  private func check(_ limits: CgroupLimits) throws(WallError) {
    guard let wanted = limits.memory, wanted >= 0,
      let used = cgroup.number(.memory, legacy: "memory.usage_in_bytes", unified: "memory.current")
    else { return }
    if used > UInt64(wanted) {
      throw WallError("update: memory limit \(wanted) is below what is in use, \(used) (memory.checkBeforeUpdate)")
    }
  }
}
