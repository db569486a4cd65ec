import CLinux
import Confinement
import Formats
import Guest
import Linux
import Policy
import Walls

/// The parent's part in raising a box: groups and limits, one clone, maps, and waiting for the child to be ready.
struct BoxRaiser {
  let bundle: Bundle
  let streams: Streams
  let host: Host

  private var configuration: RuntimeConfiguration { bundle.configuration }
  private var parent: RaisingParent { RaisingParent(bundle, on: host) }

  func raise() throws(WallError) -> ContainerSandbox {
    try check()
    let joined = try JoinedNamespaces(configuration)
    defer { joined.close() }
    let identity = try identity(joined)
    var cgroup: Cgroup?
    do throws(WallError) {
      var notes = identity.notes
      let scope = try SystemdScope(bundle, on: host)
      if let scope { cgroup = scope.group } else { cgroup = try parent.makeCgroup(identity, &notes) }
      return try raise(identity, joined, cgroup, scope, notes)
    } catch {
      // Nothing is left behind; what cannot be removed now is empty, and `destroy` of the record tries again.
      try? cgroup?.remove()
      try? identity.lease?.release()
      throw error
    }
  }

  private func check() throws(WallError) {
    func find(_ kind: NamespaceKind) -> NamespaceConfiguration? {
      configuration.namespaces.first { $0.kind == kind }
    }
    guard let mount = find(.mount) else {
      throw WallError("linux.namespaces: a container without a mount namespace of its own is not supported")
    }
    if let path = mount.path {
      throw WallError(
        "linux.namespaces: joining the mount namespace \(path) is not supported: the container's root would be everybody's there; use exec in its container"
      )
    }
    if bundle.usesInit && find(.pid).map({ $0.path == nil }) != true {
      throw WallError("a container without a process namespace of its own is not supported")
    }
  }

  private func identity(_ joined: JoinedNamespaces) throws(WallError) -> BoxIdentity {
    guard let user = joined.user else { return try BoxIdentity.choose(bundle, on: host) }
    // A mapping beside the path says nothing: podman writes one of a single id for runc's sake.
    let identity = try user.identity()
    let own = configuration.process.user
    for (number, isMapped, field) in [
      (own.user, identity.hasUser(own.user), "uid"), (own.group, identity.hasGroup(own.group), "gid"),
    ] where !isMapped {
      throw WallError("process.user.\(field) \(number): it has no mapping in the user namespace \(user.path)")
    }
    return identity
  }

  /// systemd makes a scope around a process only: the child, which does nothing yet. Limits are written once more, exactly and those
  /// that units know nothing of.
  private func enter(_ scope: SystemdScope, _ pid: Int32, _ identity: BoxIdentity, _ notes: inout [String])
    throws(WallError)
  {
    let layout = CgroupLayout.detect()
    let limits = try parent.limits(identity, layout)
    try scope.start(pid, limits, on: host)
    do throws(SystemError) {
      var group = scope.group
      guard try group.processes().contains(pid) else { throw SystemError("cgroup", scope.folder, .noProcess) }
      try group.apply(limits)
      try parent.attachDevices(limits.devices, group, layout, &notes)
      for setting in group.missing { notes.append("\(setting.file) is not there: swap is not limited") }
    } catch {
      throw WallError("limits", error)
    }
  }

