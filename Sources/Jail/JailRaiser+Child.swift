import CLinux
import Confinement
import Formats
import Guest
import Linux
import Walls

extension JailRaiser {
  /// Clones, and returns when the child is confined and runs guest/init, which waits to be told what to start.
  func spawn(
    _ plan: ConfinementPlan, _ root: JailRoot?, _ holdings: JailHoldings, _ message: InitMessage,
    _ notes: [String]
  ) throws(WallError) -> JailSandbox {
    let prepared: Prepared
    do throws(SystemError) {
      // Orphans of a jail without an own user must come to us to be found.
      if holdings.user == nil { try Identity.becomeSubreaper() }
      prepared = try Prepared(bundle, streams, hostTerminal: root == nil)
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
      let parent = RaisingParent(bundle, on: host)
      if !bundle.usesInit {
        if let score = configuration.process.oomScoreAdjustment { try parent.set(score, of: child.pid) }
        try parent.runHooks(child.pid)
      }
      let channel = prepared.channel.near
      try equip(channel.rawValue)
      var remarks = notes
      let own = try parent.awaitChild(channel.rawValue, isReadyWhenClosed: bundle.usesInit, &remarks)
      let terminal = own.map { OwnedDescriptor(FileDescriptor(owning: $0)) } ?? prepared.terminal?.near
      guard let process = ProcessIdentity(pid: child.pid) else {
        throw WallError("set-up of the sandbox: its first process died")
      }
      let beginning: BoxLife.Beginning =
        if let socket = prepared.socket?.near {
          .told(message, socket, explains: JailSandbox.explain)
        } else {
          .released(channel)
        }
      return JailSandbox(
        holdings, child: child, process: process, beginning: beginning,
        waitsIn: bundle.usesInit ? nil : bundle.directory, terminal: terminal, remarks: remarks)
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
      if bundle.usesInit {
        let program = try GuestInit.image()
        try SetupChannel.tell(channel, filter: filter, descriptors: [program.rawValue])
        _ = consume program
      } else {
        try SetupChannel.tell(channel, filter: filter)
      }
    } catch  where error.errno == .brokenPipe {
      // The child has failed already, and says why.
    } catch {
      throw WallError("set-up of the sandbox", error)
    }
  }

  /// In the child, from its first instruction to exec. Ends the process where it fails.
  private func become(
    _ plan: ConfinementPlan, _ root: JailRoot?, _ holdings: JailHoldings, _ prepared: Prepared
  ) -> Never {
    // The end of the near ones tells it that the parent died.
    prepared.closeNearEnds()
    var channel = prepared.channel.far.rawValue
    do throws(WallError) {
      var plan = plan
      try step("set-up of the sandbox") { () throws(SystemError) in
        try Identity.setDumpable(false)
        Identity.setUmask(0)
        if let cgroup = holdings.cgroup { try Cgroup.join(tasks: try cgroup.openTasks()) }
      }
      var far: OwnedDescriptor?
      try root?.enter(channel) { root throws(SystemError) in
        guard case .terminal(let size) = streams, let user = holdings.user else { return }
        let terminal = try BoxTerminal.open(in: root.descriptor, size: size, owner: user.id)
        try SetupChannel.hand(channel, terminal: terminal.near.rawValue)
        far = OwnedDescriptor(try terminal.far.duplicate(atLeast: 64))
      }
      var given: [Int32] = []
      try step("set-up of the sandbox") { () throws(SystemError) in
        plan.filter = try SetupChannel.awaitFilter(channel, descriptors: &given)
        guard given.count == (bundle.usesInit ? 1 : 0) else {
          throw SystemError("set-up", "the parent went away", .brokenPipe)
        }
        // Above the numbers that are given away.
        given = try given.map { number throws(SystemError) in
          try FileDescriptor(owning: number).duplicate(atLeast: 64).release()
        }
        try takeStreams(far ?? prepared.terminal?.far)
      }
      if bundle.usesInit, let socket = prepared.socket?.far.rawValue {
        try becomeInit(plan, program: given[0], socket: socket)
      }
      try becomeProgram(plan, holdings, prepared.waiting, &channel)
    } catch {
      SetupChannel.report(channel, error)
    }
    Process.exit(125)
  }

