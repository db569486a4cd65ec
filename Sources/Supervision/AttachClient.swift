import CLinux
import Linux
public import Walls

/// How a command looks on at a detached sandbox.
public struct AttachOptions: Sendable {
  /// Read and sent to the program; nil for looking on only.
  public var input: Int32? = 0
  public var output: Int32 = 1
  public var error: Int32 = 2
  /// Nil: no keys leave the sandbox.
  public var detachKeys: DetachKeys? = .standard
  /// Whether signals to this command go on to the program (Docker's --sig-proxy); never with a terminal, unless it is the owner.
  public var passesSignals = true
  /// This command made the box, and the box ends with it: it is what `run -it` is when it can be detached from.
  public var owner = false
  public init() {}
}

/// How looking on ended.
public enum Attachment: Sendable, Equatable {
  /// The sandbox ended: `run`'s exit status, and the limit that ended it.
  case ended(code: Int32, limit: LimitHit?)
  /// The detach keys were typed; the sandbox goes on.
  case detached
  /// This command was asked to end by a signal and the sandbox goes on.
  case interrupted(signal: Int32)
  /// The monitor is gone without a word (it was killed).
  case lost
}

/// A client of a sandbox's monitor.
public final class AttachClient {
  private let options: AttachOptions
  private let socket: SharedDescriptor
  private let signals: SharedDescriptor
  private let maskBefore: SignalSet
  private var inbox = AttachFrameReader()
  private var outbox = AttachOutbox()
  private var terminal: HostTerminal?
  private var isWelcome = false
  private var showsTerminal = false
  private var matcher: DetachMatcher?
  private var inputIsOpen: Bool
  private var outputIsOpen = true
  private var monitorListens = true
  private var hasPassedHangUp = false
  private var result: Attachment?

  /// Connects to the monitor of the sandbox whose folder it is; kind `gone` when there is none.
  public init(directory path: String, _ options: AttachOptions) throws(WallError) {
    self.options = options
    inputIsOpen = options.input != nil
    do throws(SystemError) {
      let directory = try File.open(path, O_RDONLY | O_DIRECTORY)
      socket = SharedDescriptor(try UnixSocket.connect(AttachServer.socketName, in: directory.rawValue))
      maskBefore = try Course.signals.block()
      signals = SharedDescriptor(try Course.signals.descriptor())
      try SignalSet.ignore(SIGPIPE)
    } catch {
      if error.errno == .noEntry || error.errno == .connectionRefused {
        throw WallError(.gone, "nothing answers for the sandbox: it has ended, or was not started with -d")
      }
      throw WallError("the sandbox's monitor", error)
    }
    outbox.append(.hello(owner: options.owner))
  }

  deinit {
    // Restoring a mask that the kernel itself reported does not fail.
    _ = try? maskBefore.setAsMask()
  }

  /// Shows the sandbox until one of the two goes away.
  public func run() throws(WallError) -> Attachment {
    defer { terminal = nil }
    do throws(SupervisionFailure) { return try watch() } catch { throw error.asWallError }
  }

  private func watch() throws(SupervisionFailure) -> Attachment {
    var list = WaitList()
    while true {
      list.removeAll()
      let signal = list.add(signals.rawValue, POLLIN)
      let monitor = list.add(socket.rawValue, POLLIN | (outbox.isEmpty ? 0 : POLLOUT))
      // What is typed waits while the monitor takes nothing.
      let typed = inputIsOpen && outbox.isEmpty ? options.input.map { list.add($0, POLLIN) } : nil
      let reader = outputIsOpen ? list.add(options.output, 0) : nil
      do throws(SystemError) {
        try list.wait(nanoseconds: nil)
        if list.events(signal) != 0 { try takeSignals() }
        if list.events(typed) != 0 { try takeInput() }
        if list.events(monitor) & (POLLIN | POLLHUP | POLLERR) != 0 { try receive() }
        if result == nil { flush() }
        if list.events(reader) & (POLLERR | POLLHUP | POLLNVAL) != 0 { outputBroke() }
      } catch { throw .system(error) }
      if let result { return result }
    }
  }

  private func leave(_ how: Attachment) {
    result = how
    // An owner that does not say so takes the box with it.
    guard how == .detached || !options.owner else { return }
    send(.detach)
    flush()
  }

