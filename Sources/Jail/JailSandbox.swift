import CLinux
import Confinement
import Formats
import Guest
import Linux
import Walls

/// A jail that was raised: by this command, or by another whose record was opened.
final class JailSandbox: Sandbox {
  let id: String
  let process: ProcessIdentity
  let holdings: JailHoldings
  let remarks: [String]

  /// What `start` tells init; only the command that raised the jail has it.
  private let message: InitMessage?
  private let socket: OwnedDescriptor?
  private let isChild: Bool
  private let pidfd: OwnedDescriptor?
  private let near: OwnedDescriptor?
  private var ending: Ending?

  /// Just raised.
  init(
    _ holdings: JailHoldings, child: consuming Child, process: ProcessIdentity, message: InitMessage,
    socket: OwnedDescriptor, terminal: OwnedDescriptor?, remarks: [String]
  ) {
    self.remarks = remarks
    id = holdings.id
    self.holdings = holdings
    self.process = process
    self.message = message
    self.socket = socket
    isChild = true
    pidfd = OwnedDescriptor(child.takeDescriptor())
    near = terminal
  }

  /// From another command's record; it may be gone, or never have been whole.
  init(_ record: SandboxRecord, on host: Host) throws(WallError) {
    id = record.id
    holdings = JailHoldings(id: record.id, details: record.details)
    process = record.process ?? ProcessIdentity(pid: 0, startTime: 0)
    remarks = []
    message = nil
    socket = nil
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

  var details: [String: String] { holdings.details }
  var exitDescriptor: Int32 { pidfd?.rawValue ?? -1 }
  var terminal: Int32? { near?.rawValue }

  // MARK: Beginning

  func start() throws(WallError) {
    guard let socket, let message else {
      throw WallError("sandbox \(id): only the command that created it can start it")
    }
    let reply: InitReply?
    do throws(InitSocketError) {
      try message.send(to: socket.rawValue)
      reply = try InitReply.receive(from: socket.rawValue)
    } catch {
      throw WallError("sandbox \(id): \(error)")
    }
    switch reply {
    case .started: return
    case .failed(let failure): throw explain(failure, message)
    case .exited, nil:
      if let cgroup = holdings.cgroup, cgroup.memoryKills() > 0 {
        throw WallError("sandbox \(id): its memory limit is too small to start a program")
      }
      throw WallError("sandbox \(id): its first process died before the program ran")
    }
  }

  private func explain(_ failure: InitReply.Failure, _ message: InitMessage) -> WallError {
    guard failure.step == .execute else { return WallError(failure.describe(message)) }
    return WallError(failure.isNotFound ? .notFound : .notExecutable, failure.describe(message))
  }

  // MARK: Ending

  func collect() throws(WallError) -> Ending {
    if let ending { return ending }
    guard isChild else { throw WallError("sandbox \(id): another command waits for its end") }
    let status: ExitStatus
    do throws(SystemError) {
      status = try Process.wait(process.pid) ?? .signaled(SIGKILL)
      try holdings.endProcesses(first: nil, isParent: true)
    } catch {
      throw WallError("sandbox \(id)", error)
    }
    var ending = Ending(status: commandStatus() ?? status)
    if let cgroup = holdings.cgroup, cgroup.memoryKills() > 0,
      ending.status == .signaled(SIGKILL) || ending.status == .exited(137)
    {
      ending.limit = .memory
    }
    self.ending = ending
    try holdings.free()
    return ending
  }

  /// What init said last about the command.
  private func commandStatus() -> ExitStatus? {
    guard let socket else { return nil }
    while true {
      // The jailed may write anything to this socket; what makes no sense says nothing about the command.
      guard let reply = try? InitReply.receive(from: socket.rawValue, wait: false) else { return nil }
      if case .exited(let status) = reply { return ExitStatus(waitStatus: status) }
    }
  }

  func signal(_ number: Int32) throws(WallError) {
    guard let pidfd else { throw WallError(.gone, "sandbox \(id): it has ended") }
    do throws(SystemError) {
      switch number {
      case SIGKILL:
        // Init's death alone would leave the others: there is no process namespace that ends with it.
        try holdings.endProcesses(first: process, isParent: isChild)
      case SIGSTOP: try stop()
      default:
        if number == SIGCONT { try resumeAll() }
        try Process.signal(descriptor: pidfd.rawValue, number)
      }
    } catch  where error.errno == .noProcess {
      throw WallError(.gone, "sandbox \(id): it has ended")
    } catch {
      throw WallError("sandbox \(id)", error)
    }
  }

  func destroy() throws(WallError) {
    do throws(SystemError) {
      try holdings.endProcesses(first: pidfd == nil ? nil : process, isParent: isChild)
      if isChild, ending == nil {
        do throws(SystemError) {
          let status = try Process.wait(process.pid) ?? .signaled(SIGKILL)
          ending = Ending(status: commandStatus() ?? status)
        } catch  where error.errno == .noChild {}
      } else if let pidfd {
        _ = try Readiness.wait(pidfd.rawValue, milliseconds: 10_000)
      }
    } catch {
      throw WallError("sandbox \(id)", error)
    }
    try holdings.free()
  }

  // MARK: What it can do

  func stop() throws(SystemError) {
    if let user = holdings.user {
      _ = try UserEnd.signalAll(of: user, SIGSTOP)
    } else {
      try TreeEnd.signal(process, SIGSTOP)
    }
  }

  func resumeAll() throws(SystemError) {
    if let user = holdings.user {
      _ = try UserEnd.signalAll(of: user, SIGCONT)
    } else {
      try TreeEnd.signal(process, SIGCONT)
    }
  }

  /// The processes of the jail as the host numbers them, without those that have ended.
  func members() throws(SystemError) -> [Int32] {
    if let user = holdings.user {
      return try ProcessTable.ofUser(user.id).filter { ProcessTable.status(of: $0)?.isZombie == false }
    }
    guard process.isAlive else { return [] }
    return [process.pid] + ProcessTable.descendants(of: process.pid)
  }

  /// A jail has no namespaces that a further program could join.
  var execution: (any Execution)? { nil }
  var pausing: (any Pausing)? { JailPausing(sandbox: self) }
  var measurement: (any Measurement)? { JailMeasurement(sandbox: self) }
  var listing: (any ProcessListing)? { JailListing(sandbox: self) }
  /// A jail without a root of its own has the host's paths: there is nothing to copy into or out of.
  var files: (any FileTransfer)? { hasOwnRoot ? transfer : nil }
}
