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
  let process: ProcessIdentity
  let remarks: [String]
  private let cgroup: Cgroup?
  private let directory: String
  /// What the host's kernel performs unasked, by StubFilter.Policy's name.
  private let systemCalls: String
  /// What `start` tells the sentry, in guest/init's words; only the command that raised the sandbox has it.
  private let message: InitMessage?
  private let socket: OwnedDescriptor?
  private let isChild: Bool
  private let pidfd: OwnedDescriptor?
  private let near: OwnedDescriptor?
  private var held: HeldNamespaces?
  private var ending: Ending?
  private var isFree = false

  /// Just raised.
  init(
    _ bundle: Bundle, child: consuming Child, process: ProcessIdentity, cgroup: Cgroup?, socket: OwnedDescriptor,
    terminal: OwnedDescriptor?, namespaces: HeldNamespaces?, remarks: [String]
  ) {
    id = bundle.id
    self.process = process
    self.cgroup = cgroup
    self.remarks = remarks
    directory = bundle.directory
    systemCalls = StubFilter.Policy.of(bundle).rawValue
    let configuration = bundle.configuration.process
    message = InitMessage(
      arguments: configuration.arguments, environment: configuration.environment,
      workingDirectory: configuration.workingDirectory, umask: configuration.user.umask, terminal: terminal != nil,
      preservedDescriptors: bundle.preservedDescriptors.count)
    self.socket = socket
    isChild = true
    pidfd = OwnedDescriptor(child.takeDescriptor())
    near = terminal
    held = namespaces
  }

  /// From another command's record; it may be gone, or never have been whole.
  init(_ record: SandboxRecord, on host: Host) throws(WallError) {
    id = record.id
    process = record.process ?? ProcessIdentity(pid: 0, startTime: 0)
    cgroup = record.details["cgroup"].map(Cgroup.init(text:))
    directory = record.details["directory"] ?? ""
    systemCalls = record.details["syscalls"] ?? ""
    remarks = []
    message = nil
    socket = nil
    isChild = false
    near = nil
    held = nil
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

  var details: [String: String] {
    var details = ["directory": directory, "syscalls": systemCalls]
    if let cgroup { details["cgroup"] = cgroup.text }
    return details
  }
  var exitDescriptor: Int32 { pidfd?.rawValue ?? -1 }
  var terminal: Int32? { near?.rawValue }

  var namespaces: BoxNamespaces? {
    held.map { BoxNamespaces(user: $0.user.rawValue, network: $0.network.rawValue) }
  }

  // MARK: Beginning

  func start() throws(WallError) {
    guard let socket, let message else {
      throw WallError("sandbox \(id): only the command that created it can start it")
    }
    held = nil
    let reply: InitReply?
    do throws(InitSocketError) {
      try message.send(to: socket.rawValue)
      reply = try InitReply.receive(from: socket.rawValue)
    } catch {
      throw WallError("sandbox \(id): \(error)")
    }
    switch reply {
    case .started: return
    case .failed(let failure):
      guard failure.step == .execute else { throw WallError(failure.describe(message)) }
      throw WallError(failure.isNotFound ? .notFound : .notExecutable, failure.describe(message))
    case .exited, nil:
      if let cgroup, cgroup.memoryKills() > 0 {
        throw WallError("sandbox \(id): its memory limit is too small to start a program")
      }
      throw WallError("sandbox \(id): the sentry died before the program ran")
    }
  }

  // MARK: Ending

  func collect() throws(WallError) -> Ending {
    if let ending { return ending }
    guard isChild else { throw WallError("sandbox \(id): another command waits for its end") }
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
    switch ending.status {
    case .signaled(SIGXFSZ), .exited(128 + SIGXFSZ): ending.limit = ending.limit ?? .fileSize
    case .signaled(SIGXCPU), .exited(128 + SIGXCPU): ending.limit = ending.limit ?? .cpuTime
    default: break
    }
    self.ending = ending
    try free()
    return ending
  }

  /// What the sentry said last about the command.
  private func commandStatus() -> ExitStatus? {
    guard let socket else { return nil }
    while true {
      // A sentry that a guest took over may write anything; what makes no sense says nothing about the command.
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
      if let pidfd {
        do throws(SystemError) { try Process.signal(descriptor: pidfd.rawValue, SIGKILL) } catch
          where error.errno
          == .noProcess
        {}
        for path in CgroupFreezer.leftovers(id) {
          // Not frozen, or gone by now: as well.
          try? path.thaw()
        }
        if isChild, ending == nil {
          do throws(SystemError) {
            let status = try Process.wait(process.pid) ?? .signaled(SIGKILL)
            ending = Ending(status: commandStatus() ?? status)
          } catch  where error.errno == .noChild {}
        } else if !isChild {
          _ = try Readiness.wait(pidfd.rawValue, milliseconds: 10_000)
        }
      }
    } catch {
      throw WallError("sandbox \(id)", error)
    }
    try free()
  }

  private func free() throws(WallError) {
    if isFree { return }
    do throws(SystemError) {
      if let cgroup, isChild || !cgroup.places.isEmpty {
        try cgroup.removeKilling()
      } else {
        // Whoever made it was killed before its groups were written down.
        try Cgroup.leftovers(id).removeKilling()
      }
      try CgroupFreezer.removeLeftovers(id)
      if !directory.isEmpty { try IDRangeLease.release(for: directory) }
    } catch {
      throw WallError("sandbox \(id): its control groups and ids", error)
    }
    isFree = true
  }

  // MARK: What it can do

  var execution: (any Execution)? {
    directory.isEmpty ? nil : SentryExecution(sandbox: self, directory: directory)
  }
  var pausing: (any Pausing)? { cgroup.map { SentryPausing(id: id, group: $0) } }
  var measurement: (any Measurement)? { SentryMeasurement(listing: members) }
  var listing: (any ProcessListing)? { members }
  private var members: SentryListing { SentryListing(id: id, sentry: process, group: cgroup) }
}

