import CLinux
import Confinement
import Formats
import Linux
import Policy
import Walls

/// All that the child needs to know, settled before the clone.
struct BoxBuilder {
  let bundle: Bundle
  let identity: BoxIdentity
  let trees: HostTrees
  let root: RootAssembly
  let mounts: MountPlan
  let devices: DeviceTree
  let cgroup: Cgroup?
  let plan: ConfinementPlan
  let streams: Streams
  /// Whether the parent has opened the host's trees.
  let parentOpens: Bool
  let joined: JoinedNamespaces
  let moved: MovedDevices
  /// The connected socket of a seccomp agent.
  let agent: Int32?
  /// This process as the runtime's namespace numbers it, for hooks.
  var outerPid: Int32?

  /// Descriptors for the child: set-up, init's socket and program.
  struct Descriptors {
    var channel: Int32
    var initSocket: Int32
    /// Where a box without init waits for another command to start it (`StartSocket`); -1 with init.
    var listener: Int32 = -1
    var lock: Int32 = -1
    /// Version 1 groups to join.
    var tasks: [Int32]
    /// The parent's ends, which the child must not hold open: their end tells it that the parent died.
    var parents: [Int32]
  }

  private var configuration: RuntimeConfiguration { bundle.configuration }
  private func has(_ kind: NamespaceKind) -> Bool { configuration.namespaces.contains { $0.kind == kind } }
  /// Of the box's own, not one that others live in.
  private func isNew(_ kind: NamespaceKind) -> Bool {
    configuration.namespaces.contains { $0.kind == kind && $0.path == nil }
  }

  /// Runs in the child of the clone, from its first instruction to exec. Ends the process where it fails.
  func run(_ descriptors: Descriptors) -> Never {
    var builder = self
    if bundle.hookState != nil, let name = try? File.readLink("/proc/self") { builder.outerPid = Int32(name) }
    builder.raise(descriptors)
  }

  private func raise(_ descriptors: Descriptors) -> Never {
    for descriptor in descriptors.parents { _ = FileDescriptor(owning: descriptor) }
    var descriptors = descriptors
    do throws(WallError) {
      try build(&descriptors)
    } catch {
      SetupChannel.report(descriptors.channel, error)
    }
    Process.exit(125)
  }

  private func build(_ descriptors: inout Descriptors) throws(WallError) {
    let channel = descriptors.channel
    try step("control groups") { () throws(SystemError) in try Cgroup.join(tasks: descriptors.tasks) }
    try step("set-up of the sandbox") { () throws(SystemError) in
      try SetupChannel.await(channel, .mapped)
      // Nobody in the box may look into this process; the map could not have been written before.
      try Identity.setDumpable(false)
      Identity.setUmask(0)
      if identity.map != nil {
        if identity.setGroups { try Identity.setGroups([]) }
        try Identity.setGroup(identity.builder.group)
        try Identity.setUser(identity.builder.user)
      }
      // Nothing that is mounted here reaches the host, nothing mounted there comes in.
      try Mount.makeAllPrivate()
    }
    try joined.enter(hasOwnUser: isNew(.user))
    if isNew(.time) { try TimeNamespace.enter(configuration.timeOffsets) }
    if !parentOpens {
      try trees.open()
      try trees.finish(userNamespace: nil)
    }
    var program: Int32 = -1
    let terminal = try buildRoot(channel, &program)
    try nameBox()
    try step("set-up of the sandbox") { () throws(SystemError) in
      if let terminal { try StandardStreams.take(terminal) } else { try takeStreams(descriptors) }
    }
    try enter(&descriptors, program)
  }

