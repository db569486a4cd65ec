import CLinux
import Confinement
import Formats
import Linux
import Policy
import SentryPlatform
import Walls

/// What becomes the sentry: from the first instruction after the clone to the loop that serves guests. It is the first process of its own
/// pid, user, mount, network and IPC namespaces; the guests' namespaces lie within.
struct SentryProcess {
  let bundle: Bundle
  let streams: Streams
  /// The far end of a terminal of the host's.
  let terminal: Int32?
  /// Where commands outside ask for further programs: a listening socket.
  let control: Int32
  /// Where another command starts the sandbox; nil where this one does, in guest/init's words.
  let waiting: StartSocket.Ends?
  let identity: BoxIdentity
  let trees: HostTrees
  /// The root's image, where it is one.
  let image: SentryImage?
  let root: RootAssembly
  let mounts: MountPlan
  /// The root's tree as it is on the host, by the trees' numbers.
  let joinersRoot: Int?
  let network: SentryNetwork
  let scratch: Scratch
  /// Whether the parent has opened the host's trees.
  let parentOpens: Bool

  /// Ends the process in every case, with the program's own status where another command waits for it.
  /// - Parameters:
  ///   - channel: what goes wrong is said here until everything is ready.
  ///   - socket: where the command comes from and its end is told, in guest/init's words (docs/guest-init.md).
  ///   - tasks: files of version 1 groups to join.
  ///   - guestsGroup: that of the group which the guests have for themselves.
  func run(channel: Int32, socket: Int32?, tasks: [Int32], guestsGroup: Int32?) -> Never {
    do throws(WallError) {
      Process.exit(try raise(channel, socket, tasks, guestsGroup))
    } catch {
      SetupChannel.report(channel, error)
    }
    Process.exit(125)
  }

  private func raise(_ channel: Int32, _ socket: Int32?, _ tasks: [Int32], _ guestsGroup: Int32?) throws(WallError)
    -> Int32
  {
    var score: GuestScore?
    // As the runtime's namespace numbers this process, for hooks.
    let outerPid = bundle.hookState == nil ? nil : (try? File.readLink("/proc/self")).flatMap { Int32($0) }
    try step("control groups") { () throws(SystemError) in try Cgroup.join(tasks: tasks) }
    try step("set-up of the sandbox") { () throws(SystemError) in
      try SetupChannel.await(channel, .mapped)
      score = try GuestScore()
      try Identity.setDumpable(false)
      Identity.setUmask(0)
      if identity.setGroups { try Identity.setGroups([]) }
      try Identity.setGroup(identity.builder.group)
      try Identity.setUser(identity.builder.user)
      try Mount.makeAllPrivate()
      try takeStreams()
      try FileDescriptor.handOver(bundle.preservedDescriptors, from: 3)
      var pingers: UInt32?
      if case .user = bundle.policy.network.value { pingers = identity.builder.group }
      try network.setOwn(pingers: pingers)
    }
    if !parentOpens {
      try trees.open()
      try trees.finish(userNamespace: nil)
    }
    try runHooks(outerPid)
    if !bundle.usesInit { Process.wipeArguments() }
    try step("set-up of the sandbox") { () throws(SystemError) in
      let given = Array(0..<Int32(3 + bundle.preservedDescriptors.count))
      let kept =
        given + [channel, control] + trees.descriptors + [socket, terminal, guestsGroup].compactMap { $0 }
        + (image?.descriptors ?? [])
      let waits = waiting.map { [$0.listener.rawValue, $0.lock.rawValue] } ?? []
      try FileDescriptor.closeAll(but: kept + waits + (score.map { [$0.descriptor] } ?? []))
    }
    let service = try SentryService(self, guestsGroup: guestsGroup)
    try step("set-up of the sandbox") { () throws(SystemError) in try score?.restore() }
    let built = try root.build(trees, channel)
    try service.prepare(root: built.descriptor, self) { () throws(WallError) in
      guard let joinersRoot else { return }
      try step("root for programs of the host") { () throws(SystemError) in
        try JoinersRoot.attach(trees.descriptors[joinersRoot])
      }
    }
    try confine()
    try step("set-up of the sandbox") { () throws(SystemError) in try SetupChannel.tellReady(channel) }
    if let socket {
      _ = FileDescriptor(owning: channel)
      return service.serve(toldOn: socket)
    }
    guard let waiting else { return 125 }
    return try service.serve(releasedOn: channel, waiting)
  }

