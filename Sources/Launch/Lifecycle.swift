import BoxNetwork
import CLinux
import Formats
import Linux
import Options
import Policy
import Supervision
import Walls

/// The verbs that end sandboxes, wait for them and clear them away.
enum Lifecycle {
  /// Does something with each sandbox named; every failure is said, and makes the status 1.
  static func forEach(
    _ words: [String], _ session: Session, _ body: (SandboxRecord) throws(WallError) -> Void
  ) -> Int32 {
    var status: Int32 = 0
    for word in words {
      do throws(WallError) {
        try body(try session.record(word))
      } catch {
        Output.complain(error.message)
        status = 1
      }
    }
    return status
  }

  static func kill(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    let word = command.value("signal") ?? "KILL"
    guard let signal = SignalName.number(word) else {
      throw CommandError(1, "--signal \"\(FormatError.presentable(word))\" is no signal (SIGTERM, TERM or 15)")
    }
    return forEach(command.operands, session) { record throws(WallError) in
      guard record.condition(bootID: session.host.bootID).isLive else {
        throw WallError(.gone, "sandbox \(record.name) does not run")
      }
      let sandbox = try session.open(record)
      if signal == SIGKILL {
        try sandbox.destroy()
        try settle(record, session)
      } else {
        try sandbox.signal(signal)
      }
      Output.print(record.name)
    }
  }

  static func stop(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    let word = command.value("time") ?? "10"
    guard let grace = Quantity.parseMilliseconds(word) else {
      throw CommandError(1, "--time \"\(FormatError.presentable(word))\" is no time (10, 10s, 500ms)")
    }
    return forEach(command.operands, session) { record throws(WallError) in
      if record.condition(bootID: session.host.bootID).isLive {
        try stop(record, grace: grace, session)
      }
      Output.print(record.name)
    }
  }

  /// Asks a sandbox to end with its stop signal, then ends it after `grace` milliseconds.
  static func stop(_ record: SandboxRecord, grace: UInt64, _ session: Session) throws(WallError) {
    let sandbox = try session.open(record)
    // What cannot be resumed does not hear the signal, and is ended by force below.
    if record.status == .paused { try? sandbox.pausing?.resume() }
    var ended = false
    do throws(SystemError) {
      if let descriptor = try record.process?.open() {
        // A program that ended meanwhile is what was asked for.
        try? sandbox.signal(record.stopSignal)
        ended = try Readiness.wait(descriptor.rawValue, milliseconds: grace)
      } else {
        ended = true
      }
    } catch {
      throw WallError("cannot wait for sandbox \(record.name)", error)
    }
    if !ended { try sandbox.destroy() }
    try settle(record, session)
  }

  /// After a box was ended: waits for its supervisor to record the end, or records it in its place.
  static func settle(_ record: SandboxRecord, _ session: Session) throws(WallError) {
    try awaitSupervisor(of: record, session)
    guard let current = try? session.store.load(record.id), current.status != .exited else { return }
    try session.open(current).destroy()
    UserNetwork.stop(details: current.details)
    do throws(WallError) {
      try session.store.update(record.id) {
        $0.status = .exited
        $0.exitCode = $0.exitCode ?? 137
        $0.finished = Clock.realTime().seconds
      }
    } catch  where error.kind == .gone {
      // Removed by another command meanwhile.
      return
    }
    if current.removeAtExit { try session.store.remove(record.id, name: record.name) }
  }

  /// At most ten seconds. One that was still raising the box when it was ended may bring up a program all the same, which is ended then.
  private static func awaitSupervisor(of record: SandboxRecord, _ session: Session) throws(WallError) {
    do throws(SystemError) {
      guard let supervisor = try record.supervisor?.open() else { return }
      for _ in 0..<100 {
        if try Readiness.wait(supervisor.rawValue, milliseconds: 100) { return }
        if let current = try? session.store.load(record.id), current.process != record.process {
          // What cannot be ended now is tried again by the caller.
          try? session.open(current).destroy()
        }
      }
    } catch {
      throw WallError("cannot wait for the supervisor of sandbox \(record.name)", error)
    }
  }

  static func wait(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    var interrupted: Int32?
    let status = forEach(command.operands, session) { record throws(WallError) in
      guard interrupted == nil else { return }
      switch try end(of: record, session) {
      case .ended(let code, _): Output.print("\(code)")
      case .interrupted(let signal): interrupted = 128 + signal
      case .detached, .lost:
        throw WallError("sandbox \(record.name) ended, but immure was killed and could not record how")
      }
    }
    return interrupted ?? status
  }

  /// Waits for it. Of one whose record goes with it (--rm) its monitor tells the end.
  private static func end(of record: SandboxRecord, _ session: Session) throws(WallError) -> Attachment {
    if record.removeAtExit && record.detached {
      do throws(WallError) { return try watchedEnd(of: record, session) } catch  where error.kind == .gone {}
    }
    do throws(SystemError) {
      if let supervisor = try record.supervisor?.open() {
        _ = try Readiness.wait(supervisor.rawValue, milliseconds: nil)
      } else if let process = try record.process?.open() {
        _ = try Readiness.wait(process.rawValue, milliseconds: nil)
      }
    } catch {
      throw WallError("cannot wait for sandbox \(record.name)", error)
    }
    let ended: SandboxRecord
    do throws(WallError) { ended = try session.store.load(record.id) } catch  where error.kind == .gone {
      throw WallError("sandbox \(record.name) was removed when it ended (--rm), and its exit status with it")
    }
    guard ended.status == .exited else { return .lost }
    return .ended(code: ended.exitCode ?? 0, limit: nil)
  }

