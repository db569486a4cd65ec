import Formats
import Linux
import Policy
import Supervision
import Walls

/// `run` whose box is watched over by a monitor: `-d`, and every box with a terminal.
enum DetachedRun {
  /// `run -d`: prints the id once the program has begun.
  static func detached(_ plan: RunPlan, _ session: Session) throws(CommandError) -> Int32 {
    try start(plan, session, waitsForClient: false)
    Output.print(plan.options.id)
    return 0
  }

  /// `run -t` in the foreground: a client of the box's monitor, which ends the box unless the detach keys were typed.
  static func onTerminal(_ plan: RunPlan, _ session: Session) throws(CommandError) -> Int32 {
    let keys = try Logs.detachKeys(plan.options.detachKeys)
    do throws(WallError) {
      try startForClient(plan, session)
      var options = AttachOptions()
      options.owner = true
      options.detachKeys = keys
      options.input = plan.options.interactive ? 0 : nil
      let attachment = try AttachClient(directory: session.store.directory(plan.options.id), options).run()
      return Logs.code(of: attachment, name: plan.options.name, policy: plan.policy)
    } catch {
      throw CommandError(error, status: 125)
    }
  }

  private static func startForClient(_ plan: RunPlan, _ session: Session) throws(WallError) {
    do throws(CommandError) { try start(plan, session, waitsForClient: true) } catch {
      let kind: WallError.Kind = error.status == 126 ? .notExecutable : error.status == 127 ? .notFound : .wall
      throw WallError(kind, error.message)
    }
  }

  private static func start(_ plan: RunPlan, _ session: Session, waitsForClient: Bool) throws(CommandError) {
    let result: Daemon.Start
    // The monitor has left the terminal: its size is asked for here.
    let window = HostWindow.size()
    do throws(SystemError) {
      result = try Daemon.start { report in
        monitor(plan, session, report, window: window, waitsForClient: waitsForClient)
      }
    } catch {
      throw CommandError(125, "cannot start the sandbox's monitor: \(error)")
    }
    if case .failed(let code, let message) = result { throw CommandError(code, message) }
  }

  /// The monitor's whole life.
  private static func monitor(
    _ plan: RunPlan, _ session: Session, _ report: Daemon.Report, window: WindowSize, waitsForClient: Bool
  ) -> Int32 {
    var options = MonitorOptions()
    options.supervision = SupervisionOptions(
      timeoutMilliseconds: plan.policy.limits.timeout?.value, outputLimitBytes: plan.policy.limits.output?.value)
    options.logLimitBytes = Int(clamping: plan.policy.limits.log?.value ?? 16 << 20)
    options.endsInputWithClient = plan.options.interactive && !plan.options.detach
    var monitor: Monitor?
    var pipes: StreamPipes?
    do throws(CommandError) {
      let box = try RaisedBox.raise(plan, detached: true, session) { folder throws(WallError) in
        monitor = try Monitor(
          directory: folder, terminal: plan.options.terminal, interactive: plan.options.interactive, options)
        if plan.options.terminal { return .terminal(window) }
        let made = try StreamPipes(interactive: plan.options.interactive)
        pipes = made
        return made.streams
      }
      report.started()
      return watch(box, monitor, pipes, waitsForClient: waitsForClient)
    } catch {
      report.failed(code: error.status, message: error.message)
      return error.status
    }
  }

  private static func watch(_ box: RaisedBox, _ monitor: Monitor?, _ pipes: StreamPipes?, waitsForClient: Bool) -> Int32
  {
    var code: Int32 = 125
    do throws(WallError) {
      guard let monitor else { throw WallError("the sandbox has no monitor") }
      // A client that does not come within this time was killed: the box goes on without it.
      if waitsForClient { _ = try monitor.waitForClient(milliseconds: 5000) }
      let streams: MonitoredStreams = pipes.map { .piped($0) } ?? .terminal
      _ = try monitor.run(box.sandbox, streams) { code = box.finish($0) }
    } catch {
      // There is nobody to tell but the record.
      try? box.sandbox.destroy()
      _ = try? box.session.store.update(box.id) {
        $0.status = .exited
        $0.exitCode = 125
        $0.notes.append("the monitor failed: \(error.message)")
      }
    }
    return code
  }
}