  private func flush() {
    do throws(SystemError) {
      try outbox.flush { bytes throws(SystemError) in try UnixSocket.send(socket.rawValue, bytes) }
    } catch {
      // The monitor closed its end: what it said before can still be read.
      monitorListens = false
      outbox = AttachOutbox()
    }
  }

  private func send(_ frame: AttachFrame) {
    if monitorListens { outbox.append(frame) }
  }

  /// A signal for the box. A hang-up is told once, however many ways it is noticed in.
  private func pass(_ signal: Int32) {
    if signal == SIGHUP {
      if hasPassedHangUp { return }
      hasPassedHangUp = true
    }
    send(.signal(signal))
  }

  /// Nobody reads the output any more, or the user's terminal hung up: the end of a box that is this command's own.
  private func outputBroke() {
    guard outputIsOpen, result == nil else { return }
    outputIsOpen = false
    inputIsOpen = false
    let signal = terminal == nil ? SIGPIPE : SIGHUP
    if options.owner { pass(signal) } else { leave(.interrupted(signal: signal)) }
  }

  private func put(_ descriptor: Int32, _ bytes: [UInt8]) throws(SystemError) {
    guard outputIsOpen else { return }
    do throws(SystemError) { try File.writeAll(descriptor, bytes) } catch {
      guard error.errno == .brokenPipe || error.errno == .inputOutput || error.errno == .badDescriptor else {
        throw error
      }
      outputBroke()
    }
  }

  private func takeSignals() throws(SystemError) {
    while let number = try SignalSet.next(signals.rawValue) {
      switch number {
      case SIGWINCH where showsTerminal: sendSize()
      // Before it is known whether there is a terminal: its size is sent then.
      case SIGWINCH where !isWelcome: break
      case SIGTSTP:
        if let terminal { try terminal.suspend() } else { try Process.signal(pid: Process.id, SIGSTOP) }
        if showsTerminal { sendSize() }
      case SIGCONT: break
      default:
        if options.owner || (options.passesSignals && !showsTerminal) {
          pass(number)
        } else if Course.endingSignals.contains(number) {
          leave(.interrupted(signal: number))
        }
      }
    }
  }

  private func takeInput() throws(SystemError) {
    guard let input = options.input else { return }
    var bytes: [UInt8] = []
    do throws(SystemError) { bytes = try File.read(input, atMost: 4096) } catch {
      // The user's terminal hung up.
      guard error.errno == .inputOutput || error.errno == .badDescriptor else { throw error }
    }
    if bytes.isEmpty {
      inputIsOpen = false
      if terminal == nil { send(.inputEnd) } else { outputBroke() }
      return
    }
    if matcher != nil, let (pass, detach) = matcher?.feed(bytes) {
      if !pass.isEmpty { send(.input(pass)) }
      if detach { leave(.detached) }
    } else {
      send(.input(bytes))
    }
  }

  private func receive() throws(SystemError) {
    var bytes: [UInt8]
    do throws(SystemError) { bytes = try File.read(socket.rawValue, atMost: 32 << 10) } catch {
      if error.errno == .again { return }
      guard error.errno == Errno(rawValue: ECONNRESET) else { throw error }
      bytes = []
    }
    if bytes.isEmpty {
      result = result ?? .lost
      return
    }
    inbox.append(bytes)
    while result == nil, let frame = inbox.next() {
      switch frame {
      case .welcome(let isTerminal, let takesInput):
        isWelcome = true
        showsTerminal = isTerminal
        if !takesInput { inputIsOpen = false }
        if isTerminal, let input = options.input { try show(input) }
      case .output(let bytes): try put(options.output, bytes)
      case .error(let bytes): try put(options.error, bytes)
      case .ended(let code, let limit): result = .ended(code: code, limit: limit)
      case .hello, .input, .inputEnd, .resize, .signal, .detach: break
      }
    }
    if inbox.isBroken { result = result ?? .lost }
  }

  private func show(_ input: Int32) throws(SystemError) {
    terminal = try HostTerminal(input)
    if terminal != nil, let keys = options.detachKeys { matcher = DetachMatcher(keys) }
    sendSize()
  }

  private func sendSize() {
    // An output that is no terminal has no size.
    guard let size = try? Terminal.size(options.output) else { return }
    send(.resize(rows: size.rows, columns: size.columns))
  }
}
