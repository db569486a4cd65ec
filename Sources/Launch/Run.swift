import CLinux
import Formats
import Linux
import Options
import Policy
import Supervision
import Walls

/// `run`: raises a box and watches over it, here or in a monitor.
enum Run {
  static func perform(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    let plan = try RunPlan.make(command, session)
    sayNotes(plan, session)
    CodeMappings.releaseOwn()
    if plan.options.detach { return try DetachedRun.detached(plan, session) }
    // A terminal is watched over by a monitor from the start, so that the detach keys can leave it.
    return plan.options.terminal ? try DetachedRun.onTerminal(plan, session) : try foreground(plan, session)
  }

  /// The wall that was taken and what it does not hold: one line on a terminal; rules whose loss was accepted always.
  private static func sayNotes(_ plan: RunPlan, _ session: Session) {
    if plan.options.quiet || !session.isTerminal { return }
    let notes = plan.notes.isEmpty ? "" : " (\(plan.notes.joined(separator: "; ")))"
    Output.complain("\(plan.wall.name.rawValue) wall" + notes)
  }

  private static func foreground(_ plan: RunPlan, _ session: Session) throws(CommandError) -> Int32 {
    let limits = plan.policy.limits
    let options = SupervisionOptions(
      timeoutMilliseconds: limits.timeout?.value, outputLimitBytes: limits.output?.value)
    do throws(WallError) {
      let supervisor = try Supervisor(options)
      let outcome: Outcome
      let box: RaisedBox
      if limits.output != nil {
        let pipes = try StreamPipes(interactive: plan.options.interactive)
        box = try raised(plan, pipes.streams, session)
        outcome = try supervisor.run(box.sandbox, .piped(pipes, input: plan.options.interactive ? 0 : nil))
      } else {
        let input = plan.options.interactive ? 0 : try nullInput()
        box = try raised(plan, .descriptors(input: input, output: 1, error: 2), session)
        outcome = try supervisor.run(box.sandbox, .inherited())
      }
      return box.finish(outcome)
    } catch {
      throw CommandError(error, status: 125)
    }
  }

  /// Raising, with its errors as the wall's own.
  private static func raised(_ plan: RunPlan, _ streams: Streams, _ session: Session) throws(WallError) -> RaisedBox {
    do throws(CommandError) {
      return try RaisedBox.raise(plan, detached: false, session) { _ in streams }
    } catch {
      let kind: WallError.Kind = error.status == 126 ? .notExecutable : error.status == 127 ? .notFound : .wall
      throw WallError(kind, error.message)
    }
  }

  /// Without -i the program reads nothing, as under Docker. Kept open for as long as this process lives.
  private static func nullInput() throws(WallError) -> Int32 {
    do throws(SystemError) { return try File.open("/dev/null", O_RDONLY).release() } catch {
      throw WallError("standard input", error)
    }
  }
}

/// The size of the terminal this command stands in.
enum HostWindow {
  static func size() -> WindowSize {
    // Not a terminal, or one that does not tell: the size that terminals have had since the VT100.
    (try? Terminal.size(0)).map { WindowSize(rows: $0.rows, columns: $0.columns) } ?? WindowSize()
  }
}