  private static func watchedEnd(of record: SandboxRecord, _ session: Session) throws(WallError) -> Attachment {
    var options = AttachOptions()
    options.input = nil
    options.detachKeys = nil
    options.passesSignals = false
    let nowhere: FileDescriptor
    do throws(SystemError) { nowhere = try File.open("/dev/null", O_WRONLY) } catch {
      throw WallError("cannot wait for sandbox \(record.name)", error)
    }
    options.output = nowhere.rawValue
    options.error = nowhere.rawValue
    let end = try AttachClient(directory: session.store.directory(record.id), options).run()
    _ = consume nowhere
    return end
  }

  static func pause(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    forEach(command.operands, session) { record throws(WallError) in
      try change(record, session, to: .paused) { pausing throws(WallError) in try pausing.pause() }
    }
  }

  static func resume(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    forEach(command.operands, session) { record throws(WallError) in
      try change(record, session, to: .running) { pausing throws(WallError) in try pausing.resume() }
    }
  }

  private static func change(
    _ record: SandboxRecord, _ session: Session, to status: SandboxRecord.Status,
    _ body: (any Pausing) throws(WallError) -> Void
  ) throws(WallError) {
    guard record.condition(bootID: session.host.bootID).isLive else {
      throw WallError(.gone, "sandbox \(record.name) does not run")
    }
    guard let pausing = try session.open(record).pausing else {
      throw WallError("the \(record.wall.rawValue) wall cannot pause sandbox \(record.name) here")
    }
    try body(pausing)
    // The box may have ended the moment it went on: its end is not to be written over.
    try session.store.update(record.id) { if $0.status != .exited { $0.status = status } }
    Output.print(record.name)
  }

  static func remove(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    let force = command.flag("force")
    if command.flag("all") {
      guard command.operands.isEmpty else {
        throw CommandError(1, "rm: --all names every sandbox: leave out \(command.operands[0])")
      }
      return try clear(session, force: force)
    }
    if command.operands.isEmpty { throw CommandError(1, "rm: name a sandbox, or say --all") }
    var status: Int32 = 0
    for word in command.operands {
      do throws(WallError) {
        let id = try session.store.find(word)
        try remove(id, force: force, session)
        Output.print(word)
      } catch {
        Output.complain(error.message)
        status = 1
      }
    }
    return status
  }

  /// Removes one sandbox; a running one only by force, a damaged record likewise.
  static func remove(_ id: String, force: Bool, _ session: Session) throws(WallError) {
    let record: SandboxRecord
    do throws(WallError) { record = try session.store.load(id) } catch  where error.kind == .gone {
      // A folder without a record: a crash while it was made, unless it is being made just now.
      if try session.store.removeUnrecorded(id) { return }
      return try remove(id, force: force, session)
    } catch {
      guard force else { throw error }
      return try session.store.remove(id, name: nil)
    }
    try remove(record, force: force, session)
  }

  private static func remove(_ record: SandboxRecord, force: Bool, _ session: Session) throws(WallError) {
    let condition = record.condition(bootID: session.host.bootID)
    if condition.isLive {
      guard force else {
        throw WallError(
          "sandbox \(record.name) is \(condition.word): stop it first, or use `immure rm -f \(record.name)`")
      }
      try session.open(record).destroy()
      try settle(record, session)
    } else if condition != .exited {
      try session.open(record).destroy()
      UserNetwork.stop(details: record.details)
    }
    try session.store.remove(record.id, name: record.name)
  }

  static func prune(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    try clear(session, force: false)
  }

  private static func clear(_ id: String, _ session: Session) throws(WallError) -> Bool {
    try remove(id, force: true, session)
    return true
  }

  /// False where it runs, or is being made.
  private static func clearEnded(_ id: String, _ session: Session) throws(WallError) -> Bool {
    let record: SandboxRecord
    do throws(WallError) { record = try session.store.load(id) } catch  where error.kind == .gone {
      return try session.store.removeUnrecorded(id)
    } catch {
      // Damaged.
      return try clear(id, session)
    }
    if record.condition(bootID: session.host.bootID).isLive { return false }
    // As it was looked at: a process that it names and that has ended does not come back.
    try remove(record, force: true, session)
    return true
  }

  /// Removes every sandbox that has ended (with force: every one), and what crashed commands left.
  private static func clear(_ session: Session, force: Bool) throws(CommandError) -> Int32 {
    let ids: [String]
    do throws(WallError) { ids = try session.store.ids() } catch { throw CommandError(error) }
    var status: Int32 = 0
    for id in ids {
      do throws(WallError) {
        if try force ? clear(id, session) : clearEnded(id, session) { Output.print(id) }
      } catch {
        Output.complain(error.message)
        status = 1
      }
    }
    return status
  }
}
