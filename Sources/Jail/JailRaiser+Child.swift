import CLinux
import Confinement
import Formats
import Guest
import Linux
import Walls

extension JailRaiser {
  /// Clones, and returns when the child is confined and runs guest/init, which waits to be told what to start.
  func spawn(
    _ plan: ConfinementPlan, _ root: JailRoot?, _ holdings: JailHoldings, _ message: InitMessage
  ) throws(WallError) -> JailSandbox {
    let prepared: Prepared
    do throws(SystemError) {
      // Orphans of a jail without an own user must come to us to be found.
      if holdings.user == nil { try Identity.becomeSubreaper() }
      prepared = try Prepared(streams, hostTerminal: root == nil)
      if let user = holdings.user {
        streams.givePipes(to: user.id)
        if let far = prepared.terminal?.far.rawValue {
          try File.changeOwner("", user: user.id, group: UInt32.max, at: far)
        }
      }
    } catch {
      throw WallError("set-up of the sandbox", error)
    }
    let child: Child
    do throws(SystemError) {
      var group: FileDescriptor?
      if let path = holdings.cgroup?.unifiedPath { group = try File.open(path, O_PATH | O_DIRECTORY) }
      let arguments = CloneArguments(flags: root == nil ? 0 : Namespaces.mount, cgroup: group?.rawValue)
      guard let cloned = try Process.clone(arguments) else { become(plan, root, holdings, prepared) }
      child = cloned
    } catch {
      throw WallError("process", error)
    }
    prepared.closeFarEnds()
    do throws(WallError) {
      try equip(prepared.channel.near.rawValue)
      var remarks: [String] = []
      let terminal = try awaitChild(prepared.channel.near.rawValue, &remarks) ?? prepared.terminal?.near
      guard let process = ProcessIdentity(pid: child.pid) else {
        throw WallError("set-up of the sandbox: its first process died")
      }
      return JailSandbox(
        holdings, child: child, process: process, message: message, socket: prepared.socket.near,
        terminal: terminal, remarks: remarks)
    } catch {
      // It has failed and says why, or is still ours alone.
      try? child.signal(SIGKILL)
      _ = try? child.wait()
      throw error
    }
  }

  /// While the child builds the root: init's program and the filter.
  private func equip(_ channel: Int32) throws(WallError) {
    var filter = bundle.filter
    if let compile = bundle.compileFilter { filter = try compile() }
    do throws(SystemError) {
      let program = try GuestInit.image()
      try SetupChannel.tell(channel, filter: filter, descriptors: [program.rawValue])
      _ = consume program
    } catch  where error.errno == .brokenPipe {
      // The child has failed already, and says why.
    } catch {
      throw WallError("set-up of the sandbox", error)
    }
  }

  /// Until the child runs init; returns the near end of a terminal of the jail's own.
  private func awaitChild(_ channel: Int32, _ remarks: inout [String]) throws(WallError) -> OwnedDescriptor? {
    var terminal: OwnedDescriptor?
    while true {
      switch try SetupChannel.listen(channel) {
      case .failed(let error): throw error
      case .terminal(let descriptor): terminal = OwnedDescriptor(FileDescriptor(owning: descriptor))
      case .remark(let text): remarks.append(text)
      case .closed: return terminal
      case .ready, .process: throw WallError("set-up of the sandbox: the child said something unknown")
      }
    }
  }

