import CLinux
import Confinement
import Formats
import Linux
import Policy
import SentryPlatform
import Walls

/// Raises the sentry: the parent's part. Groups and limits, one clone into namespaces, maps, and waiting for the child to be ready.
struct SentryRaiser {
  let bundle: Bundle
  let streams: Streams
  let host: Host

  private var configuration: RuntimeConfiguration { bundle.configuration }

  func raise() throws(WallError) -> SentrySandbox {
    try check()
    let identity = try BoxIdentity.choose(sealed, on: host)
    var cgroup: Cgroup?
    do throws(WallError) {
      var notes = identity.notes
      cgroup = try makeCgroup(identity, &notes)
      return try raise(identity, cgroup, notes)
    } catch {
      // Nothing is left behind; what cannot be removed now is empty, and the error that matters is the first.
      try? cgroup?.remove()
      try? identity.lease?.release()
      throw error
    }
  }

  /// The bundle with a root that nobody writes to: what guests write lies in the sentry's memory. A folder that is to be written keeps
  /// its writes.
  private var sealed: Bundle {
    var bundle = bundle
    switch bundle.root {
    case .directory: break
    case .layers(let paths, _): bundle.root = .layers(paths: paths, scratch: .none)
    case .image(let image, _): bundle.root = .image(image, scratch: .none)
    case .host(let root, _): bundle.root = .host(root, scratch: .none)
    }
    return bundle
  }

  private func check() throws(WallError) {
    if !bundle.usesInit { throw WallError("the OCI verbs are not there behind the sentry yet: use --wall container") }
    try StubFilter.Policy.check(bundle)
    if bundle.seccompListener != nil {
      throw WallError("linux.seccomp.listenerPath: the sentry has no listeners for guests")
    }
    if !configuration.devices.isEmpty { throw WallError("linux.devices: the sentry has no devices of the host") }
    if case .host = bundle.policy.network.value {
      throw WallError("network host: the sentry's sockets are those of its own namespace: use --wall container")
    }
    if !bundle.preservedDescriptors.isEmpty { throw WallError("the sentry takes no descriptors but 0, 1 and 2") }
    if configuration.process.oomScoreAdjustment != nil {
      throw WallError("process.oomScoreAdj: the sentry and its guests have one of their own")
    }
    let path = configuration.namespaces.first { $0.path != nil }
    if let path { throw WallError("linux.namespaces: the sentry joins none (\(path.path ?? ""))") }
    if case .directory(let folder) = scratch {
      throw WallError(
        "writable layer \(folder): the sentry keeps writes in memory only; use --wall container to keep changes")
    }
  }

  private var scratch: Scratch {
    switch bundle.root {
    case .directory: .none
    case .layers(_, let scratch), .image(_, let scratch), .host(_, let scratch): scratch
    }
  }

  /// Nil, with a note, where no group can be made: the limits that have a substitute get it.
  private func makeCgroup(_ identity: BoxIdentity, _ notes: inout [String]) throws(WallError) -> Cgroup? {
    var limits = BoxLimits.cgroup(configuration.resources, identity)
    limits.throttles += BoxLimits.throttles(bundle)
    // The sentry is none of the guests, whom the limit is for.
    if let pids = limits.pids, pids > 0 { limits.pids = pids + 1 }
    try BoxLimits.addResources(configuration.resources, to: &limits, layout: CgroupLayout.detect())
    if limits.controllers.isEmpty && limits.moreLegacy.isEmpty { return nil }
    do throws(SystemError) {
      let group = try Cgroup.create(bundle.id, limits: limits)
      for setting in group.missing { notes.append("\(setting.file) is not there: swap is not limited") }
      return group
    } catch  where Cgroup.isRefused(error.errno) || error.errno == .noDevice {
      notes.append("control groups cannot be made here (\(error)): memory and pids are limited by rlimits, weaker")
      return nil
    } catch {
      throw WallError("limits", error)
    }
  }

  private func raise(_ identity: BoxIdentity, _ cgroup: Cgroup?, _ notes: [String]) throws(WallError) -> SentrySandbox {
    let trees = HostTrees()
    let root = try RootAssembly.plan(sealed, trees, identity)
    let mounts = try MountPlan.plan(bundle, trees, identity)
    let parentOpens = host.isRoot
    if parentOpens { try trees.open() }
    let prepared: Prepared
    do throws(SystemError) { prepared = try Prepared(bundle, streams) } catch {
      throw WallError("set-up of the sandbox", error)
    }
    let process = SentryProcess(
      bundle: bundle, streams: streams, terminal: prepared.terminal?.far.rawValue,
      control: prepared.control.rawValue, identity: identity, trees: trees,
      root: root, mounts: mounts, cgroup: cgroup,
      scratch: scratch, parentOpens: parentOpens)
    let child = try clone(process, prepared, cgroup)
    prepared.channel.far.close()
    prepared.socket.far.close()
    prepared.terminal?.far.close()
    prepared.control.close()
    var remarks: [String] = []
    do throws(WallError) {
      let namespaces = try openNamespaces(of: child)
      try attend(child, trees, identity, parentOpens, prepared.channel.near.rawValue)
      try awaitChild(prepared.channel.near.rawValue, &remarks)
      guard let identity = ProcessIdentity(pid: child.pid) else {
        throw WallError("set-up of the sandbox: the sentry died")
      }
      return SentrySandbox(
        bundle, child: child, process: identity, cgroup: cgroup, socket: prepared.socket.near,
        terminal: prepared.terminal?.near, namespaces: namespaces, remarks: remarks)
    } catch {
      // It waits for us or has failed already; its namespaces go with it.
      try? child.signal(SIGKILL)
      _ = try? child.wait()
      throw error
    }
  }

