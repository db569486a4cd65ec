import CLinux
import Linux
public import Walls

/// The streams of a detached sandbox.
public enum MonitoredStreams {
  case piped(StreamPipes)
  /// The sandbox has a terminal (`Sandbox.terminal`).
  case terminal
}

public struct MonitorOptions: Sendable {
  public var supervision = SupervisionOptions()
  /// Bytes that the log's two files may have together.
  public var logLimitBytes = 16 << 20
  /// Whether the program's input ends when a client's does (Docker's StdinOnce).
  public var endsInputWithClient = false
  public init() {}
}

/// Stays with a detached sandbox until it has ended: keeps its log and answers clients on the socket `attach`, both in the
/// sandbox's folder. The process must have one thread; it uses no CPU while nothing happens.
public final class Monitor {
  private let options: MonitorOptions
  private let directory: SharedDescriptor
  private let signals: SharedDescriptor
  private let log: LogWriter
  private let server: AttachServer
  private let terminal: Bool

  /// Takes signals, begins the log and opens the socket; before the sandbox is made, so that nothing of it is missed.
  /// `interactive`: the program has an input that clients can write to.
  public init(directory path: String, terminal: Bool, interactive: Bool, _ options: MonitorOptions) throws(WallError) {
    self.options = options
    self.terminal = terminal
    do throws(SystemError) {
      directory = SharedDescriptor(try File.open(path, O_RDONLY | O_DIRECTORY))
      try Course.signals.block()
      signals = SharedDescriptor(try Course.signals.descriptor())
      try SignalSet.ignore(SIGPIPE)
      log = try LogWriter(directory, limit: options.logLimitBytes)
      server = try AttachServer(directory, terminal: terminal, input: interactive || terminal)
    } catch { throw WallError("the sandbox's monitor", error) }
  }

  /// Waits until the first client is at the socket; false when so many milliseconds passed. For a `run` that looks on from the first byte.
  public func waitForClient(milliseconds: UInt64) throws(WallError) -> Bool {
    var list = WaitList()
    do throws(SystemError) {
      server.prepare(&list, acceptsInput: false)
      try list.wait(nanoseconds: milliseconds * 1_000_000)
    } catch { throw WallError("the sandbox's monitor", error) }
    do throws(SupervisionFailure) { try server.proceed(list) { _, _ in } } catch { throw error.asWallError }
    return !server.isEmpty
  }

  /// Watches a sandbox that was started until it has ended and its output is in the log. `ended` runs before clients are told, so
  /// that a client finds the record as it will stay.
  public func run(
    _ sandbox: any Sandbox, _ streams: MonitoredStreams, ended: (Outcome) -> Void
  ) throws(WallError) -> Outcome {
    let course = Course(sandbox, options.supervision)
    do throws(SupervisionFailure) {
      let session: MonitorSession
      switch streams {
      case .piped(let pipes):
        pipes.closeFarEnds()
        session = MonitorSession(
          course, log, server, outputs: [(pipes.output, .output), (pipes.error, .error)], input: pipes.input,
          master: nil, options)
        pipes.input = nil
      case .terminal:
        guard let terminal = sandbox.terminal else { throw .wall(WallError("the sandbox has no terminal")) }
        let master: SharedDescriptor
        do throws(SystemError) {
          master = SharedDescriptor(try FileDescriptor.duplicate(terminal))
          try FileDescriptor.setNonBlocking(master.rawValue, true)
        } catch { throw .system(error) }
        session = MonitorSession(
          course, log, server, outputs: [(master, .output)], input: master, master: master, options)
      }
      try session.watch(signals)
      guard let outcome = course.outcome else { throw .wall(WallError("the sandbox has no end")) }
      ended(outcome)
      try session.sayGoodbye(outcome)
      return outcome
    } catch {
      server.close()
      throw error.asWallError
    }
  }
}

/// One sandbox's streams between its pipes or terminal, its log and its clients.
private final class MonitorSession {
  private let course: Course
  private let log: LogWriter
  private let server: AttachServer
  private var outputs: [(descriptor: SharedDescriptor, stream: LogStream)]
  private var outputEntries: [Int] = []
  private var input: SharedDescriptor?
  private var typed: [UInt8] = []
  private var inputIsEnding = false
  private var inputEntry: Int?
  private let master: SharedDescriptor?
  private let options: MonitorOptions
  private var allowance: OutputAllowance
  /// Where /proc is missing the code stays.
  private let code = try? CodeMappings()
  private static let chunk = 8 << 10

  init(
    _ course: Course, _ log: LogWriter, _ server: AttachServer,
    outputs: [(descriptor: SharedDescriptor, stream: LogStream)], input: SharedDescriptor?,
    master: SharedDescriptor?, _ options: MonitorOptions
  ) {
    self.course = course
    self.log = log
    self.server = server
    self.outputs = outputs
    self.input = input
    self.master = master
    self.options = options
    allowance = OutputAllowance(options.supervision.outputLimitBytes)
  }

