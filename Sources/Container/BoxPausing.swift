import CLinux
import Confinement
import Linux
import Walls

/// Stopping the box's time with a freezer, which is made when it is first wanted.
struct BoxPausing: Pausing {
  let sandbox: ContainerSandbox

  func pause() throws(WallError) {
    do throws(SystemError) {
      let freezer = try CgroupFreezer.prepare(for: sandbox.cgroup ?? Cgroup(places: []), name: sandbox.id)
      try freezer.freeze { () throws(SystemError) in try sandbox.hostProcesses() }
    } catch  where Cgroup.isRefused(error.errno) {
      throw WallError("sandbox \(sandbox.id): pausing needs a control group that this user may write (\(error))")
    } catch {
      throw WallError("sandbox \(sandbox.id): pausing", error)
    }
  }

  func resume() throws(WallError) {
    do throws(SystemError) {
      for freezer in CgroupFreezer.leftovers(sandbox.id) { try freezer.thaw() }
      if let path = sandbox.cgroup?.unifiedPath { try CgroupFreezer(group: path).thaw() }
    } catch {
      throw WallError("sandbox \(sandbox.id): resuming", error)
    }
  }
}

/// What the box uses: by its groups, else by adding up its processes.
struct BoxMeasurement: Measurement {
  let sandbox: ContainerSandbox
  var cgroup: Cgroup? { sandbox.cgroup }

  func measure() throws(WallError) -> Usage {
    var usage = Usage()
    let pids: [Int32]
    do throws(SystemError) { pids = try sandbox.hostProcesses() } catch {
      throw WallError("sandbox \(sandbox.id)", error)
    }
    usage.processes = UInt64(pids.count)
    if let cgroup = sandbox.cgroup {
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

/// The box's processes: every process whose process namespace is the box's.
struct BoxListing: ProcessListing {
  let sandbox: ContainerSandbox
  func processes() throws(WallError) -> [Int32] {
    do throws(SystemError) { return try sandbox.hostProcesses() } catch {
      throw WallError("sandbox \(sandbox.id)", error)
    }
  }
}

extension ContainerSandbox {
  /// From the control group where there is one of pids or memory, else by looking at every process of the machine.
  func hostProcesses() throws(SystemError) -> [Int32] {
    guard process.isAlive else { return [] }
    if let cgroup, !cgroup.places.isEmpty { return try cgroup.processes() }
    // One of other processes' namespace: they are none of the box's.
    guard try isFirstOfItsNamespace() else { return [process.pid] }
    let own = try File.readLink("/proc/\(process.pid)/ns/pid")
    var found: [Int32] = []
    for name in try File.names(inDirectory: "/proc") {
      guard let pid = Int32(name) else { continue }
      // One that has ended meanwhile, or is another user's, is none of the box's.
      if (try? File.readLink("/proc/\(pid)/ns/pid")) == own { found.append(pid) }
    }
    return found
  }

  /// Whether the box's process is the first of its process namespace: the last number of NSpid (proc_pid_status(5)).
  private func isFirstOfItsNamespace() throws(SystemError) -> Bool {
    let status = try File.text("/proc/\(process.pid)/status")
    let line = status.split(separator: "\n").first { $0.hasPrefix("NSpid:") }
    return line?.split(whereSeparator: { $0 == "\t" || $0 == " " }).last == "1"
  }
}