  /// In the child, from its first instruction to exec. Ends the process where it fails.
  private func become(
    _ plan: ConfinementPlan, _ root: JailRoot?, _ holdings: JailHoldings, _ prepared: Prepared
  ) -> Never {
    // The end of the near ones tells it that the parent died.
    prepared.closeNearEnds()
    do throws(WallError) {
      var plan = plan
      try step("set-up of the sandbox") { () throws(SystemError) in
        try Identity.setDumpable(false)
        Identity.setUmask(0)
        if let cgroup = holdings.cgroup, cgroup.unifiedPath == nil { try cgroup.joinAlone() }
      }
      var far: OwnedDescriptor?
      try root?.enter(prepared.channel.far.rawValue) { root throws(SystemError) in
        guard case .terminal(let size) = streams, let user = holdings.user else { return }
        let terminal = try BoxTerminal.open(in: root.descriptor, size: size, owner: user.id)
        try SetupChannel.hand(prepared.channel.far.rawValue, terminal: terminal.near.rawValue)
        far = OwnedDescriptor(try terminal.far.duplicate(atLeast: 64))
      }
      var given: [Int32] = []
      try step("set-up of the sandbox") { () throws(SystemError) in
        plan.filter = try SetupChannel.awaitFilter(prepared.channel.far.rawValue, descriptors: &given)
        guard given.count == 1 else { throw SystemError("set-up", "the parent went away", .brokenPipe) }
        // Above the numbers that are given away.
        given = [try FileDescriptor(owning: given[0]).duplicate(atLeast: 64).release()]
        try takeStreams(far ?? prepared.terminal?.far)
        try handOver([prepared.socket.far.rawValue] + bundle.preservedDescriptors)
        Identity.setUmask(bundle.configuration.process.user.umask ?? 0o022)
        try FileDescriptor.closeRange(from: UInt32(4 + bundle.preservedDescriptors.count))
        try Confinement.enter(plan)
      }
      let error = Process.execute(
        descriptor: given[0], "", arguments: ["init"], environment: [])
      throw WallError("init of the sandbox", error)
    } catch {
      SetupChannel.report(prepared.channel.far.rawValue, error)
    }
    Process.exit(125)
  }

  /// 0, 1 and 2; copied out of the way first, for they may be each other's numbers.
  private func takeStreams(_ terminal: OwnedDescriptor?) throws(SystemError) {
    let given: [Int32]
    switch streams {
    case .descriptors(let input, let output, let error): given = [input, output, error]
    case .terminal: given = [Int32](repeating: terminal?.rawValue ?? -1, count: 3)
    }
    if given == [0, 1, 2] { return }
    try place(given, from: 0)
  }

  private func handOver(_ given: [Int32]) throws(SystemError) { try place(given, from: 3) }

  private func place(_ given: [Int32], from first: Int32) throws(SystemError) {
    var copies: [Int32] = []
    for descriptor in given { copies.append(try FileDescriptor.duplicate(descriptor, atLeast: 64).release()) }
    for (index, copy) in copies.enumerated() { try FileDescriptor.replace(first + Int32(index), with: copy) }
  }

  private func step(_ what: String, _ body: () throws(SystemError) -> Void) throws(WallError) {
    do throws(SystemError) { try body() } catch { throw WallError(what, error) }
  }
}

/// Sockets and a terminal, above the numbers that the child gives away.
struct Prepared {
  let channel: (near: OwnedDescriptor, far: OwnedDescriptor)
  let socket: (near: OwnedDescriptor, far: OwnedDescriptor)
  let terminal: (near: OwnedDescriptor, far: OwnedDescriptor)?

  /// `hostTerminal`: one of the host's devpts, where the jail has none.
  init(_ streams: Streams, hostTerminal: Bool) throws(SystemError) {
    channel = try OwnedDescriptor.pair(packets: true)
    socket = try OwnedDescriptor.pair(packets: false)
    if hostTerminal, case .terminal(let size) = streams {
      let pair = try Self.raised(Terminal.openPair())
      try Terminal.setSize(pair.near.rawValue, rows: size.rows, columns: size.columns)
      terminal = pair
    } else {
      terminal = nil
    }
  }

  private static func raised(_ pair: consuming DescriptorPair) throws(SystemError) -> (
    near: OwnedDescriptor, far: OwnedDescriptor
  ) {
    let ends = pair.release()
    let far = FileDescriptor(owning: ends.second)
    return (OwnedDescriptor(FileDescriptor(owning: ends.first)), OwnedDescriptor(try far.duplicate(atLeast: 64)))
  }

  func closeFarEnds() {
    channel.far.close()
    socket.far.close()
    terminal?.far.close()
  }

  /// What only the parent holds from now on.
  func closeNearEnds() {
    channel.near.close()
    socket.near.close()
    terminal?.near.close()
  }
}