/// The sentry's namespaces, opened before it was closed to others.
struct HeldNamespaces {
  let user: OwnedDescriptor
  let network: OwnedDescriptor
}

/// What the sentry and its guests use together: by its groups, else by adding up the processes.
struct SentryMeasurement: Measurement {
  let listing: SentryListing
  var cgroup: Cgroup? { listing.group }

  func measure() throws(WallError) -> Usage {
    let pids = try listing.processes()
    var usage = Usage()
    usage.processes = UInt64(pids.count)
    let sums = ProcessSums(pids)
    usage.memoryBytes =
      cgroup?.number(.memory, legacy: "memory.usage_in_bytes", unified: "memory.current") ?? sums.memoryBytes
    usage.memoryPeakBytes = cgroup?.number(.memory, legacy: "memory.max_usage_in_bytes", unified: "memory.peak")
    usage.cpuMicroseconds = cgroup?.cpuMicroseconds() ?? sums.cpuMicroseconds
    return usage
  }
}

/// The sentry and its guests as the host numbers them: all are the sentry's children and theirs.
struct SentryListing: ProcessListing {
  let id: String
  let sentry: ProcessIdentity
  let group: Cgroup?

  func processes() throws(WallError) -> [Int32] {
    if sentry.isAlive { return [sentry.pid] + ProcessTable.descendants(of: sentry.pid) }
    return []
  }
}

/// The freezer of the control group stops the sentry and its guests at once.
struct SentryPausing: Pausing {
  let id: String
  let group: Cgroup

  func pause() throws(WallError) {
    do throws(SystemError) {
      let freezer = try CgroupFreezer.prepare(for: group, name: id)
      try freezer.freeze(whenNoneRuns: true) { () throws(SystemError) in try group.processes() }
    } catch  where Cgroup.isRefused(error.errno) {
      throw WallError("sandbox \(id): pausing needs a control group that this user may write (\(error))")
    } catch {
      throw WallError("sandbox \(id): pausing", error)
    }
  }

  func resume() throws(WallError) {
    do throws(SystemError) {
      for freezer in CgroupFreezer.leftovers(id) { try freezer.thaw() }
      if let path = group.unifiedPath { try CgroupFreezer(group: path).thaw() }
    } catch {
      throw WallError("sandbox \(id): resuming", error)
    }
  }
}
