import CLinux
import Confinement
import Formats
import Guest
import Linux
import Walls

/// A box that was raised: by this command, or by another whose record was opened.
final class ContainerSandbox: Sandbox {
  let id: String
  let process: ProcessIdentity
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

  /// What `start` tells init; only the command that raised the box has it.
  private let message: InitMessage?
  private let socket: OwnedDescriptor?
  private let channel: OwnedDescriptor?
  private let child: Bool
  private let pidfd: OwnedDescriptor?
  private let near: OwnedDescriptor?
  private var ending: Ending?
  private var memoryKillsBefore: UInt64 = 0
  private var isFree = false
  /// Whether it has, or its record cannot rule out that it has, a range of ids of the host's.
  private let mayHoldRange: Bool

  /// Just raised.
  init(
    bundle: Bundle, child: consuming Child, process: ProcessIdentity, cgroup: Cgroup?, unit: String?, terminal: Int32?,
    channel: OwnedDescriptor?, socket: OwnedDescriptor?, setGroups: Bool, notes: [String],
    remarks: [String]
  ) {
    let configuration = bundle.configuration
    id = bundle.id
    self.process = process
    self.cgroup = cgroup
    self.unit = unit
    namespaces = configuration.namespaces.reduce(0) { $0 | $1.kind.cloneFlag }
    mayHoldRange = namespaces & Namespaces.user != 0
    filter = bundle.filter
    landlock = configuration.annotations[LandlockRuleset.annotation]
    self.setGroups = setGroups
    directory = bundle.directory
    let tracing: UInt64 = 1 << 19
    mayTraceAsHostRoot =
      namespaces & Namespaces.user == 0 && configuration.process.capabilities.bounding & tracing != 0
    self.notes = notes
    self.remarks = remarks
    message =
      socket == nil
      ? nil
      : InitMessage(
        arguments: configuration.process.arguments, environment: configuration.process.environment,
        workingDirectory: configuration.process.workingDirectory, umask: configuration.process.user.umask,
        terminal: terminal != nil, preservedDescriptors: bundle.preservedDescriptors.count)
    self.socket = socket
    self.channel = channel
    self.child = true
    let descriptor = OwnedDescriptor(child.takeDescriptor())
    pidfd = descriptor
    near = terminal.map { OwnedDescriptor(FileDescriptor(owning: $0)) }
  }

  /// From another command's record; it may be gone, or never have been whole.
  init(_ record: SandboxRecord, on host: Host) throws(WallError) {
    id = record.id
    let known = record.process
    process = known ?? ProcessIdentity(pid: 0, startTime: 0)
    cgroup = record.details["cgroup"].map(Cgroup.init(text:))
    unit = record.details["unit"]
    namespaces = record.details["namespaces"].flatMap { UInt64($0, radix: 16) } ?? 0
    mayHoldRange = record.details["namespaces"] == nil || namespaces & Namespaces.user != 0
    filter = record.details["filter"].flatMap(SeccompFilter.init(details:))
    landlock = record.details["landlock"]
    setGroups = record.details["setgroups"] != "no"
    directory = record.details["directory"]
    mayTraceAsHostRoot = record.details["tracing"] == "host"
    notes = record.notes
    remarks = []
    message = nil
    socket = nil
    channel = nil
    child = false
    near = nil
    do throws(SystemError) {
      // A record of an earlier boot names nobody.
      let isThisBoot = record.bootID == host.bootID
      var owner: OwnedDescriptor?
      if isThisBoot, let known, let descriptor = try known.open() { owner = OwnedDescriptor(descriptor) }
      pidfd = owner
    } catch {
      throw WallError("sandbox \(record.name)", error)
    }
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

  var exitDescriptor: Int32 { pidfd?.rawValue ?? -1 }
  var terminal: Int32? { near?.rawValue }

  // MARK: Beginning

  func start() throws(WallError) {
    if let channel { return try startDirectly(channel) }
    guard let socket, let message else { return try startWaiting() }
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
      if let cgroup, cgroup.memoryKills() > 0 {
        throw WallError("sandbox \(id): its memory limit is too small to start a program")
      }
      throw WallError("sandbox \(id): its first process died before the program ran")
    }
  }

  private func explain(_ failure: InitReply.Failure, _ message: InitMessage) -> WallError {
    let name = message.arguments.first ?? ""
    guard failure.step == .execute else { return WallError(failure.describe(message)) }
    return BoxProgram.explain(name, failure.errno, wasSearched: !name.utf8.contains(UInt8(ascii: "/")))
  }

