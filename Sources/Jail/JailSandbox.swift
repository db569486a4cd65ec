import CLinux
import Confinement
import Formats
import Guest
import Linux
import Walls

/// A jail that was raised: by this command, or by another whose record was opened.
final class JailSandbox: Sandbox {
  let id: String
  let holdings: JailHoldings
  let remarks: [String]
  /// The folder in which it waits to be started by another command; nil with guest/init, which only the command that made it can tell.
  private let folder: String?

  private let life: BoxLife

  /// Just raised.
  init(
    _ holdings: JailHoldings, child: consuming Child, process: ProcessIdentity, beginning: BoxLife.Beginning,
    waitsIn folder: String?, terminal: OwnedDescriptor?, remarks: [String]
  ) {
    self.remarks = remarks
    self.folder = folder
    id = holdings.id
    self.holdings = holdings
    life = BoxLife(
      id: id, child: child, process: process, beginning: beginning, terminal: terminal, holdings: holdings)
  }

  /// From another command's record; it may be gone, or never have been whole.
  init(_ record: SandboxRecord, on host: Host) throws(WallError) {
    id = record.id
    holdings = JailHoldings(id: record.id, details: record.details)
    remarks = []
    folder = record.details["directory"]
    life = try BoxLife(record, startedIn: folder, holdings: holdings, on: host)
  }

  var details: [String: String] {
    var details = holdings.details
    if let folder { details["directory"] = folder }
    return details
  }
  var process: ProcessIdentity { life.process }
  var exitDescriptor: Int32 { life.exitDescriptor }
  var terminal: Int32? { life.terminal }

  func start() throws(WallError) { try life.start() }
  func collect() throws(WallError) -> Ending { try life.collect() }
  func destroy() throws(WallError) { try life.destroy() }

  static func explain(_ failure: InitReply.Failure, _ message: InitMessage) -> WallError {
    guard failure.step == .execute else { return WallError(failure.describe(message)) }
    return WallError(failure.isNotFound ? .notFound : .notExecutable, failure.describe(message))
  }

  func signal(_ number: Int32) throws(WallError) {
    do throws(SystemError) {
      switch number {
      case SIGKILL where exitDescriptor >= 0:
        // Init's death alone would leave the others: there is no process namespace that ends with it.
        return try holdings.end(BoxLife.First(process: process, descriptor: exitDescriptor), isParent: life.isChild)
      case SIGSTOP where exitDescriptor >= 0: return try stop()
      case SIGCONT where exitDescriptor >= 0: try resumeAll()
      default: break
      }
    } catch  where error.errno == .noProcess {
      throw WallError(.gone, "sandbox \(id): it has ended")
    } catch {
      throw WallError("sandbox \(id)", error)
    }
    try life.signal(number)
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
  var parting: (any Parting)? { life.parting(in: folder) }
  var limiting: (any Limiting)? {
    guard folder != nil, let cgroup = holdings.cgroup else { return nil }
    return GroupLimiting(id: id, cgroup: cgroup) { _ in }
  }
  var listing: (any ProcessListing)? { JailListing(sandbox: self) }
  /// A jail without a root of its own has the host's paths: there is nothing to copy into or out of.
  var files: (any FileTransfer)? { hasOwnRoot ? transfer : nil }
}
