import BoxNetwork
import CLinux
import Formats
import Images
import Linux
import Policy
import Supervision
import Walls

/// A box that `run` raised, with its record on disk; the one who raised it watches over it to its end.
struct RaisedBox {
  let plan: RunPlan
  let sandbox: any Sandbox
  let network: UserNetworkHandle?
  let session: Session
  /// The record as it was written last.
  let written: (record: SandboxRecord, bytes: [UInt8])

  var id: String { plan.options.id }

  /// Keeps the name, raises the wall, joins the network, records it all, and lets the program begin. When it throws, nothing is left.
  /// `prepare` is given the sandbox's folder and makes the streams: a monitor opens its log and socket there.
  static func raise(
    _ plan: RunPlan, detached: Bool, _ session: Session, prepare: (String) throws(WallError) -> Streams
  ) throws(CommandError) -> RaisedBox {
    var record = firstRecord(plan, detached: detached, session)
    // The monitor keeps the image's mount from now on, and not the command that mounted it.
    if detached { plan.image?.pin?.publish() }
    do throws(WallError) { try session.store.create(record) } catch { throw CommandError(error, status: 125) }
    do throws(CommandError) {
      let streams: Streams
      do throws(WallError) { streams = try prepare(session.store.directory(record.id)) } catch {
        throw CommandError(error, status: 125)
      }
      return try raise(plan, streams, &record, session)
    } catch {
      // The error that stopped it is the one to tell.
      try? session.store.remove(record.id, name: record.name)
      throw error
    }
  }

  private static func raise(
    _ plan: RunPlan, _ streams: Streams, _ record: inout SandboxRecord, _ session: Session
  ) throws(CommandError) -> RaisedBox {
    let folder = session.store.directory(record.id)
    var configuration = plan.configuration
    if let workspace = plan.workspace {
      configuration.mounts.append(try workspace.prepare(name: plan.options.name, id: record.id, session))
    }
    configuration.mounts += try GeneratedFiles.mounts(plan, folder: folder)
    var bundle = Bundle(
      id: record.id, directory: folder, configuration: configuration, root: plan.root, policy: plan.policy)
    bundle.debug = session.debug
    switch plan.filter {
    case .unconfined: break
    case .compiled(let filter): bundle.filter = filter
    case .later(let compile): bundle.compileFilter = compile
    }
    let sandbox: any Sandbox
    do throws(WallError) { sandbox = try plan.wall.create(bundle, streams: streams, on: session.host) } catch {
      plan.workspace?.abandon(name: plan.options.name, session)
      throw CommandError(error, status: 125)
    }
    for remark in sandbox.remarks {
      record.notes.append(remark)
      if !plan.options.quiet { Output.complain(remark) }
    }
    var network: UserNetworkHandle?
    let bytes: [UInt8]
    do throws(CommandError) {
      network = try connect(sandbox, plan, folder, session)
      record.process = sandbox.process
      record.details = sandbox.details
      // Its name may lead to another image later.
      if let image = plan.image { record.details["image"] = image.manifest }
      for (key, value) in network?.details ?? [:] { record.details[key] = value }
      record.status = .running
      record.started = Clock.realTime().seconds
      do throws(WallError) {
        bytes = try session.store.write(record)
        try sandbox.start()
      } catch {
        throw CommandError(error, status: 125)
      }
    } catch {
      network?.stop()
      // What failed first is what is told; the box must go whatever its own state.
      try? sandbox.destroy()
      plan.workspace?.abandon(name: plan.options.name, session)
      throw error
    }
    return RaisedBox(plan: plan, sandbox: sandbox, network: network, session: session, written: (record, bytes))
  }

  private static func connect(_ sandbox: any Sandbox, _ plan: RunPlan, _ folder: String, _ session: Session)
    throws(CommandError) -> UserNetworkHandle?
  {
    guard case .user(let ports, let allowPrivate) = plan.policy.network.value else { return nil }
    do throws(NetworkError) {
      return try UserNetwork.start(
        for: sandbox.process, namespaces: sandbox.namespaces, ports: ports, allowPrivate: allowPrivate,
        directory: folder, on: session.host)
    } catch {
      throw CommandError(125, "--network user: \(error)")
    }
  }

  private static func firstRecord(_ plan: RunPlan, detached: Bool, _ session: Session) -> SandboxRecord {
    let process = plan.configuration.process
    var record = SandboxRecord(
      id: plan.options.id, name: plan.options.name, wall: plan.wall.name, image: plan.image?.name ?? "",
      command: process.arguments, created: Clock.realTime().seconds, bootID: session.host.bootID, detached: detached,
      removeAtExit: plan.options.removeAtExit)
    record.supervisor = ProcessIdentity(pid: Process.id)
    record.environment = process.environment
    record.workingDirectory = process.workingDirectory
    record.user = process.user.user
    record.group = process.user.group
    record.stopSignal = plan.stopSignal
    record.notes = plan.notes
    CodeMappings.releaseOwn()
    record.rules = PolicyExplanation(wall: plan.wall.name, plan.choice.judged).rows.map {
      RecordedRule(name: $0.name, value: $0.value, origin: $0.origin, verdict: $0.verdict, by: $0.by)
    }
    return record
  }

  /// Records the end (or removes the sandbox, as --rm says), and says which limit was hit. Returns the exit status of `run`.
  func finish(_ outcome: Outcome) -> Int32 {
    network?.stop()
    let limit = outcome.ending.limit ?? limitOfSignal(outcome.ending.status)
    let code = limit?.code ?? outcome.code
    do throws(WallError) {
      if plan.options.removeAtExit {
        try session.store.remove(id, name: plan.options.name)
      } else {
        try session.store.update(id, last: written) {
          $0.status = .exited
          $0.exitCode = code
          $0.killedBy = limit
          $0.finished = Clock.realTime().seconds
        }
      }
    } catch  where error.kind == .gone {
      // Another command removed it by force.
    } catch {
      Output.complain(error.message)
    }
    if let limit { Output.complain("killed: \(LimitText.of(limit, plan.policy.limits))") }
    if let workspace = plan.workspace {
      workspace.finish(name: plan.options.name, code: code, quiet: plan.options.quiet, session)
    }
    return code
  }

  /// SIGXFSZ and SIGXCPU are how the kernel tells that RLIMIT_FSIZE or RLIMIT_CPU was reached (setrlimit(2)).
  private func limitOfSignal(_ status: ExitStatus) -> LimitHit? {
    switch status {
    case .signaled(SIGXFSZ) where plan.policy.limits.fileSize != nil: .fileSize
    case .signaled(SIGXCPU) where plan.policy.limits.cpuTime != nil: .cpuTime
    default: nil
    }
  }
}