  /// What the parent and the sentry speak through, above the numbers that the sentry gives away.
  struct Prepared {
    let channel: (near: OwnedDescriptor, far: OwnedDescriptor)
    let socket: (near: OwnedDescriptor, far: OwnedDescriptor)
    /// A pair of the host's, of which the sentry carries the far end's bytes to the guests' own terminal.
    let terminal: (near: OwnedDescriptor, far: OwnedDescriptor)?

    /// Where commands ask for further programs.
    let control: OwnedDescriptor

    init(_ bundle: Bundle, _ streams: Streams) throws(SystemError) {
      let folder = try File.open(bundle.directory, File.directoryOnly)
      control = OwnedDescriptor(
        try PacketSocket.listen(SentryExecution.socketName, in: folder.rawValue).duplicate(atLeast: 64))
      channel = try OwnedDescriptor.pair(packets: true)
      socket = try OwnedDescriptor.pair(packets: false)
      guard case .terminal(let size) = streams else {
        terminal = nil
        return
      }
      let ends = try Terminal.openPair().release()
      let far = FileDescriptor(owning: ends.second)
      terminal = (
        OwnedDescriptor(FileDescriptor(owning: ends.first)), OwnedDescriptor(try far.duplicate(atLeast: 64))
      )
      try Terminal.setSize(ends.first, rows: size.rows, columns: size.columns)
    }
  }

  private func clone(_ process: SentryProcess, _ prepared: Prepared, _ cgroup: Cgroup?) throws(WallError) -> Child {
    let flags =
      Namespaces.user | Namespaces.mount | Namespaces.pid | Namespaces.network | Namespaces.uts
    do throws(SystemError) {
      var folder: FileDescriptor?
      if let path = cgroup?.unifiedPath { folder = try File.open(path, O_PATH | O_DIRECTORY) }
      let tasks = try cgroup?.openTasks() ?? []
      defer { for descriptor in tasks { _ = FileDescriptor(owning: descriptor) } }
      let arguments = CloneArguments(flags: flags, cgroup: folder?.rawValue)
      guard let child = try Process.clone(arguments) else {
        prepared.channel.near.close()
        prepared.socket.near.close()
        process.run(channel: prepared.channel.far.rawValue, socket: prepared.socket.far.rawValue, tasks: tasks)
      }
      return child
    } catch  where error.call == "clone3" {
      let lack = Host.whyNoUserNamespaces(error.errno)
      throw WallError(.unavailable, "\(lack.what): \(lack.remedy)")
    } catch {
      throw WallError("namespaces", error)
    }
  }

  /// For a user-mode network: the sentry is not dumpable soon, and an unprivileged caller's setns(2) by its process would be refused.
  private func openNamespaces(of child: borrowing Child) throws(WallError) -> HeldNamespaces? {
    guard case .user = bundle.policy.network.value else { return nil }
    do throws(SystemError) {
      return HeldNamespaces(
        user: OwnedDescriptor(try File.open("/proc/\(child.pid)/ns/user", O_RDONLY)),
        network: OwnedDescriptor(try File.open("/proc/\(child.pid)/ns/net", O_RDONLY)))
    } catch {
      throw WallError("network user", error)
    }
  }

  /// Maps first, for the child can do nothing without.
  private func attend(
    _ child: borrowing Child, _ trees: HostTrees, _ identity: BoxIdentity, _ parentOpens: Bool, _ channel: Int32
  ) throws(WallError) {
    do throws(SystemError) { try identity.map?.write(pid: child.pid) } catch {
      throw WallError("user namespace", error)
    }
    if parentOpens {
      var userNamespace: FileDescriptor?
      do throws(SystemError) {
        if identity.mapsFiles { userNamespace = try File.open("/proc/\(child.pid)/ns/user", O_RDONLY) }
      } catch {
        throw WallError("user namespace", error)
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

  /// Until the sentry is confined and waits to be told what to start.
  private func awaitChild(_ channel: Int32, _ remarks: inout [String]) throws(WallError) {
    while true {
      switch try SetupChannel.listen(channel) {
      case .failed(let error): throw error
      case .remark(let text): remarks.append(text)
      case .ready: return
      case .closed: throw WallError("set-up of the sandbox: the sentry died")
      case .process, .terminal: throw WallError("set-up of the sandbox: the sentry said something unknown")
      }
    }
  }
}