  func watch(_ signals: SharedDescriptor) throws(SupervisionFailure) {
    var list = WaitList()
    while course.ending == nil {
      list.removeAll()
      let exit = list.add(course.exitDescriptor, POLLIN)
      let signal = list.add(signals.rawValue, POLLIN)
      prepare(&list)
      do throws(SystemError) { try rest(&list) } catch { throw .system(error) }
      try takeSignals(signals, list.events(signal) != 0)
      // Clients first: one that was there before the output gets all of it.
      try server.proceed(list) { frame, client throws(WallError) in try self.take(frame, client) }
      for index in outputs.indices.reversed() where list.events(outputEntries[index]) != 0 {
        if try relay(outputs[index]) { outputs.remove(at: index) }
      }
      if list.events(inputEntry) != 0 { flushInput() }
      do throws(WallError) {
        if list.events(exit) != 0 { try course.collect() }
        try course.keepDeadlines()
      } catch { throw .wall(error) }
    }
    // Every writer is gone: what is there now is all there is.
    for output in outputs {
      while try !relay(output, final: true) {}
    }
  }

  /// Waits; when nothing has happened for a second, without the program's code in memory.
  private func rest(_ list: inout WaitList) throws(SystemError) {
    let patience = course.patience
    let second: UInt64 = 1_000_000_000
    if patience ?? .max > second {
      if try list.wait(nanoseconds: second) > 0 { return }
      code?.release()
    }
    try list.wait(nanoseconds: course.patience)
  }

  private func prepare(_ list: inout WaitList) {
    let held = server.holdsOutputBack
    // A negative descriptor is passed over (poll(2)).
    outputEntries = outputs.map { list.add(held ? -1 : $0.descriptor.rawValue, POLLIN) }
    inputEntry = nil
    if let input, !typed.isEmpty { inputEntry = list.add(input.rawValue, POLLOUT) }
    server.prepare(&list, acceptsInput: typed.isEmpty)
  }

  private func takeSignals(_ signals: SharedDescriptor, _ pending: Bool) throws(SupervisionFailure) {
    guard pending else { return }
    while true {
      let number: Int32?
      do throws(SystemError) { number = try SignalSet.next(signals.rawValue) } catch { throw .system(error) }
      guard let number else { return }
      // A logout's SIGHUP is not meant for what was started to outlive it; the rest is the box's business no more than a daemon's.
      guard number == SIGTERM || number == SIGINT || number == SIGQUIT else { continue }
      do throws(WallError) { try course.received(number) } catch { throw .wall(error) }
    }
  }

  private func take(_ frame: AttachFrame, _ client: AttachedClient) throws(WallError) {
    switch frame {
    case .input(let bytes):
      guard input != nil else { return }
      typed += bytes
      flushInput()
    case .inputEnd:
      guard options.endsInputWithClient || client.isOwner else { return }
      if master != nil { typed.append(4) } else { inputIsEnding = true }
      flushInput()
    case .resize(let rows, let columns):
      guard let master else { return }
      // A terminal that the box has closed everywhere has no size any more.
      try? Terminal.setSize(master.rawValue, rows: rows, columns: columns)
    case .signal(let number):
      if client.isOwner { try course.received(number) } else { try course.pass(number) }
    case .hello, .detach, .welcome, .output, .error, .ended: break
    }
  }

  private func flushInput() {
    guard let input else { return }
    while !typed.isEmpty {
      do throws(SystemError) {
        let count = try File.write(input.rawValue, typed.span)
        typed.removeFirst(count)
      } catch {
        if error.errno == .again { return }
        // The program closed its input: what is typed has nowhere to go.
        typed = []
        if master == nil { self.input = nil }
        return
      }
    }
    if inputIsEnding { self.input = nil }
  }

  /// Reads once; true when no more comes.
  private func relay(
    _ output: (descriptor: SharedDescriptor, stream: LogStream), final: Bool = false
  ) throws(SupervisionFailure) -> Bool {
    var bytes: [UInt8]
    do throws(SystemError) {
      bytes = try File.read(output.descriptor.rawValue, atMost: MonitorSession.chunk)
    } catch {
      if error.errno == .again { return final }
      // A terminal whose other end is closed everywhere.
      if error.errno == .inputOutput { return true }
      throw .system(error)
    }
    if bytes.isEmpty { return true }
    let excess = allowance.take(bytes.count)
    if excess > 0 {
      bytes.removeLast(excess)
      do throws(WallError) { try course.outputLimitHit() } catch { throw .wall(error) }
    }
    if !bytes.isEmpty {
      // A full disk costs log lines, not the box.
      try? log.write(output.stream, bytes)
      server.send(output.stream == .output ? .output(bytes) : .error(bytes))
    }
    return excess > 0 && final
  }

  /// Tells the clients the end, and gives those that read five seconds to take what waits for them.
  func sayGoodbye(_ outcome: Outcome) throws(SupervisionFailure) {
    server.close()
    server.send(.ended(code: outcome.code, limit: outcome.ending.limit))
    let deadline = Clock.monotonicNanoseconds() + 5_000_000_000
    var list = WaitList()
    while server.hasUnsent {
      let now = Clock.monotonicNanoseconds()
      if now >= deadline { return }
      list.removeAll()
      server.prepare(&list, acceptsInput: false)
      do throws(SystemError) { try list.wait(nanoseconds: deadline - now) } catch { throw .system(error) }
      try server.proceed(list) { _, _ in }
    }
  }
}