  /// In the sandbox's namespaces, while the host's files are to be seen.
  private func runHooks(_ outerPid: Int32?) throws(WallError) {
    let hooks = bundle.configuration.hooks
    guard let state = bundle.hookState, !hooks[.createContainer].isEmpty else { return }
    try HookRunner.run(.createContainer, of: hooks, state: state.bytes(status: "creating", pid: outerPid ?? 0))
  }

  private func takeStreams() throws(SystemError) {
    switch streams {
    case .descriptors(0, 1, 2): return
    case .descriptors(let input, let output, let error): try FileDescriptor.handOver([input, output, error], from: 0)
    case .terminal:
      let null = try File.open("/dev/null", O_RDWR)
      try FileDescriptor.handOver([null.rawValue, null.rawValue, null.rawValue], from: 0)
      // So that the host tells the sentry of new sizes and of the hangup.
      _ = systemCall(Int(SYS_setsid))
      try checked(
        "ioctl(TIOCSCTTY)", "", systemCall(Int(SYS_ioctl), word(terminal ?? -1), IMMURE_TIOCSCTTY, 0))
    }
  }

  /// Whether files that guests make on the host get the guests' ids as owners: a root and volumes that other programs look at too.
  var servesOwners: Bool { !bundle.usesInit && identity.setGroups }

  /// CHOWN, DAC_OVERRIDE, FOWNER, FSETID (capabilities(7)), within the sandbox's user namespace: over files of the sandbox's ids, of which
  /// the sentry has the trees that it was given.
  private static let fileCapabilities: UInt64 = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4

  /// No capability, an empty root, a filter of its own: what a guest that takes the sentry over would have.
  private func confine() throws(WallError) {
    try step("the sentry's own confinement") { () throws(SystemError) in
      let empty = try Confinement.emptyDirectory()
      try Identity.changeRoot(to: empty.rawValue)
      var plan = ConfinementPlan()
      plan.user.user = identity.server ?? identity.builder.user
      plan.user.group = identity.server ?? identity.builder.group
      plan.setGroups = false
      plan.filter = try SentryFilter(hasWritableFolders: hasWritableFolders).compiled()
      if bundle.usesInit { plan.parentDeathSignal = SIGKILL }
      if servesOwners {
        plan.capabilities.effective = Self.fileCapabilities
        plan.capabilities.permitted = Self.fileCapabilities
      }
      try Confinement.enter(plan)
    }
  }

  private var hasWritableFolders: Bool {
    if case .directory(_, let readOnly) = bundle.root, !readOnly, !bundle.configuration.rootReadOnly { return true }
    return mounts.items.contains {
      switch $0.source {
      case .tree, .overlay: !$0.options.attributes.contains(.readOnly)
      case .lent, .devices, .fileSystem: false
      }
    }
  }

  private func step(_ what: String, _ body: () throws(SystemError) -> Void) throws(WallError) {
    do throws(SystemError) { try body() } catch { throw WallError(what, error) }
  }
}

/// How good a choice the guests are when memory runs out: the best that there is, so that the kernel never ends the sentry while one of them
/// lives (proc_pid_oom_score_adj(5)). The keeper, whose children they are, is made while the sentry itself has it.
private struct GuestScore {
  private let file: OwnedDescriptor
  private let own: [UInt8]
  var descriptor: Int32 { file.rawValue }

  /// Before this process becomes one whose files in /proc are root's.
  init() throws(SystemError) {
    file = OwnedDescriptor(try File.open("/proc/self/oom_score_adj", O_RDWR))
    own = try File.read(file.rawValue, atMost: 16)
    try File.writeAll(file.rawValue, "1000")
  }

  /// What it may raise it may lower again to what it was.
  func restore() throws(SystemError) {
    try File.writeAll(file.rawValue, own)
    file.close()
  }
}
