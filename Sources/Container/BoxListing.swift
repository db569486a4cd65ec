import CLinux
import Confinement
import Linux
import Walls

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
    do throws(SystemError) { return try foundProcesses() } catch {
      // Ended while it was looked at: its group, or what /proc has of its first process, is gone.
      if process.isAlive { throw error }
      return []
    }
  }

  private func foundProcesses() throws(SystemError) -> [Int32] {
    guard process.isAlive else { return [] }
    if let cgroup, !cgroup.places.isEmpty { return try cgroup.processes() }
    // One of other processes' namespace: they are none of the box's.
    guard try isFirstOfItsNamespace() else { return [process.pid] }
    let own: String
    do throws(SystemError) { own = try File.readLink("/proc/\(process.pid)/ns/pid") } catch
      where error.errno == .accessDenied || error.errno == .notPermitted
    {
      // Being set up it is closed to its user too (ptrace(2), "dumpable"), and has no other beside it yet.
      return [process.pid]
    }
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
