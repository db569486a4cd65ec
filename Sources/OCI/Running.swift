import Formats
import Linux
import Options
import Supervision
import Walls

/// `run`: create, start, wait, delete.
enum Running {
  static func run(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) -> Int32 {
    let isDetached = command.flag("detach")
    let request = try CreationRequest(command)
    let isTerminal = request.bundle.configuration.process.terminal
    if isTerminal && request.consoleSocket == nil {
      if isDetached {
        throw RuntimeFailure("cannot allocate tty if immure-oci will detach without setting console socket")
      }
      guard Terminal.isTerminal(0) else {
        throw RuntimeFailure("the input device is not a TTY: the bundle asks for a terminal")
      }
    }
    // Signals are the container's from before its start.
    let supervisor = isDetached ? nil : try Running.supervisor()
    let raised = try RaisedContainer(request, session)
    try raised.finish { () throws(RuntimeFailure) in
      do throws(WallError) { try raised.sandbox.start() } catch {
        throw RuntimeFailure("unable to start container process: " + error.message)
      }
    }
    LateHooks.run(
      .poststart, of: request.bundle.configuration.hooks,
      RuntimeContainer(id: request.id, record: raised.record, session: session), .running)
    guard let supervisor else { return 0 }
    let outcome: Outcome
    do throws(WallError) {
      let isShown = isTerminal && request.consoleSocket == nil
      outcome = try supervisor.run(raised.sandbox, isShown ? .terminal() : .inherited())
    } catch {
      raised.discard()
      throw RuntimeFailure(error)
    }
    if !command.flag("keep") {
      let container = RuntimeContainer(id: request.id, record: raised.record, session: session)
      let lock = try container.lock()
      try container.remove(raised.sandbox)
      _ = consume lock
    }
    return outcome.ending.status.code
  }

  static func supervisor() throws(RuntimeFailure) -> Supervisor {
    do throws(WallError) { return try Supervisor(SupervisionOptions()) } catch { throw RuntimeFailure(error) }
  }
}