  /// Without init the child itself becomes the program; the channel closes when it has.
  private func startDirectly(_ channel: OwnedDescriptor) throws(WallError) {
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

  /// The process that another command left waiting.
  private func startWaiting() throws(WallError) {
    guard let directory else { throw WallError("sandbox \(id): only the command that created it can start it") }
    try StartSocket.knock(in: directory, id: id)
  }

  // MARK: Ending

  func collect() throws(WallError) -> Ending {
    if let ending { return ending }
    guard child else { throw WallError("sandbox \(id): another command waits for its end") }
    let status: ExitStatus
    do throws(SystemError) {
      status = try Process.wait(process.pid) ?? .signaled(SIGKILL)
    } catch {
      throw WallError("sandbox \(id)", error)
    }
    var ending = Ending(status: commandStatus() ?? status)
    if let cgroup, cgroup.memoryKills() > 0, ending.status == .signaled(SIGKILL) || ending.status == .exited(137) {
      ending.limit = .memory
    }
    if ending.limit == nil { ending.limit = LimitHit(signal: ending.status) }
    self.ending = ending
    try free()
    return ending
  }

  /// What init said last about the command.
  private func commandStatus() -> ExitStatus? {
    guard let socket else { return nil }
    while true {
      // A box may write anything to this socket; what makes no sense says nothing about the command.
      guard let reply = try? InitReply.receive(from: socket.rawValue, wait: false) else { return nil }
      if case .exited(let status) = reply { return ExitStatus(waitStatus: status) }
    }
  }

  func signal(_ number: Int32) throws(WallError) {
    guard let pidfd else { throw WallError(.gone, "sandbox \(id): it has ended") }
    do throws(SystemError) {
      try Process.signal(descriptor: pidfd.rawValue, number)
    } catch  where error.errno == .noProcess {
      throw WallError(.gone, "sandbox \(id): it has ended")
    } catch {
      throw WallError("sandbox \(id)", error)
    }
  }

  func destroy() throws(WallError) {
    do throws(SystemError) {
      // The end of the process namespace's first process ends all others in it, stopped and traced ones too
      // (pid_namespaces(7)); frozen ones must be thawed to die.
      if let pidfd {
        do throws(SystemError) {
          try Process.signal(descriptor: pidfd.rawValue, SIGKILL)
        } catch  where error.errno == .noProcess {}
        thawLeftovers()
        if child {
          if ending == nil { _ = try collectStatus() }
        } else {
          _ = try Readiness.wait(pidfd.rawValue, milliseconds: 10_000)
        }
      }
    } catch {
      throw WallError("sandbox \(id)", error)
    }
    try free()
  }

  private func collectStatus() throws(SystemError) -> ExitStatus? {
    do throws(SystemError) {
      let status = try Process.wait(process.pid) ?? .signaled(SIGKILL)
      ending = Ending(status: commandStatus() ?? status)
      return status
    } catch  where error.errno == .noChild {
      return nil
    }
  }

  private func thawLeftovers() {
    for path in CgroupFreezer.leftovers(id) {
      // Not frozen, or gone by now: as well.
      try? path.thaw()
    }
  }

  /// Gives back what the box had of the host: groups, and its range of ids.
  private func free() throws(WallError) {
    if isFree { return }
    do throws(SystemError) {
      if child {
        // The process namespace is empty; only what was moved there from outside could be left.
        if let cgroup { try cgroup.removeKilling() }
      } else if let cgroup, !cgroup.places.isEmpty {
        try cgroup.removeKilling()
      } else {
        // Whoever made it was killed before its groups were written down.
        try Cgroup.leftovers(id).removeKilling()
      }
      // Made when the box was first paused, by whichever command that was.
      try CgroupFreezer.removeLeftovers(id)
    } catch {
      throw WallError("sandbox \(id): its control groups", error)
    }
    // The group is gone, and the scope goes by itself; whoever makes the next one of that name must not meet it.
    if let unit, SystemdManager.isRunning {
      let manager = try SystemdManager(Host())
      try manager.stop(unit)
    }
    if mayHoldRange, let directory {
      do throws(SystemError) { try IDRangeLease.release(for: directory) } catch {
        throw WallError("sandbox \(id): its range of ids", error)
      }
    }
    isFree = true
  }

  var execution: (any Execution)? { BoxExecution(sandbox: self) }
  var pausing: (any Pausing)? { BoxPausing(sandbox: self) }
  var measurement: (any Measurement)? { BoxMeasurement(sandbox: self) }
  var listing: (any ProcessListing)? { BoxListing(sandbox: self) }
  var files: (any FileTransfer)? { transfer }
  var root: (any RootReading)? { BoxRootReading(sandbox: self) }
  var limiting: (any Limiting)? { cgroup.map { BoxLimiting(sandbox: self, cgroup: $0) } }
  var parting: (any Parting)? { directory.map { BoxParting(id: id, channel: channel, directory: $0) } }
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
  init?(signal status: ExitStatus) {
    switch status {
    case .signaled(SIGXFSZ), .exited(128 + SIGXFSZ): self = .fileSize
    case .signaled(SIGXCPU), .exited(128 + SIGXCPU): self = .cpuTime
    default: return nil
    }
  }
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
