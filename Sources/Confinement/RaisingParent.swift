import CLinux
import Formats
package import Linux
package import Walls

/// What the command that raises a box does outside of it while its first process is at work, whichever the wall: groups and limits, maps,
/// hooks, the host's trees, and waiting.
package struct RaisingParent {
  package let bundle: Bundle
  package let host: Host
  /// Processes that are none of the box's own and stand in its groups.
  package var attendants: Int64 = 0

  package init(_ bundle: Bundle, on host: Host) {
    self.bundle = bundle
    self.host = host
  }

  private var configuration: RuntimeConfiguration { bundle.configuration }

  // MARK: Groups

  /// Nil, with a note, where no group can be made: the limits that have a substitute get it.
  package func makeCgroup(_ identity: BoxIdentity, _ notes: inout [String]) throws(WallError) -> Cgroup? {
    let layout = CgroupLayout.detect()
    let limits = try self.limits(identity, layout)
    let path = try BoxLimits.path(configuration)
    if path == nil && limits.controllers.isEmpty && limits.moreLegacy.isEmpty { return nil }
    do throws(SystemError) {
      let group: Cgroup
      if let path {
        group = try Cgroup.create(at: path, limits: limits, layout: layout)
      } else {
        group = try Cgroup.create(bundle.id, limits: limits)
      }
      do throws(SystemError) {
        try attachDevices(limits.devices, group, layout, &notes)
      } catch {
        // It is empty; the first error is the one to tell.
        try? group.remove()
        throw error
      }
      for setting in group.missing { notes.append("\(setting.file) is not there: swap is not limited") }
      return group
    } catch  where Cgroup.isRefused(error.errno) && !host.isRoot || error.errno == .noDevice {
      notes.append("control groups cannot be made here (\(error)): memory and pids are limited by rlimits, weaker")
      return nil
    } catch  where Cgroup.isRefused(error.errno) && path == nil {
      notes.append("control groups cannot be made here (\(error)): memory and pids are limited by rlimits, weaker")
      return nil
    } catch {
      throw WallError("limits", error)
    }
  }

  package func limits(_ identity: BoxIdentity, _ layout: CgroupLayout) throws(WallError) -> CgroupLimits {
    var limits = BoxLimits.cgroup(configuration.resources, identity)
    if let pids = limits.pids, pids > 0 { limits.pids = pids + attendants }
    limits.throttles += BoxLimits.throttles(bundle)
    try BoxLimits.addResources(configuration.resources, to: &limits, layout: layout)
    return limits
  }

  /// Version 2 has no files for devices: a program decides.
  package func attachDevices(
    _ rules: [CgroupLimits.DeviceRule], _ group: Cgroup, _ layout: CgroupLayout, _ notes: inout [String]
  ) throws(SystemError) {
    guard layout.mode == .unified, !rules.isEmpty, let path = group.unifiedPath else { return }
    do throws(SystemError) {
      try DeviceProgram(rules).attach(to: path)
    } catch  where error.errno == .notPermitted && !host.isRoot {
      // Without power on the machine's devices nothing can be opened that the user could not open without a box.
      notes.append("devices are not restricted by a control group: bpf(2) is for root")
    }
  }

  // MARK: The first process

  /// Maps first, for the child can do nothing without.
  /// - Parameters:
  ///   - score: of the kernel's choice when memory runs out (proc_pid_oom_score_adj(5)); nil leaves it.
  ///   - meanwhile: done before the hooks run, with the child's pid.
  package func attend(
    _ child: borrowing Child, _ trees: HostTrees, _ identity: BoxIdentity, parentOpens: Bool, score: Int32?,
    channel: Int32, meanwhile: (Int32) throws(WallError) -> Void
  ) throws(WallError) {
    do throws(SystemError) {
      if let map = identity.map, !identity.isJoined { try map.write(pid: child.pid) }
    } catch {
      throw WallError("user namespace", error)
    }
    if let score { try set(score, of: child.pid) }
    try meanwhile(child.pid)
    try runHooks(child.pid)
    if parentOpens {
      var userNamespace: FileDescriptor?
      if identity.mapsFiles {
        do throws(SystemError) { userNamespace = try File.open("/proc/\(child.pid)/ns/user", O_RDONLY) } catch {
          throw WallError("user namespace", error)
        }
      }
      try trees.finish(userNamespace: userNamespace?.rawValue)
      trees.close()
    }
    do throws(SystemError) {
      try SetupChannel.tell(channel, .mapped)
    } catch  where error.errno == .brokenPipe {
      // The child has failed already, and says why.
    } catch {
      throw WallError("set-up of the sandbox", error)
    }
  }

  /// Those that run outside of the box, before it is built.
  package func runHooks(_ pid: Int32) throws(WallError) {
    guard let state = bundle.hookState else { return }
    for moment in [.prestart, .createRuntime] as [HookConfiguration.Moment] {
      try HookRunner.run(moment, of: configuration.hooks, state: state.bytes(status: "creating", pid: pid))
    }
  }

  /// Of the kernel's choice when memory runs out (proc_pid_oom_score_adj(5)).
  package func set(_ score: Int32, of pid: Int32) throws(WallError) {
    do throws(SystemError) {
      try File.writeExisting("/proc/\(pid)/oom_score_adj", "\(score)")
    } catch  where error.errno == .accessDenied && !host.isRoot {
      // Lowering it wants CAP_SYS_RESOURCE of the machine, which a user's own namespace never has: as with runc, it stays.
    } catch {
      throw WallError("process.oomScoreAdj \(score)", error)
    }
  }

  /// Until the child has done all it can; returns the near end of the box's terminal.
  /// - Parameter isReadyWhenClosed: whether an exec closes the channel, as that of guest/init does.
  package func awaitChild(_ channel: Int32, isReadyWhenClosed: Bool, _ remarks: inout [String]) throws(WallError)
    -> Int32?
  {
    var terminal: Int32?
    do throws(WallError) {
      while true {
        switch try SetupChannel.listen(channel) {
        case .failed(let error): throw error
        case .terminal(let descriptor): terminal = descriptor
        case .ready: return terminal
        case .remark(let text): remarks.append(text)
        case .process: throw WallError("set-up of the sandbox: the child said something unknown")
        case .closed:
          if isReadyWhenClosed { return terminal }
          throw WallError("set-up of the sandbox: the child died")
        }
      }
    } catch {
      if let terminal { _ = FileDescriptor(owning: terminal) }
      throw error
    }
  }
}
