import CLinux
import Formats
import Linux
import Walls

/// What of the configuration's limits a jail holds with control groups, and what with rlimits.
struct JailLimits {
  var group = CgroupLimits()
  var rlimits: [ResourceLimit]

  /// Processes are counted per user by the kernel itself, which for an own user is the sandbox: no group is needed for that.
  init(_ configuration: RuntimeConfiguration, mode: JailMode) throws(WallError) {
    let resources = configuration.resources
    rlimits = configuration.process.rlimits
    if let pids = resources.pidsLimit, pids > 0 { add(ResourceLimits.processes, try Self.processes(pids, mode)) }
    group.memory = resources.memoryLimit
    group.memoryAndSwap = resources.memorySwapLimit
    group.cpuShares = resources.cpuShares
    group.cpuQuota = resources.cpuQuota
    group.cpuPeriod = resources.cpuPeriod
    group.cpus = resources.cpus
    group.memoryNodes = resources.mems
    group.throttles = resources.blockThrottles.map { throttle in
      let kind: CgroupLimits.Throttle.Kind =
        switch throttle.kind {
        case .readBytes: .readBytes
        case .writeBytes: .writeBytes
        case .readOperations: .readOperations
        case .writeOperations: .writeOperations
        }
      return CgroupLimits.Throttle(kind: kind, major: throttle.major, minor: throttle.minor, rate: throttle.rate)
    }
  }

  /// What stands in where the group could not be made: for each process, not for all together.
  mutating func substitute() {
    if let memory = group.memory, memory > 0 { add(ResourceLimits.data, UInt64(memory)) }
    group = CgroupLimits()
  }

  private mutating func add(_ kind: Int32, _ value: UInt64) {
    if rlimits.contains(where: { $0.kind == kind }) { return }
    rlimits.append(ResourceLimit(kind: kind, soft: value, hard: value))
  }

  /// RLIMIT_NPROC counts every thread of the user: where the user is the caller, those that run already come on top.
  private static func processes(_ limit: Int64, _ mode: JailMode) throws(WallError) -> UInt64 {
    if mode.hasOwnUser { return UInt64(limit) }
    do throws(SystemError) {
      let own = Process.user
      var running: UInt64 = 0
      for pid in try ProcessTable.all() {
        if let status = ProcessTable.status(of: pid), status.user == own { running += status.threads }
      }
      return UInt64(limit) + running
    } catch {
      throw WallError("limit of processes", error)
    }
  }
}
