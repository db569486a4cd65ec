import CLinux
package import Guest
package import Linux
package import Walls

/// What a box has of the host and gives back when it ends, as each wall knows it.
package protocol BoxHoldings {
  /// Counts the box; nil where there is none.
  var cgroup: Cgroup? { get }

  /// Ends every process that can be named.
  /// - Parameters:
  ///   - first: the box's first process; nil where it is gone.
  ///   - isParent: whether it is this process's child.
  func end(_ first: BoxLife.First?, isParent: Bool) throws(SystemError)

  /// Ends what the box's first process, which has ended, may have left.
  func endRest() throws(SystemError)

  /// Gives everything back; all processes have ended. May be called again.
  func free(isParent: Bool) throws(WallError)
}

/// A box's first process as commands outside have it: how it is started, signalled and ended. The same for every wall; what else a wall
/// can do is its own.
package final class BoxLife {
  package struct First {
    package let process: ProcessIdentity
    package let descriptor: Int32
    package init(process: ProcessIdentity, descriptor: Int32) {
      self.process = process
      self.descriptor = descriptor
    }
  }
  package let id: String
  package let process: ProcessIdentity
  package let holdings: any BoxHoldings
  private let beginning: Beginning
  /// Whether this command raised it.
  package let isChild: Bool
  private let pidfd: OwnedDescriptor?
  private let near: OwnedDescriptor?
  private var ending: Ending?
  private var isFree = false

  /// How its program begins.
  package enum Beginning {
    /// By a message in guest/init's words on this socket, which also tells the program's end. What went wrong is told by `explains`.
    case told(InitMessage, OwnedDescriptor, explains: (InitReply.Failure, InitMessage) -> WallError)
    /// By a word on the channel of its set-up, whose end closes when the program runs.
    case released(OwnedDescriptor)
    /// By a word on the socket in the sandbox's folder; nil where there is none.
    case elsewhere(folder: String?)
  }

  /// Just raised.
  package init(
    id: String, child: consuming Child, process: ProcessIdentity, beginning: Beginning, terminal: OwnedDescriptor?,
    holdings: any BoxHoldings
  ) {
    self.id = id
    self.process = process
    self.holdings = holdings
    self.beginning = beginning
    isChild = true
    pidfd = OwnedDescriptor(child.takeDescriptor())
    near = terminal
  }

  /// From another command's record; it may be gone, or never have been whole.
  package init(_ record: SandboxRecord, startedIn folder: String?, holdings: any BoxHoldings, on host: Host)
    throws(WallError)
  {
    id = record.id
    process = record.process ?? ProcessIdentity(pid: 0, startTime: 0)
    self.holdings = holdings
    beginning = .elsewhere(folder: folder)
    isChild = false
    near = nil
    do throws(SystemError) {
      // A record of an earlier boot names nobody.
      if record.bootID == host.bootID, let handle = try record.process?.open() {
        pidfd = OwnedDescriptor(handle)
      } else {
        pidfd = nil
      }
    } catch {
      throw WallError("sandbox \(record.name)", error)
    }
  }

  package var exitDescriptor: Int32 { pidfd?.rawValue ?? -1 }
  package var terminal: Int32? { near?.rawValue }

  // MARK: Beginning

  package func start() throws(WallError) {
    switch beginning {
    case .told(let message, let socket, let explains): try tell(message, socket, explains)
    case .released(let channel): try release(channel)
    case .elsewhere(let folder):
      guard let folder else { throw WallError("sandbox \(id): only the command that created it can start it") }
      try StartSocket.knock(in: folder, id: id)
    }
  }

  private func tell(
    _ message: InitMessage, _ socket: OwnedDescriptor, _ explains: (InitReply.Failure, InitMessage) -> WallError
  ) throws(WallError) {
    let reply: InitReply?
    do throws(InitSocketError) {
      try message.send(to: socket.rawValue)
      reply = try InitReply.receive(from: socket.rawValue)
    } catch {
      throw WallError("sandbox \(id): \(error)")
    }
    switch reply {
    case .started: return
    case .failed(let failure): throw explains(failure, message)
    case .exited, nil:
      if let cgroup = holdings.cgroup, cgroup.memoryKills() > 0 {
        throw WallError("sandbox \(id): its memory limit is too small to start a program")
      }
      throw WallError("sandbox \(id): its first process died before the program ran")
    }
  }

  private func release(_ channel: OwnedDescriptor) throws(WallError) {
    do throws(SystemError) {
      try SetupChannel.tell(channel.rawValue, .start)
    } catch {
      throw WallError(.gone, "sandbox \(id): it has ended")
    }
    switch try SetupChannel.listen(channel.rawValue) {
    case .failed(let error): throw error
    case .closed: return
    case .terminal, .ready, .process, .remark:
      throw WallError("sandbox \(id): its first process said something unknown")
    }
  }

  // MARK: Ending

  package func collect() throws(WallError) -> Ending {
    if let ending { return ending }
    guard isChild else { throw WallError("sandbox \(id): another command waits for its end") }
    var ending: Ending
    do throws(SystemError) {
      let status = try Process.wait(process.pid) ?? .signaled(SIGKILL)
      ending = Ending(status: commandStatus() ?? status)
      // Before the rest is ended: who removes the group to see that nobody is left takes its counts away.
      let isKilled = ending.status == .signaled(SIGKILL) || ending.status == .exited(128 + SIGKILL)
      if isKilled, let cgroup = holdings.cgroup, cgroup.memoryKills() > 0 { ending.limit = .memory }
      try holdings.endRest()
    } catch {
      throw WallError("sandbox \(id)", error)
    }
    if ending.limit == nil { ending.limit = LimitHit(signal: ending.status) }
    self.ending = ending
    try free()
    return ending
  }

  /// What init, or whoever speaks its words, said last about the command.
  private func commandStatus() -> ExitStatus? {
    guard case .told(_, let socket, _) = beginning else { return nil }
    while true {
      // A box may write anything to this socket; what makes no sense says nothing about the command.
      guard let reply = try? InitReply.receive(from: socket.rawValue, wait: false) else { return nil }
      if case .exited(let status) = reply { return ExitStatus(waitStatus: status) }
    }
  }

  package func signal(_ number: Int32) throws(WallError) {
    guard let pidfd else { throw WallError(.gone, "sandbox \(id): it has ended") }
    do throws(SystemError) {
      try Process.signal(descriptor: pidfd.rawValue, number)
    } catch  where error.errno == .noProcess {
      throw WallError(.gone, "sandbox \(id): it has ended")
    } catch {
      throw WallError("sandbox \(id)", error)
    }
  }

  package func destroy() throws(WallError) {
    do throws(SystemError) {
      let first = pidfd.map { First(process: process, descriptor: $0.rawValue) }
      try holdings.end(first, isParent: isChild)
      if isChild, ending == nil {
        do throws(SystemError) {
          let status = try Process.wait(process.pid) ?? .signaled(SIGKILL)
          ending = Ending(status: commandStatus() ?? status)
        } catch  where error.errno == .noChild {}
      } else if !isChild, let pidfd {
        _ = try Readiness.wait(pidfd.rawValue, milliseconds: 10_000)
      }
    } catch {
      throw WallError("sandbox \(id)", error)
    }
    try free()
  }

  private func free() throws(WallError) {
    if isFree { return }
    try holdings.free(isParent: isChild)
    isFree = true
  }

  // MARK: Leaving

  /// For a box without init of ours: it can be left waiting in its folder.
  package func parting(in folder: String?) -> (any Parting)? {
    guard let folder else { return nil }
    var channel: OwnedDescriptor?
    if case .released(let own) = beginning { channel = own }
    return BoxParting(id: id, channel: channel, directory: folder)
  }
}

/// A box that goes on without the command that raised it.
struct BoxParting: Parting {
  let id: String
  let channel: OwnedDescriptor?
  let directory: String

  func leave() throws(WallError) {
    guard let channel else { throw WallError("sandbox \(id): only the command that raised it can leave it") }
    do throws(SystemError) { try SetupChannel.tell(channel.rawValue, .leave) } catch {
      throw WallError(.gone, "sandbox \(id): it has ended")
    }
  }

  func isWaiting() throws(WallError) -> Bool {
    do throws(SystemError) { return try StartSocket.isWaiting(in: directory) } catch {
      throw WallError("sandbox \(id)", error)
    }
  }
}

extension LimitHit {
  /// The rlimit whose signal ended the program: file size (SIGXFSZ), CPU time (SIGXCPU).
  package init?(signal status: ExitStatus) {
    switch status {
    case .signaled(SIGXFSZ), .exited(128 + SIGXFSZ): self = .fileSize
    case .signaled(SIGXCPU), .exited(128 + SIGXCPU): self = .cpuTime
    default: return nil
    }
  }
}
