import CLinux
public import Linux
import SentryFiles
import SentryMemory
public import SentryWait

/// Joins a pseudo terminal of the sandbox to a terminal of the host, which is to be raw: the sandbox's line discipline is the only one, and
/// knows the sandbox's process groups. What is typed at the host's end goes to the master's side, what the master would read is shown.
public final class TerminalBridge: Waiter {
  private let terminal: Terminal
  /// Keeps the master's side open.
  private let master: MasterFile
  private let descriptor: Int32
  private let events: HostEvents
  private let changes = WaitQueue()
  /// Bytes that the host's end has not taken yet.
  private var unsent: [UInt8] = []
  private var isMoving = false
  /// The host's end has hung up.
  public private(set) var hasEnded = false

  /// - Parameter descriptor: of the host's terminal, O_NONBLOCK and nobody else's.
  /// - Throws: what the host says of watching it.
  public init(_ terminals: Terminals, owning descriptor: consuming FileDescriptor, _ events: HostEvents) throws(Errno) {
    master = try terminals.openMaster(flags: 2)
    master.retain()
    terminal = master.terminal
    terminal.isLocked = false
    self.descriptor = descriptor.release()
    self.events = events
    super.init()
    changes.add(self)
    terminal.masterQueue.add(self)
    try events.watch(self.descriptor, changes, isUrgent: false)
    copySize()
  }

  /// The terminal as the sandbox opens it: its number below /dev/pts.
  public var index: Int32 { terminal.index }

  /// An open end for the sandbox's first program.
  public func open(flags: Int32) throws(Errno) -> TerminalFile {
    let file = try terminal.terminals.openTerminal(terminal, flags: flags | 0o400)
    file.path = terminal.terminals.path(of: terminal)
    return file
  }

  /// Makes it the controlling terminal of a session that has none, whose first process group is in its foreground.
  public func control(_ caller: JobCaller) { terminal.terminals.setControlling(terminal, caller) }

  /// Takes the host's window size over: at the start, and when the host's SIGWINCH says that it changed.
  public func copySize() {
    var size = winsize()
    // SAFETY: the kernel fills one winsize.
    let result = unsafe withUnsafeMutablePointer(to: &size) { pointer in
      systemCall(Int(SYS_ioctl), word(descriptor), UInt(IMMURE_TIOCGWINSZ), UInt(bitPattern: pointer))
    }
    guard result == 0 else { return }
    var window = WindowSize(rows: size.ws_row, columns: size.ws_col)
    window.width = size.ws_xpixel
    window.height = size.ws_ypixel
    terminal.setWindow(window)
  }

  /// The sandbox is over: what is left goes out, as far as the host takes it, and the terminal hangs up.
  public func close() {
    guard !hasEnded else { return }
    move()
    hasEnded = true
    leave()
    events.forget(descriptor)
    _ = systemCall(Int(SYS_close), word(descriptor))
    master.release()
  }

  public override func wake(_ events: PollEvents) {
    // Moving wakes the queues that it stands in.
    if isMoving || hasEnded { return }
    // A terminal that is not the sentry's own controlling one tells of a new size by no signal.
    copySize()
    move()
  }

  private func move() {
    isMoving = true
    defer { isMoving = false }
    show()
    type()
    show()
  }

  private func show() {
    while true {
      if unsent.isEmpty {
        unsent = terminal.output.take(4096)
        if unsent.isEmpty { return }
        terminal.queue.wake(.writable)
      }
      // SAFETY: the kernel reads the bytes of the array, alive across the call.
      let piece = unsent
      let count = unsafe piece.span.withUnsafeBytes { bytes in
        systemCall(Int(SYS_write), word(descriptor), UInt(bitPattern: bytes.baseAddress), UInt(bytes.count))
      }
      if count <= 0 { return }
      unsent.removeFirst(count)
    }
  }

  private func type() {
    while terminal.hasInputRoom {
      var result = 0
      // SAFETY: the kernel fills at most 256 bytes and tells how many.
      let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 256) { storage, filled in
        result = systemCall(Int(SYS_read), word(descriptor), UInt(bitPattern: storage.baseAddress), 256)
        filled = max(0, result)
      }
      if result == -Int(EAGAIN) || result == -Int(EINTR) { return }
      guard result > 0 else {
        // Nobody is at the other end any more.
        hasEnded = true
        leave()
        events.forget(descriptor)
        _ = systemCall(Int(SYS_close), word(descriptor))
        return master.release()
      }
      terminal.receive(bytes)
    }
  }
}
