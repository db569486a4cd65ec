import CLinux
import Linux
public import Walls

/// The streams of a sandbox in the foreground.
public enum SupervisedStreams {
  /// The sandbox has the command's own; `output` is watched: a pipe that nobody reads any more ends the box.
  case inherited(output: Int32 = 1)
  /// They are relayed between these descriptors and the pipes. The command's input is not read without `input`.
  case piped(StreamPipes, input: Int32? = 0, output: Int32 = 1, error: Int32 = 2)
  /// The sandbox has a terminal (`Sandbox.terminal`) that is shown in the one behind these descriptors.
  case terminal(input: Int32? = 0, output: Int32 = 1)
}

/// Stays with one sandbox in the foreground until it has ended. The process must have one thread.
public final class Supervisor {
  private let options: SupervisionOptions
  private let signals: SharedDescriptor
  private let maskBefore: SignalSet

  /// From here on signals to this process are kept for the sandbox, and SIGPIPE is ignored: make it before the sandbox starts.
  public init(_ options: SupervisionOptions) throws(WallError) {
    self.options = options
    do throws(SystemError) {
      maskBefore = try Course.signals.block()
      signals = SharedDescriptor(try Course.signals.descriptor())
      try SignalSet.ignore(SIGPIPE)
    } catch {
      throw WallError("taking signals", error)
    }
  }

  deinit {
    // Restoring a mask that the kernel itself reported does not fail.
    _ = try? maskBefore.setAsMask()
  }

  /// Watches a sandbox that was started until it has ended and its output has been passed on.
  public func run(_ sandbox: any Sandbox, _ streams: SupervisedStreams) throws(WallError) -> Outcome {
    let course = Course(sandbox, options)
    do throws(SupervisionFailure) {
      switch streams {
      case .inherited(let output):
        return try watch(course, InheritedStreams(output: output))
      case .piped(let pipes, let input, let output, let error):
        pipes.closeFarEnds()
        return try watch(
          course, RelayedStreams(pipes, input: input, output: output, error: error, options.outputLimitBytes))
      case .terminal(let input, let output):
        guard let terminal = sandbox.terminal else { throw .wall(WallError("the sandbox has no terminal")) }
        let master: SharedDescriptor
        do throws(SystemError) {
          master = SharedDescriptor(try FileDescriptor.duplicate(terminal))
          try FileDescriptor.setNonBlocking(master.rawValue, true)
        } catch { throw .system(error) }
        return try watch(
          course, try TerminalStreams(master, input: input, output: output, options.outputLimitBytes))
      }
    } catch {
      throw error.asWallError
    }
  }

  private func watch(_ course: Course, _ streams: some ForegroundStreams) throws(SupervisionFailure) -> Outcome {
    var list = WaitList()
    while true {
      list.removeAll()
      let exit = course.ending == nil ? list.add(course.exitDescriptor, POLLIN) : nil
      let signal = list.add(signals.rawValue, POLLIN)
      streams.prepare(&list)
      do throws(SystemError) { try list.wait(nanoseconds: course.patience) } catch { throw .system(error) }
      if list.events(signal) != 0 {
        if try takeSignals(course, streams) { break }
      }
      try streams.proceed(list, course)
      do throws(WallError) {
        if list.events(exit) != 0 { try course.collect() }
        try course.keepDeadlines()
      } catch { throw .wall(error) }
      if course.ending != nil {
        // Every writer is gone: what is in the pipes now is all there is.
        if try streams.drain(course) { break }
      }
    }
    guard let outcome = course.outcome else { throw .wall(WallError("the sandbox has no end")) }
    return outcome
  }

  /// True when the sandbox has ended and the user does not want to wait for the rest of its output.
  private func takeSignals(_ course: Course, _ streams: some ForegroundStreams) throws(SupervisionFailure) -> Bool {
    while true {
      do {
        guard let signal = try SignalSet.next(signals.rawValue) else { return false }
        if course.ending != nil && Course.endingSignals.contains(signal) { return true }
        if signal == SIGWINCH && streams.resize() { continue }
        try course.received(signal)
        if signal == SIGTSTP { try streams.suspend() }
      } catch let error as SystemError {
        throw .system(error)
      } catch let error as WallError {
        throw .wall(error)
      } catch { throw .wall(WallError("\(error)")) }
    }
  }
}

/// Both kinds of error that supervision meets.
enum SupervisionFailure: Error {
  case system(SystemError)
  case wall(WallError)

  var asWallError: WallError {
    switch self {
    case .system(let error): WallError("supervising the sandbox", error)
    case .wall(let error): error
    }
  }
}
