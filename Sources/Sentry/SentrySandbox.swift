import CLinux
import Confinement
import Formats
import Guest
import Linux
import SentryPlatform
import Walls

/// A sandbox behind the sentry: raised by this command, or by another whose record was opened. Its process is the sentry, the first of a
/// process namespace, whose end is the end of every guest.
final class SentrySandbox: Sandbox {
  let id: String
  let remarks: [String]
  private let life: BoxLife
  private let cgroup: Cgroup?
  private let directory: String
  private let usesInit: Bool
  /// What the host's kernel performs unasked, by StubFilter.Policy's name.
  private let systemCalls: String
  private var held: HeldNamespaces?

  /// Just raised.
  init(
    _ bundle: Bundle, child: consuming Child, process: ProcessIdentity, cgroup: Cgroup?,
    _ prepared: SentryRaiser.Prepared, namespaces: HeldNamespaces?, remarks: [String]
  ) {
    id = bundle.id
    self.cgroup = cgroup
    self.remarks = remarks
    directory = bundle.directory
    usesInit = bundle.usesInit
    systemCalls = StubFilter.Policy.of(bundle).rawValue
    held = namespaces
    let configuration = bundle.configuration.process
    var beginning = BoxLife.Beginning.released(prepared.channel.near)
    if let socket = prepared.socket {
      let message = InitMessage(
        arguments: configuration.arguments, environment: configuration.environment,
        workingDirectory: configuration.workingDirectory, umask: configuration.user.umask,
        terminal: prepared.terminal != nil)
      beginning = .told(message, socket.near, explains: SentryPrograms.explain)
    }
    life = BoxLife(
      id: id, child: child, process: process, beginning: beginning, terminal: prepared.terminal?.near,
      holdings: NamespaceHoldings(id: id, cgroup: cgroup, leaseFolder: directory))
  }

  /// From another command's record; it may be gone, or never have been whole.
  init(_ record: SandboxRecord, on host: Host) throws(WallError) {
    id = record.id
    cgroup = record.details["cgroup"].map(Cgroup.init(text:))
    directory = record.details["directory"] ?? ""
    usesInit = record.details["init"] != "no"
    systemCalls = record.details["syscalls"] ?? ""
    held = nil
    remarks = []
    life = try BoxLife(
      record, startedIn: usesInit || directory.isEmpty ? nil : directory,
      holdings: NamespaceHoldings(id: id, cgroup: cgroup, leaseFolder: directory), on: host)
  }

  var details: [String: String] {
    var details = ["directory": directory, "syscalls": systemCalls]
    if let cgroup { details["cgroup"] = cgroup.text }
    if !usesInit { details["init"] = "no" }
    return details
  }
  var process: ProcessIdentity { life.process }
  var exitDescriptor: Int32 { life.exitDescriptor }
  var terminal: Int32? { life.terminal }

  var namespaces: BoxNamespaces? {
    held.map { BoxNamespaces(user: $0.user.rawValue, network: $0.network.rawValue) }
  }

  func start() throws(WallError) {
    held = nil
    divide()
    try life.start()
  }

  /// Version 2: guests and sentry get groups of their own. Not before the program is started: engines read the group of the sandbox's process
  /// when it is created, and would take the sentry's own for the sandbox's.
  private func divide() {
    guard let parts = cgroup.flatMap(CgroupParts.init), parts.isUnified, !parts.exist,
      let limit = cgroup?.number(.memory, legacy: "", unified: "memory.max")
    else { return }
    // Where the groups above cannot hand memory on, one group holds both, and guests are the kernel's first choice in it.
    do throws(SystemError) {
      try parts.divide(
        server: process.pid, guests: ProcessTable.children(of: process.pid), limit: Int64(clamping: limit))
    } catch {}
  }
  func collect() throws(WallError) -> Ending { try life.collect() }
  func signal(_ number: Int32) throws(WallError) { try life.signal(number) }
  func destroy() throws(WallError) { try life.destroy() }

  var execution: (any Execution)? {
    directory.isEmpty ? nil : SentryExecution(sandbox: self, directory: directory)
  }
  /// The freezer of the control group stops the sentry and its guests at once.
  var pausing: (any Pausing)? {
    cgroup.map { group in
      GroupPausing(id: id, group: group, whenNoneRuns: true) { () throws(SystemError) in try group.processes() }
    }
  }
  /// What the sentry and its guests use together.
  var measurement: (any Measurement)? {
    GroupMeasurement(cgroup: cgroup) { [members] () throws(WallError) in try members.processes() }
  }
  var listing: (any ProcessListing)? { members }
  var limiting: (any Limiting)? {
    cgroup.map { group in
      GroupLimiting(id: id, cgroup: group, attendants: SentryRaiser.attendants(usesInit: usesInit)) {
        [id] (limits) throws(WallError) in
        guard let memory = limits.memory, let parts = CgroupParts(group), parts.exist else { return }
        do throws(SystemError) { try parts.setGuests(limit: memory) } catch {
          throw WallError("sandbox \(id): update", error)
        }
      }
    }
  }
  var files: (any FileTransfer)? { directory.isEmpty ? nil : SentryTransfer(id: id, directory: directory) }
  var root: (any RootReading)? { directory.isEmpty ? nil : SentryTransfer(id: id, directory: directory) }
  var parting: (any Parting)? { usesInit ? nil : life.parting(in: directory) }
  private var members: SentryListing { SentryListing(sentry: process, hasKeeper: usesInit) }
}

/// The sentry and its guests as the host numbers them: all are the children of one of its own.
struct SentryListing: ProcessListing {
  let sentry: ProcessIdentity
  /// Whether that one counts: not where it is no process of the guests' namespace, and a signal to all is none for it.
  let hasKeeper: Bool

  func processes() throws(WallError) -> [Int32] {
    guard sentry.isAlive else { return [] }
    let all = ProcessTable.descendants(of: sentry.pid)
    if hasKeeper { return [sentry.pid] + all }
    let keepers = ProcessTable.children(of: sentry.pid)
    return [sentry.pid] + all.filter { !keepers.contains($0) }
  }
}

/// The sentry's namespaces, opened before it was closed to others.
struct HeldNamespaces {
  let user: OwnedDescriptor
  let network: OwnedDescriptor
}