  /// Returns the far end of the terminal where there is one.
  private func buildRoot(_ channel: Int32, _ program: inout Int32) throws(WallError) -> Int32? {
    try step("set-up of the sandbox") { () throws(SystemError) in
      for tree in mounts.layers { try OverlayMount.stage(trees.descriptors[tree]) }
    }
    let root = try self.root.build(trees, channel)
    let devices = try receive(channel, &program)
    let boxMounts = BoxMounts(
      plan: mounts, trees: trees, identity: identity, devices: devices, cgroup: cgroup,
      hasNetworkNamespace: has(.network))
    try boxMounts.attach(to: root)
    var far: Int32?
    if case .terminal(let size) = streams {
      do throws(SystemError) {
        let user = configuration.process.user.user
        let terminal = try BoxTerminal.open(
          in: root.descriptor, size: size, owner: user == identity.builder.user ? nil : user)
        try BoxTerminal.makeConsole(terminal.number, in: root)
        try SetupChannel.hand(channel, terminal: terminal.near.rawValue)
        far = try terminal.far.duplicate(atLeast: 10).release()
      } catch {
        throw WallError("terminal", error)
      }
    }
    try runHooks(.createContainer, status: "creating")
    try Sysctl.apply(configuration, root)
    let hidden = bundle.policy.files.filter { $0.value.access == .hidden }.map(\.value.destination)
    try ProtectedPaths(masked: configuration.maskedPaths + hidden, readOnly: configuration.readonlyPaths).apply(root)
    do throws(SystemError) {
      try Mount.pivot(to: root.descriptor)
      try checkRoot(root.descriptor)
      if isNew(.cgroup) { try Namespaces.unshare(Namespaces.cgroup) }
    } catch {
      throw WallError("root filesystem", error)
    }
    try spread(root)
    if isReadOnly {
      try step("read-only root") { () throws(SystemError) in try root.mount.change(set: .readOnly) }
    }
    return far
  }

  /// What the parent made while this process built the root: init's program, above the numbers that are given away,
  /// and /dev.
  private func receive(_ channel: Int32, _ program: inout Int32) throws(WallError) -> DeviceTree {
    var given: [Int32] = []
    try step("set-up of the sandbox") { () throws(SystemError) in
      given = try SetupChannel.await(channel, .equipped)
      guard bundle.usesInit, !given.isEmpty else { return }
      let low = FileDescriptor(owning: given.removeFirst())
      program = try low.duplicate(atLeast: 64).release()
    }
    guard let made = given.first else { return devices }
    return devices.with(made: made)
  }

  private func planWithAgent(_ plan: ConfinementPlan) -> ConfinementPlan {
    var plan = plan
    if let agent, let state = bundle.hookState {
      plan.listener = SeccompListenerRoute(
        socket: agent,
        message: state.listenerBytes(
          metadata: bundle.seccompListener?.metadata, status: "created", pid: outerPid ?? 0))
    }
    return plan
  }

  /// Hooks that run in the box's namespaces: from the host's files while those are still to be seen, later from the box's.
  private func runHooks(_ moment: HookConfiguration.Moment, status: String) throws(WallError) {
    guard let state = bundle.hookState, !configuration.hooks[moment].isEmpty else { return }
    try HookRunner.run(moment, of: configuration.hooks, state: state.bytes(status: status, pid: outerPid ?? 0))
  }

  /// rootfsPropagation (config-linux.md): the root's own, and with "r" before it that of all that is mounted below.
  private func spread(_ root: borrowing BoxRoot) throws(WallError) {
    guard var word = configuration.rootPropagation else { return }
    let isRecursive = word.hasPrefix("r")
    if isRecursive { word.removeFirst() }
    let kinds: [String: MountPropagation] = ["slave": .slave, "shared": .shared, "unbindable": .unbindable]
    guard let kind = kinds[word] else { return }
    try step("linux.rootfsPropagation") { () throws(SystemError) in
      try root.mount.change(propagation: kind, recursive: isRecursive)
    }
  }

  /// What was mounted over the old root went away with it: ".." of the root is the root, and nothing else.
  private func checkRoot(_ root: Int32) throws(SystemError) {
    let own = try File.status("", at: root)
    let above = try File.status("/..")
    if own.st_dev != above.st_dev || own.st_ino != above.st_ino { throw SystemError("pivot_root", "/..", .busy) }
  }

  private var isReadOnly: Bool {
    if configuration.rootReadOnly { return true }
    switch bundle.root {
    case .directory(_, let readOnly): return readOnly
    case .layers(_, let scratch), .image(_, let scratch), .host(_, let scratch): return scratch == .none
    }
  }