  private func raise(
    _ identity: BoxIdentity, _ joined: JoinedNamespaces, _ cgroup: Cgroup?, _ scope: SystemdScope?, _ before: [String]
  ) throws(WallError) -> ContainerSandbox {
    var notes = before
    let moved = try MovedDevices(configuration.netDevices)
    let agent = try connectAgent()
    defer { if let agent { _ = FileDescriptor(owning: agent) } }
    let trees = HostTrees()
    let root = try RootAssembly.plan(bundle, trees, identity)
    let mounts = try MountPlan.plan(bundle, trees, identity)
    // Only in the parent's mount namespace are the host's mounts those that others are peers of.
    let parentOpens = host.isRoot && (identity.map != nil || trees.wantPeers || trees.wantMaps || trees.wantKept)
    if trees.wantMaps && !parentOpens {
      throw WallError("idmapped mounts are for root: leave out idmap, uidMappings and gidMappings of the mounts")
    }
    if parentOpens { try trees.open() }
    let devices = try DeviceTree(configuration)
    let builder = BoxBuilder(
      bundle: bundle, identity: identity, trees: trees, root: root, mounts: mounts, devices: devices, cgroup: cgroup,
      plan: try confinement(identity, cgroup), streams: streams, parentOpens: parentOpens, joined: joined, moved: moved,
      agent: agent)
    let descriptors = try Preparation(bundle)
    try fixPipes(identity)
    let child = try clone(builder, descriptors, scope == nil ? cgroup : nil)
    descriptors.closeFar()
    var terminal: Int32?
    var remarks: [String] = []
    var raised = bundle
    let process: ProcessIdentity
    do throws(WallError) {
      if let scope { try enter(scope, child.pid, identity, &notes) }
      try parent.attend(
        child, trees, identity, parentOpens: parentOpens,
        score: bundle.usesInit || identity.isJoined ? nil : configuration.process.oomScoreAdjustment,
        channel: descriptors.channel.near.rawValue
      ) { (pid) throws(WallError) in try moved.move(into: pid) }
      let makesDevices = host.isRoot && mounts.hasDevices
      try equip(makesDevices ? devices.make(owner: outside(identity)) : nil, descriptors.channel.near.rawValue)
      if let compile = bundle.compileFilter {
        raised.filter = try compile()
        try tell(descriptors.channel.near.rawValue, raised.filter)
      }
      // Closed by exec where init is the program, by death otherwise.
      terminal = try parent.awaitChild(
        descriptors.channel.near.rawValue, isReadyWhenClosed: bundle.usesInit, &remarks)
      guard let identity = ProcessIdentity(pid: child.pid) else {
        throw WallError("set-up of the sandbox: its first process died")
      }
      process = identity
    } catch {
      if let terminal { _ = FileDescriptor(owning: terminal) }
      // It waits for us or has failed already; its namespaces go with it.
      try? child.signal(SIGKILL)
      _ = try? child.wait()
      throw error
    }
    return ContainerSandbox(
      bundle: raised, child: child, process: process, cgroup: cgroup, unit: scope?.unit, terminal: terminal,
      channel: bundle.usesInit ? nil : descriptors.channel.near, socket: descriptors.socket?.near,
      setGroups: identity.setGroups, notes: notes, remarks: remarks)
  }

  private func outside(_ identity: BoxIdentity) -> (user: UInt32, group: UInt32) {
    guard let map = identity.map else { return (0, 0) }
    func first(_ ranges: [IDRange]) -> UInt32 { ranges.lazy.compactMap { $0.outside(of: 0) }.first ?? 0 }
    return (first(map.users), first(map.groups))
  }

  private func confinement(_ identity: BoxIdentity, _ cgroup: Cgroup?) throws(WallError) -> ConfinementPlan {
    let process = configuration.process
    var plan = ConfinementPlan()
    plan.rlimits = process.rlimits
    if cgroup == nil { plan.rlimits += BoxLimits.substitutes(configuration.resources, process.rlimits) }
    // Without init of ours it is set from outside: nothing is written through a /proc of the box's.
    plan.oomScoreAdjustment = bundle.usesInit ? process.oomScoreAdjustment : nil
    plan.traits = ProcessTraits(process, personality: configuration.personality)
    plan.capabilities = process.capabilities
    plan.user = process.user
    plan.user.umask = nil
    plan.setGroups = identity.setGroups
    plan.filter = bundle.filter
    plan.noNewPrivileges = process.noNewPrivileges
    if bundle.usesInit { plan.parentDeathSignal = SIGKILL }
    plan.landlock = try landlock()
    return plan
  }

  /// The seccomp agent's socket, opened while the host's files are there.
  private func connectAgent() throws(WallError) -> Int32? {
    guard let listener = bundle.seccompListener else { return nil }
    return try SeccompAgent.connect(listener).release()
  }

  /// Rules of an annotation, all of which this kernel must hold.
  private func landlock() throws(WallError) -> LandlockRuleset? {
    guard let text = configuration.annotations[LandlockRuleset.annotation] else { return nil }
    let rules: LandlockRuleset
    do throws(FormatError) { rules = try LandlockRuleset(text: text) } catch { throw WallError("\(error)") }
    if let lack = rules.textNotHeld(by: Landlock.probe()).first {
      throw WallError("annotation \(LandlockRuleset.annotation): \(lack)")
    }
    return rules
  }

  /// Sockets and init's program, above the numbers that the child gives away.
  struct Preparation {
    let channel: (near: OwnedDescriptor, far: OwnedDescriptor)
    let socket: (near: OwnedDescriptor, far: OwnedDescriptor)?
    let waiting: StartSocket.Ends?

    init(_ bundle: Bundle) throws(WallError) {
      do throws(SystemError) {
        channel = try OwnedDescriptor.pair(packets: true)
        socket = bundle.usesInit ? try OwnedDescriptor.pair(packets: false) : nil
        waiting = bundle.usesInit ? nil : try StartSocket.make(in: bundle.directory)
      } catch {
        throw WallError("set-up of the sandbox", error)
      }
    }