  private func becomeInit(_ plan: ConfinementPlan, program: Int32, socket: Int32) throws(WallError) {
    try step("set-up of the sandbox") { () throws(SystemError) in
      try FileDescriptor.handOver([socket] + bundle.preservedDescriptors, from: 3)
      Identity.setUmask(configuration.process.user.umask ?? 0o022)
      try FileDescriptor.closeRange(from: UInt32(4 + bundle.preservedDescriptors.count))
      try Confinement.enter(plan)
    }
    let error = Process.execute(descriptor: program, "", arguments: ["init"], environment: [])
    throw WallError("init of the sandbox", error)
  }

  /// The program itself is the first process, and waits until it is let go, by the command that made it or by another.
  private func becomeProgram(
    _ plan: ConfinementPlan, _ holdings: JailHoldings, _ waiting: StartSocket.Ends?, _ channel: inout Int32
  ) throws(WallError) {
    let process = configuration.process
    // This image waits in the jail: nothing of the host's may be read off it.
    Process.wipeArguments()
    try step("set-up of the sandbox") { () throws(SystemError) in
      try FileDescriptor.handOver(bundle.preservedDescriptors, from: 3)
      Identity.setUmask(process.user.umask ?? 0o022)
      try StandardStreams.beginSession(hasTerminal: process.terminal)
      try SignalSet.letProgramHave()
      let kept = [channel, waiting?.listener.rawValue, waiting?.lock.rawValue].compactMap { $0 }
      try FileDescriptor.closeAll(but: Array(0..<Int32(3 + bundle.preservedDescriptors.count)) + kept)
      // The user has a process from here on: its id is given to nobody else, and whoever ends the jail finds this one.
      try holdings.user?.claim()
    }
    // Not its working directory: a link could lead this process, which may still do anything, through the host's /proc.
    try BoxProgram.check(process, throughMagicLinks: false)
    try step("set-up of the sandbox") { () throws(SystemError) in
      try SetupChannel.tellReady(channel)
      if try SetupChannel.awaitLast(channel) == .leave, let waiting {
        _ = FileDescriptor(owning: channel)
        // What goes wrong from here on is the business of the command that starts the jail.
        channel = try StartSocket.wait(waiting.listener.rawValue)
      }
      try Confinement.enter(plan)
    }
    try BoxDirectory.enter(process.workingDirectory)
    throw BoxProgram.run(HomeFolder.complete(process))
  }

  /// 0, 1 and 2; copied out of the way first, for they may be each other's numbers.
  private func takeStreams(_ terminal: OwnedDescriptor?) throws(SystemError) {
    let given: [Int32]
    switch streams {
    case .descriptors(let input, let output, let error): given = [input, output, error]
    case .terminal: given = [Int32](repeating: terminal?.rawValue ?? -1, count: 3)
    }
    if given == [0, 1, 2] { return }
    try FileDescriptor.handOver(given, from: 0)
  }

  private func step(_ what: String, _ body: () throws(SystemError) -> Void) throws(WallError) {
    do throws(SystemError) { try body() } catch { throw WallError(what, error) }
  }
}

/// Sockets and a terminal, above the numbers that the child gives away.
struct Prepared {
  let channel: (near: OwnedDescriptor, far: OwnedDescriptor)
  /// Init's; nil without it.
  let socket: (near: OwnedDescriptor, far: OwnedDescriptor)?
  /// Where a jail without init waits for the command that starts it.
  let waiting: StartSocket.Ends?
  let terminal: (near: OwnedDescriptor, far: OwnedDescriptor)?

  /// `hostTerminal`: one of the host's devpts, where the jail has none.
  init(_ bundle: Bundle, _ streams: Streams, hostTerminal: Bool) throws(SystemError) {
    channel = try OwnedDescriptor.pair(packets: true)
    socket = bundle.usesInit ? try OwnedDescriptor.pair(packets: false) : nil
    waiting = bundle.usesInit ? nil : try StartSocket.make(in: bundle.directory)
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
    socket?.far.close()
    waiting?.close()
    terminal?.far.close()
  }

  /// What only the parent holds from now on.
  func closeNearEnds() {
    channel.near.close()
    socket?.near.close()
    terminal?.near.close()
  }
}
