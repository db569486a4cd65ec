import CLinux
import Linux
import Walls

/// SIGSTOP and SIGCONT to every process: an own user's at once, else down the tree.
struct JailPausing: Pausing {
  let sandbox: JailSandbox

  func pause() throws(WallError) {
    do throws(SystemError) { try sandbox.stop() } catch { throw WallError("pause \(sandbox.id)", error) }
  }
  func resume() throws(WallError) {
    do throws(SystemError) { try sandbox.resumeAll() } catch { throw WallError("resume \(sandbox.id)", error) }
  }
}

/// The control group's counts where there is one, else the sum over the processes that run now.
struct JailMeasurement: Measurement {
  let sandbox: JailSandbox
  var cgroup: Cgroup? { sandbox.holdings.cgroup }

  func measure() throws(WallError) -> Usage {
    var usage = Usage()
    let members: [Int32]
    do throws(SystemError) { members = try sandbox.members() } catch { throw WallError("measure \(sandbox.id)", error) }
    usage.processes = UInt64(members.count)
    var (cpu, resident): (UInt64, UInt64) = (0, 0)
    for pid in members {
      guard let use = ProcessTable.use(of: pid) else { continue }
      cpu += use.cpuMicroseconds
      resident += use.residentBytes
    }
    let group = sandbox.holdings.cgroup
    usage.memoryBytes =
      group?.number(.memory, legacy: "memory.usage_in_bytes", unified: "memory.current") ?? resident
    usage.memoryPeakBytes = group?.number(.memory, legacy: "memory.max_usage_in_bytes", unified: "memory.peak")
    usage.cpuMicroseconds = group?.cpuMicroseconds() ?? cpu
    return usage
  }
}

struct JailListing: ProcessListing {
  let sandbox: JailSandbox

  func processes() throws(WallError) -> [Int32] {
    do throws(SystemError) { return try sandbox.members() } catch { throw WallError("list \(sandbox.id)", error) }
  }
}
