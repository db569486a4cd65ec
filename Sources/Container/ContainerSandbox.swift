import CLinux
import Confinement
import Formats
import Guest
import Linux
import Walls

/// A box that was raised: by this command, or by another whose record was opened.
final class ContainerSandbox: Sandbox {
  let id: String
  let cgroup: Cgroup?
  /// The scope that the group is, where systemd made it.
  let unit: String?
  /// The kinds of namespaces the box has of its own.
  let namespaces: UInt64
  let filter: SeccompFilter?
  /// Landlock rules as the annotation has them, for programs that enter later.
  let landlock: String?
  let setGroups: Bool
  let directory: String?
  /// Whether the box's root is the host's and may trace others: it could then open the file of a process of immure's
  /// in it.
  let mayTraceAsHostRoot: Bool
  let notes: [String]
  let remarks: [String]

  private let life: BoxLife

  /// Just raised.
  init(
    bundle: Bundle, child: consuming Child, process: ProcessIdentity, cgroup: Cgroup?, unit: String?, terminal: Int32?,
    channel: OwnedDescriptor?, socket: OwnedDescriptor?, setGroups: Bool, notes: [String],
    remarks: [String]
  ) {
    let configuration = bundle.configuration
    id = bundle.id
    self.cgroup = cgroup
    self.unit = unit
    namespaces = configuration.namespaces.reduce(0) { $0 | $1.kind.cloneFlag }
    filter = bundle.filter
    landlock = configuration.annotations[LandlockRuleset.annotation]
    self.setGroups = setGroups
    directory = bundle.directory
    let tracing: UInt64 = 1 << 19
    mayTraceAsHostRoot =
      namespaces & Namespaces.user == 0 && configuration.process.capabilities.bounding & tracing != 0
    self.notes = notes
    self.remarks = remarks
    var beginning = BoxLife.Beginning.elsewhere(folder: nil)
    if let channel { beginning = .released(channel) }
    if let socket {
      let message = InitMessage(
        arguments: configuration.process.arguments, environment: configuration.process.environment,
        workingDirectory: configuration.process.workingDirectory, umask: configuration.process.user.umask,
        terminal: terminal != nil, preservedDescriptors: bundle.preservedDescriptors.count)
      beginning = .told(message, socket, explains: Self.explain)
    }
    life = BoxLife(
      id: id, child: child, process: process, beginning: beginning,
      terminal: terminal.map { OwnedDescriptor(FileDescriptor(owning: $0)) },
      holdings: Self.holdings(id, cgroup, unit, namespaces & Namespaces.user != 0 ? bundle.directory : nil))
  }

  private static func holdings(_ id: String, _ cgroup: Cgroup?, _ unit: String?, _ leaseFolder: String?)
    -> NamespaceHoldings
  {
    NamespaceHoldings(id: id, cgroup: cgroup, leaseFolder: leaseFolder) { () throws(WallError) in
      // The group is gone, and the scope goes by itself; whoever makes the next one of that name must not meet it.
      guard let unit, SystemdManager.isRunning else { return }
      let manager = try SystemdManager(Host())
      try manager.stop(unit)
    }
  }

  /// From another command's record; it may be gone, or never have been whole.
  init(_ record: SandboxRecord, on host: Host) throws(WallError) {
    id = record.id
    cgroup = record.details["cgroup"].map(Cgroup.init(text:))
    unit = record.details["unit"]
    namespaces = record.details["namespaces"].flatMap { UInt64($0, radix: 16) } ?? 0
    filter = record.details["filter"].flatMap(SeccompFilter.init(details:))
    landlock = record.details["landlock"]
    setGroups = record.details["setgroups"] != "no"
    directory = record.details["directory"]
    mayTraceAsHostRoot = record.details["tracing"] == "host"
    notes = record.notes
    remarks = []
    // Its record may not rule out that it has a range of ids of the host's.
    let mayHoldRange = record.details["namespaces"] == nil || namespaces & Namespaces.user != 0
    life = try BoxLife(
      record, startedIn: directory, holdings: Self.holdings(id, cgroup, unit, mayHoldRange ? directory : nil), on: host)
  }

  var details: [String: String] {
    var details = ["namespaces": String(namespaces, radix: 16)]
    if let cgroup { details["cgroup"] = cgroup.text }
    if let unit { details["unit"] = unit }
    if let filter { details["filter"] = filter.details }
    if let landlock { details["landlock"] = landlock }
    if !setGroups { details["setgroups"] = "no" }
    if let directory { details["directory"] = directory }
    if mayTraceAsHostRoot { details["tracing"] = "host" }
    return details
  }

  var process: ProcessIdentity { life.process }
  var exitDescriptor: Int32 { life.exitDescriptor }
  var terminal: Int32? { life.terminal }

  func start() throws(WallError) { try life.start() }
  func collect() throws(WallError) -> Ending { try life.collect() }
  func signal(_ number: Int32) throws(WallError) { try life.signal(number) }
  func destroy() throws(WallError) { try life.destroy() }

  private static func explain(_ failure: InitReply.Failure, _ message: InitMessage) -> WallError {
    let name = message.arguments.first ?? ""
    guard failure.step == .execute else { return WallError(failure.describe(message)) }
    return ProgramFailure.explain(name, failure.errno, wasSearched: !name.utf8.contains(UInt8(ascii: "/")))
  }

  var execution: (any Execution)? { BoxExecution(sandbox: self) }
  var pausing: (any Pausing)? {
    GroupPausing(id: id, group: cgroup ?? Cgroup(places: [])) { [self] () throws(SystemError) in try hostProcesses() }
  }
  var measurement: (any Measurement)? {
    GroupMeasurement(cgroup: cgroup) { [self] () throws(WallError) in try BoxListing(sandbox: self).processes() }
  }
  var listing: (any ProcessListing)? { BoxListing(sandbox: self) }
  var files: (any FileTransfer)? { transfer }
  var root: (any RootReading)? { BoxRootReading(sandbox: self) }
  var limiting: (any Limiting)? {
    guard let cgroup else { return nil }
    let unit = unit
    return GroupLimiting(id: id, cgroup: cgroup) { (limits) throws(WallError) in
      guard let unit else { return }
      let manager = try SystemdManager(Host())
      try manager.set(unit, SystemdProperties.of(limits))
    }
  }
  var parting: (any Parting)? { life.parting(in: directory) }
}

extension SeccompFilter {
  /// For `Sandbox.details`: the flags, then the instructions, in hexadecimal words.
  var details: String {
    var text = String(flags, radix: 16)
    for instruction in instructions { text += " " + String(instruction, radix: 16) }
    return text
  }

  init?(details: String) {
    let words = details.split(separator: " ")
    guard let first = words.first, let flags = UInt32(first, radix: 16) else { return nil }
    var instructions: [UInt64] = []
    for word in words.dropFirst() {
      guard let instruction = UInt64(word, radix: 16) else { return nil }
      instructions.append(instruction)
    }
    self.init(instructions: instructions, flags: flags)
  }
}
