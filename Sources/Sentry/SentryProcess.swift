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
  let identity: BoxIdentity
  let trees: HostTrees
  let root: RootAssembly
  let mounts: MountPlan
  let cgroup: Cgroup?
  let scratch: Scratch
  /// Whether the parent has opened the host's trees.
  let parentOpens: Bool

  /// Ends the process in every case.
  /// - Parameters:
  ///   - channel: what goes wrong is said here until everything is ready.
  ///   - socket: where the command comes from and its end is told, in guest/init's words (docs/guest-init.md).
  ///   - tasks: files of version 1 groups to join.
  func run(channel: Int32, socket: Int32, tasks: [Int32]) -> Never {
    do throws(WallError) {
      try raise(channel, socket, tasks)
    } catch {
      SetupChannel.report(channel, error)
    }
    Process.exit(125)
  }

  private func raise(_ channel: Int32, _ socket: Int32, _ tasks: [Int32]) throws(WallError) {
    try step("control groups") { () throws(SystemError) in try Cgroup.join(tasks: tasks) }
    try step("set-up of the sandbox") { () throws(SystemError) in
      try SetupChannel.await(channel, .mapped)
      try Identity.setDumpable(false)
      Identity.setUmask(0)
      if identity.setGroups { try Identity.setGroups([]) }
      try Identity.setGroup(identity.builder.group)
      try Identity.setUser(identity.builder.user)
      try Mount.makeAllPrivate()
      try takeStreams()
      try Namespaces.raiseLoopback()
      // Guests' sockets are the sentry's, which has no capability: which port is whose is for its own rules. A /proc that may not be written
      // leaves ports below 1024 unbound.
      try? File.writeExisting("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
      // As ping(8) asks where it has no privilege (icmp(7)); without it there is no such socket.
      let group = identity.builder.group
      if case .user = bundle.policy.network.value {
        try? File.writeExisting("/proc/sys/net/ipv4/ping_group_range", "\(group) \(group)")
      }
    }
    if !parentOpens {
      try trees.open()
      try trees.finish(userNamespace: nil)
    }
    try step("set-up of the sandbox") { () throws(SystemError) in
      try FileDescriptor.closeAll(
        but: [0, 1, 2, channel, socket, control] + trees.descriptors + (terminal.map { [$0] } ?? []))
    }
    let service = try SentryService(self, socket: socket)
    let built = try root.build(trees, channel)
    try service.prepare(root: built.descriptor, self)
    try confine()
    try step("set-up of the sandbox") { () throws(SystemError) in try SetupChannel.tellReady(channel) }
    _ = FileDescriptor(owning: channel)
    service.serve()
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

  /// No capability, an empty root, a filter of its own: what a guest that takes the sentry over would have.
  private func confine() throws(WallError) {
    try step("the sentry's own confinement") { () throws(SystemError) in
      let empty = try Confinement.emptyDirectory()
      try Identity.changeRoot(to: empty.rawValue)
      var plan = ConfinementPlan()
      plan.user.user = identity.builder.user
      plan.user.group = identity.builder.group
      plan.setGroups = false
      plan.filter = try SentryFilter(hasWritableFolders: hasWritableFolders).compiled()
      plan.parentDeathSignal = SIGKILL
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
