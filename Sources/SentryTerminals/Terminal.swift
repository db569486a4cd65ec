import Linux
import SentryMemory
import SentryWait

/// A pseudo terminal (pty(7)): a master, the terminal proper, and the line discipline between them (drivers/tty/n_tty.c).
public final class Terminal {
  /// Its name below /dev/pts.
  public let index: Int32
  unowned let terminals: Terminals
  public internal(set) var settings = Termios()
  public internal(set) var window = WindowSize()
  /// The session whose controlling terminal it is, and its foreground process group; 0 for none.
  public internal(set) var session: Int32 = 0
  public internal(set) var foreground: Int32 = 0

  /// Bytes that may be read: whole lines in canonical mode.
  let input = ByteRing(capacity: 4096)
  /// How long each line in `input` is, with its delimiter; 0 for an end of file alone.
  var lines: [Int] = []
  /// The line that is being edited.
  var editing: [UInt8] = []
  var nextIsLiteral = false
  /// What the master will read.
  let output = ByteRing(capacity: 16384)
  /// Echoes that wait while the output is stopped.
  var pendingEcho: [UInt8] = []
  var column = 0
  /// By ^S or tcflow(3).
  var isStopped = false

  /// Those who wait at the terminal, and at the master.
  let queue = WaitQueue()
  let masterQueue = WaitQueue()
  var isMasterOpen = true
  var openFiles = 0
  var wasOpened = false
  /// TIOCSPTLCK: until unlocked it cannot be opened.
  var isLocked = true
  var isExclusive = false
  /// TIOCPKT, and what is to be told in the next packet.
  var isPacketMode = false
  var packetStatus: UInt8 = 0
  var readTimer: ReadTimer?
  /// Whose /dev/pts/N is: who opened the master.
  var owner: (user: UInt32, group: UInt32) = (0, 0)
  var node: TerminalNode?

  init(index: Int32, _ terminals: Terminals) {
    self.index = index
    self.terminals = terminals
  }

  var isCanonical: Bool { settings.local & Termios.Local.canonical != 0 }

  /// The owner group of the foreground gets a signal, and what was typed is forgotten unless NOFLSH says otherwise.
  func signalForeground(_ signal: Int32, flushes: Bool) {
    if flushes, settings.local & Termios.Local.noFlush == 0 {
      flushInput()
      flushOutput()
    }
    if foreground > 0 { terminals.jobs?.send(signal, toProcessGroup: foreground) }
  }

  func flushInput() {
    input.removeAll()
    lines.removeAll()
    editing.removeAll()
    nextIsLiteral = false
    tell(1)
    masterQueue.wake(.writable)
  }

  func flushOutput() {
    output.removeAll()
    pendingEcho.removeAll()
    tell(2)
    queue.wake(.writable)
  }

  /// Status of packet mode (TIOCPKT_*, ioctl_tty(2)).
  func tell(_ status: UInt8) {
    guard isPacketMode else { return }
    packetStatus |= status
    masterQueue.wake([.readable, .priority])
  }

  func stop() {
    guard !isStopped else { return }
    isStopped = true
    tell(4)
  }
  func start() {
    guard isStopped else { return }
    isStopped = false
    tell(8)
    let pending = pendingEcho
    pendingEcho.removeAll()
    emit(pending)
    queue.wake(.writable)
  }

  /// The master is gone: who reads sees the end, who writes an error, and the session is told (tty_vhangup).
  func hangUp() {
    isMasterOpen = false
    let (session, group) = (session, foreground)
    terminals.release(self)
    if session > 0 {
      terminals.jobs?.send(1, toLeaderOf: session)
      terminals.jobs?.send(18, toLeaderOf: session)
    }
    if group > 0 && group != session {
      terminals.jobs?.send(1, toProcessGroup: group)
      terminals.jobs?.send(18, toProcessGroup: group)
    }
    queue.wake([.readable, .writable, .hangup, .error])
  }

  /// Takes other settings; what lies in the buffers changes its meaning with ICANON.
  func apply(_ new: Termios) {
    let wasCanonical = isCanonical
    let hadFlow = settings.input & Termios.Input.flowControl != 0
    settings = new
    if wasCanonical && !isCanonical {
      _ = input.append(editing)
      editing.removeAll()
      lines.removeAll()
    } else if !wasCanonical && isCanonical, !input.isEmpty {
      lines = [input.count]
    }
    nextIsLiteral = false
    if hadFlow && new.input & Termios.Input.flowControl == 0 { start() }
    queue.wake([.readable, .writable])
    masterQueue.wake(.writable)
  }
}

/// Wakes readers whose VTIME ran out.
final class ReadTimer: Waiter {
  private unowned let queue: WaitQueue
  var token: Deadlines.Token?
  private(set) var hasExpired = false
  init(_ queue: WaitQueue) { self.queue = queue }
  override func wake(_ events: PollEvents) {
    hasExpired = true
    queue.wake(.readable)
  }
}
