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

  /// The sentry and the keeper stand in the groups of the guests, whom the limit is for. (Behind guest/init's words the keeper counts as init
  /// does elsewhere.)
  static func attendants(usesInit: Bool) -> Int64 { usesInit ? 1 : 2 }

  private var configuration: RuntimeConfiguration { bundle.configuration }
  private var parent: RaisingParent {
    var parent = RaisingParent(bundle, on: host)
    parent.attendants = Self.attendants(usesInit: bundle.usesInit)
    return parent
  }

  func raise() throws(WallError) -> SentrySandbox {
    try SentryRefusals.check(bundle)
    let joined = try JoinedNamespaces(configuration)
    defer { joined.close() }
    var identity = try BoxIdentity.choose(sealed, on: host)
    if hasAllIDs { identity.server = try ownID() }
    var cgroup: Cgroup?
    do throws(WallError) {
      var notes = identity.notes
      cgroup = try parent.makeCgroup(identity, &notes)
      return try raise(identity, joined, cgroup)
    } catch {
      // Nothing is left behind; what cannot be removed now is empty, and the error that matters is the first.
      try? cgroup?.remove()
      try? identity.lease?.release()
      if hasAllIDs { try? IDRangeLease.release(for: bundle.directory) }
      throw error
    }
  }

  /// The bundle with a root that nobody writes to: what guests write lies in the sentry's memory. A folder that is to be written keeps
  /// its writes. The sentry has a user namespace of its own, whether the configuration asks for one or not.
  private var sealed: Bundle {
    var bundle = bundle
    switch bundle.root {
    case .directory:
      if !configuration.namespaces.contains(where: { $0.kind == .user }) {
        bundle.configuration.namespaces.append(NamespaceConfiguration(.user))
        if hasAllIDs {
          let all = IDMapping(inside: 0, outside: 0, count: UInt32.max)
          bundle.configuration.userMappings = [all]
          bundle.configuration.groupMappings = [all]
        }
      }
    case .layers(let paths, _): bundle.root = .layers(paths: paths, scratch: .none)
    case .image(let image, _): bundle.root = .image(image, scratch: .none)
    case .host(let root, _): bundle.root = .host(root, scratch: .none)
    }
    return bundle
  }

  /// Owners of an overlay's files cannot be translated (FS_ALLOW_IDMAP): the sentry's user namespace then has all ids, and it serves them with its
  /// capabilities there, under an id that none of the files is of. It has no power over anything but what it was given.
  private var hasAllIDs: Bool {
    guard case .directory(let path, _) = bundle.root, host.isRoot else { return false }
    return !configuration.namespaces.contains { $0.kind == .user } && HostTrees.isOverlay(path)
  }

  /// The first of a range that is nobody else's; given back with the sandbox's folder.
  private func ownID() throws(WallError) -> UInt32 {
    do throws(SystemError) { return try IDRangeLease.take(for: bundle.directory).base } catch {
      throw WallError("no id for the sentry", error)
    }
  }

  private var scratch: Scratch {
    switch bundle.root {
    case .directory: .none
    case .layers(_, let scratch), .image(_, let scratch), .host(_, let scratch): scratch
    }
  }

  private func raise(_ identity: BoxIdentity, _ joined: JoinedNamespaces, _ cgroup: Cgroup?) throws(WallError)
    -> SentrySandbox
  {
    let trees = HostTrees()
    let root = try RootAssembly.plan(sealed, trees, identity)
    let mounts = try MountPlan.plan(bundle, trees, identity, translates: true)
    let outside = JoinersRoot.request(bundle, trees)
    let parentOpens = host.isRoot
    if parentOpens { try trees.open() }
    let prepared: Prepared
    do throws(SystemError) { prepared = try Prepared(bundle, streams) } catch {
      throw WallError("set-up of the sandbox", error)
    }
    let network = try SentryNetwork(configuration, joined)
    let image = try SentryImage.open(of: bundle.root)
    let process = SentryProcess(
      bundle: bundle, streams: streams, terminal: prepared.terminal?.far.rawValue,
      control: prepared.control.rawValue, waiting: prepared.waiting, identity: identity, trees: trees, image: image,
      root: root, mounts: mounts, joinersRoot: outside, network: network, scratch: scratch, parentOpens: parentOpens)
    let child = try clone(process, prepared, cgroup, joined)
    prepared.closeFar()
    image?.close()
    let channel = prepared.channel.near.rawValue
    var remarks: [String] = []
    do throws(WallError) {
      let namespaces = try openNamespaces(of: child)
      try parent.attend(
        child, trees, identity, parentOpens: parentOpens,
        score: bundle.usesInit ? nil : configuration.process.oomScoreAdjustment.map { min($0, Self.highestScore) },
        channel: channel
      ) { _ in }
      _ = try parent.awaitChild(channel, isReadyWhenClosed: false, &remarks)
      guard let identity = ProcessIdentity(pid: child.pid) else {
        throw WallError("set-up of the sandbox: the sentry died")
      }
      return SentrySandbox(
        bundle, child: child, process: identity, cgroup: cgroup, prepared, namespaces: namespaces, remarks: remarks)
    } catch {
      // It waits for us or has failed already; its namespaces go with it.
      try? child.signal(SIGKILL)
      _ = try? child.wait()
      throw error
    }
  }

  /// The kernel's choice when memory runs out: guests have 1000, and the sentry is never as good a choice as they.
  private static let highestScore: Int32 = 500

  /// What the parent and the sentry speak through, above the numbers that the sentry gives away.
  struct Prepared {
    let channel: (near: OwnedDescriptor, far: OwnedDescriptor)
    /// For guest/init's words; nil where the sandbox is started by a word on the channel, or by another command.
    let socket: (near: OwnedDescriptor, far: OwnedDescriptor)?
    let waiting: StartSocket.Ends?
    /// A pair of the host's, of which the sentry carries the far end's bytes to the guests' own terminal.
    let terminal: (near: OwnedDescriptor, far: OwnedDescriptor)?

    /// Where commands ask for further programs.
    let control: OwnedDescriptor

    init(_ bundle: Bundle, _ streams: Streams) throws(SystemError) {
      let folder = try File.open(bundle.directory, File.directoryOnly)
      control = OwnedDescriptor(
        try PacketSocket.listen(SentryExecution.socketName, in: folder.rawValue).duplicate(atLeast: 64))
      channel = try OwnedDescriptor.pair(packets: true)
      socket = bundle.usesInit ? try OwnedDescriptor.pair(packets: false) : nil
      waiting = bundle.usesInit ? nil : try StartSocket.make(in: bundle.directory)
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

    /// What only the sentry holds from now on.
    func closeFar() {
      channel.far.close()
      socket?.far.close()
      terminal?.far.close()
      control.close()
      waiting?.close()
    }
  }

  private func clone(_ process: SentryProcess, _ prepared: Prepared, _ cgroup: Cgroup?, _ joined: JoinedNamespaces)
    throws(WallError) -> Child
  {
    var flags = Namespaces.user | Namespaces.mount | Namespaces.pid | Namespaces.uts
    if !process.network.isJoined { flags |= Namespaces.network }
    do throws(SystemError) {
      var folder: FileDescriptor?
      if let path = cgroup?.unifiedPath { folder = try File.open(path, O_PATH | O_DIRECTORY) }
      let tasks = try cgroup?.openTasks() ?? []
      let guests = guestsGroup(in: cgroup)
      defer { for descriptor in tasks + (guests.map { [$0] } ?? []) { _ = FileDescriptor(owning: descriptor) } }
      let arguments = CloneArguments(flags: flags, cgroup: folder?.rawValue)
      let made = try joined.beingBornInto(hasOwnUser: true) { () throws(SystemError) in
        try process.network.setJoined()
        return try Process.clone(arguments)
      }
      guard let child = made else {
        prepared.channel.near.close()
        prepared.socket?.near.close()
        process.run(
          channel: prepared.channel.far.rawValue, socket: prepared.socket?.far.rawValue, tasks: tasks,
          guestsGroup: guests)
      }
      return child
    } catch  where error.call == "clone3" {
      let lack = Host.whyNoUserNamespaces(error.errno)
      throw WallError(.unavailable, "\(lack.what): \(lack.remedy)")
    } catch {
      throw WallError("namespaces", error)
    }
  }

  /// Version 1's group for the guests alone, by a descriptor to join by; version 2 is divided when the program is started.
  ///
  /// Engines listen at the box's own group for what happens when memory runs out, and version 1 tells only those at and below the group whose
  /// limit it was: a box of theirs has its limit there alone, and the kernel's choice is by the guests' oom_score_adj.
  private func guestsGroup(in cgroup: Cgroup?) -> Int32? {
    guard bundle.usesInit, let limit = configuration.resources.memoryLimit, limit > 0,
      let parts = cgroup.flatMap(CgroupParts.init), !parts.isUnified
    else { return nil }
    // Where it cannot be made the one group holds both, as it does for engines.
    return (try? parts.makeGuests(limit: limit))?.release()
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
}