  private func nameBox() throws(WallError) {
    try step("names and network") { () throws(SystemError) in
      if isNew(.uts) || has(.uts) && configuration.hostname != nil {
        try Namespaces.setHostName(configuration.hostname ?? String(bundle.id.prefix(63)))
      }
      if has(.uts) {
        if let name = configuration.domainname { try Namespaces.setDomainName(name) }
      }
      if isNew(.network) { try Namespaces.raiseLoopback() }
      try moved.configure()
    }
  }

  /// 0, 1 and 2 from what the caller gave; copied out of the way first, for they may be each other's numbers.
  private func takeStreams(_ descriptors: Descriptors) throws(SystemError) {
    guard case .descriptors(let input, let output, let error) = streams else { return }
    if input == 0 && output == 1 && error == 2 { return }
    let copies = [
      try FileDescriptor.duplicate(input, atLeast: 10).release(),
      try FileDescriptor.duplicate(output, atLeast: 10).release(),
      try FileDescriptor.duplicate(error, atLeast: 10).release(),
    ]
    for (number, copy) in copies.enumerated() { try FileDescriptor.replace(Int32(number), with: copy) }
  }

  private func enter(_ descriptors: inout Descriptors, _ program: Int32) throws(WallError) {
    let channel = descriptors.channel
    var plan = plan
    if bundle.compileFilter != nil {
      try step("set-up of the sandbox") { () throws(SystemError) in
        var none: [Int32] = []
        plan.filter = try SetupChannel.awaitFilter(channel, descriptors: &none)
      }
    }
    if bundle.usesInit {
      try step("set-up of the sandbox") { () throws(SystemError) in
        // The channel and the program were made above 10, so that nothing here runs over them.
        try FileDescriptor.handOver([descriptors.initSocket] + bundle.preservedDescriptors, from: 3)
        Identity.setUmask(configuration.process.user.umask ?? 0o022)
        try FileDescriptor.closeRange(from: UInt32(4 + bundle.preservedDescriptors.count))
        try Confinement.enter(plan)
      }
      let error = Process.execute(descriptor: program, "", arguments: ["init"], environment: [])
      throw WallError("init of the sandbox", error)
    }
    // This image waits in the box until it is started: nothing of the host's may be read off it.
    Process.wipeArguments()
    try step("set-up of the sandbox") { () throws(SystemError) in
      try FileDescriptor.handOver(bundle.preservedDescriptors, from: 3)
      Identity.setUmask(configuration.process.user.umask ?? 0o022)
      try checkedSession()
      try SignalSet.letProgramHave()
      // While it waits it holds nothing of the host but this.
      let count = Int32(3 + bundle.preservedDescriptors.count)
      try FileDescriptor.closeAll(
        but: Array(0..<count) + [channel, descriptors.listener, descriptors.lock] + (agent.map { [$0] } ?? []))
    }
    try BoxDirectory.enter(configuration.process.workingDirectory)
    try BoxProgram.check(configuration.process)
    try step("set-up of the sandbox") { () throws(SystemError) in
      try SetupChannel.tellReady(channel)
      if try SetupChannel.awaitLast(channel) == .leave {
        _ = FileDescriptor(owning: channel)
        // What goes wrong from here on is the business of the command that starts the box.
        descriptors.channel = try StartSocket.wait(descriptors.listener)
      }
      try Confinement.enter(planWithAgent(plan))
    }
    // As confined as the program will be: what runs here is the box's own file.
    try runHooks(.startContainer, status: "created")
    // Once more, as the box's own user.
    try BoxDirectory.enter(configuration.process.workingDirectory)
    throw BoxProgram.run(HomeFolder.complete(configuration.process))
  }

  /// A session of its own, with the terminal as its controlling one.
  private func checkedSession() throws(SystemError) {
    try StandardStreams.beginSession(hasTerminal: configuration.process.terminal)
  }

  private func step(_ what: String, _ body: () throws(SystemError) -> Void) throws(WallError) {
    do throws(SystemError) { try body() } catch { throw WallError(what, error) }
  }
}
