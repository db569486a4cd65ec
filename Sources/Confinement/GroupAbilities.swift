package import Linux
package import Walls

/// Stopping the box's time with a freezer, which is made when it is first wanted.
package struct GroupPausing: Pausing {
  let id: String
  let group: Cgroup
  /// Whether some tasks wait for others of the box to answer their calls (`CgroupFreezer.freeze`).
  let whenNoneRuns: Bool
  let processes: () throws(SystemError) -> [Int32]

  package init(
    id: String, group: Cgroup, whenNoneRuns: Bool = false, processes: @escaping () throws(SystemError) -> [Int32]
  ) {
    self.id = id
    self.group = group
    self.whenNoneRuns = whenNoneRuns
    self.processes = processes
  }

  package func pause() throws(WallError) {
    do throws(SystemError) {
      try CgroupFreezer.prepare(for: group, name: id).freeze(whenNoneRuns: whenNoneRuns, processes)
    } catch  where Cgroup.isRefused(error.errno) {
      throw WallError("sandbox \(id): pausing needs a control group that this user may write (\(error))")
    } catch {
      throw WallError("sandbox \(id): pausing", error)
    }
  }

  package func resume() throws(WallError) {
    do throws(SystemError) {
      for freezer in CgroupFreezer.leftovers(id) { try freezer.thaw() }
      if let path = group.unifiedPath { try CgroupFreezer(group: path).thaw() }
    } catch {
      throw WallError("sandbox \(id): resuming", error)
    }
  }
}

/// What the box uses: by its groups, else by adding up its processes.
package struct GroupMeasurement: Measurement {
  package let cgroup: Cgroup?
  let processes: () throws(WallError) -> [Int32]

  package init(cgroup: Cgroup?, processes: @escaping () throws(WallError) -> [Int32]) {
    self.cgroup = cgroup
    self.processes = processes
  }

  package func measure() throws(WallError) -> Usage {
    var usage = Usage()
    let pids = try processes()
    usage.processes = UInt64(pids.count)
    if let cgroup {
      usage.memoryBytes = cgroup.number(.memory, legacy: "memory.usage_in_bytes", unified: "memory.current")
      usage.memoryPeakBytes = cgroup.number(.memory, legacy: "memory.max_usage_in_bytes", unified: "memory.peak")
      usage.cpuMicroseconds = cgroup.cpuMicroseconds()
    }
    if usage.cpuMicroseconds == nil || usage.memoryBytes == nil {
      let sums = ProcessSums(pids)
      if usage.cpuMicroseconds == nil { usage.cpuMicroseconds = sums.cpuMicroseconds }
      if usage.memoryBytes == nil { usage.memoryBytes = sums.memoryBytes }
    }
    return usage
  }
}