    /// What only the child holds from now on.
    func closeFar() {
      channel.far.close()
      socket?.far.close()
      waiting?.close()
    }
  }

  private func clone(_ builder: BoxBuilder, _ prepared: Preparation, _ cgroup: Cgroup?) throws(WallError)
    -> Child
  {
    var flags: UInt64 = 0
    // A cgroup namespace comes late, for its root to be the box's own group; a time namespace when its offsets are set.
    for namespace in configuration.namespaces
    where namespace.kind != .cgroup && namespace.kind != .time && namespace.path == nil {
      flags |= namespace.kind.cloneFlag
    }
    if builder.joined.hasUser {
      return try builder.joined.clone(
        flags, channel: (prepared.channel.near.rawValue, prepared.channel.far.rawValue),
        before: { () throws(SystemError) in
          if let score = configuration.process.oomScoreAdjustment { try setOwn(score) }
          try cgroup?.joinAlone()
        },
        { builder.run(descriptors(prepared, tasks: [])) })
    }
    do throws(SystemError) {
      var folder: FileDescriptor?
      if let path = cgroup?.unifiedPath { folder = try File.open(path, O_PATH | O_DIRECTORY) }
      let tasks = try cgroup?.openTasks() ?? []
      defer { for descriptor in tasks { _ = FileDescriptor(owning: descriptor) } }
      let arguments = CloneArguments(flags: flags, cgroup: folder?.rawValue)
      guard
        let child = try builder.joined.beingBornInto(
          hasOwnUser: flags & Namespaces.user != 0,
          { () throws(SystemError) in try Process.clone(arguments) })
      else {
        builder.run(descriptors(prepared, tasks: tasks))
      }
      return child
    } catch  where error.call == "clone3" && flags & Namespaces.user != 0 {
      let lack = Host.whyNoUserNamespaces(error.errno)
      throw WallError(.unavailable, "\(lack.what): \(lack.remedy)")
    } catch {
      throw WallError("namespaces", error)
    }
  }

  private func descriptors(_ prepared: Preparation, tasks: [Int32]) -> BoxBuilder.Descriptors {
    BoxBuilder.Descriptors(
      channel: prepared.channel.far.rawValue, initSocket: prepared.socket?.far.rawValue ?? -1,
      listener: prepared.waiting?.listener.rawValue ?? -1, lock: prepared.waiting?.lock.rawValue ?? -1,
      tasks: tasks,
      parents: [prepared.channel.near.rawValue] + (prepared.socket.map { [$0.near.rawValue] } ?? []))
  }

  /// Of the process that joins namespaces, for its child to inherit: where that stands, its /proc may be closed to this one.
  private func setOwn(_ score: Int32) throws(SystemError) {
    do throws(SystemError) {
      try File.writeExisting("/proc/self/oom_score_adj", "\(score)")
    } catch  where error.errno == .accessDenied && !host.isRoot {
      // As in `attend`.
    }
  }

  /// While the child builds the root: /dev with real nodes, where root may make them, and init's program.
  private func equip(_ devices: DeviceTree?, _ channel: Int32) throws(WallError) {
    defer { devices?.close() }
    do throws(SystemError) {
      let made = devices?.made.map { [$0] } ?? []
      if bundle.usesInit {
        let program = try GuestInit.image()
        try SetupChannel.tell(channel, .equipped, descriptors: [program.rawValue] + made)
        _ = consume program
      } else {
        try SetupChannel.tell(channel, .equipped, descriptors: made)
      }
    } catch  where error.errno == .brokenPipe {
      // The child has failed already, and says why.
    } catch {
      throw WallError("set-up of the sandbox", error)
    }
  }

  private func tell(_ channel: Int32, _ filter: SeccompFilter?) throws(WallError) {
    do throws(SystemError) { try SetupChannel.tell(channel, filter: filter) } catch  where error.errno == .brokenPipe {
      // The child has failed already, and says why.
    } catch {
      throw WallError("set-up of the sandbox", error)
    }
  }

  /// The caller's pipes become the box's user's, as the host numbers it.
  private func fixPipes(_ identity: BoxIdentity) throws(WallError) {
    guard host.isRoot else { return }
    let user = configuration.process.user.user
    guard let owner = identity.map == nil ? user : identity.map?.users.lazy.compactMap({ $0.outside(of: user) }).first
    else { return }
    streams.givePipes(to: owner)
  }
}
