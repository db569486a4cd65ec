public import Linux
public import SentryFiles
public import SentryWait

/// All pseudo terminals of a sandbox (devpts), and which session has which.
public final class Terminals {
  /// At most so many (/proc/sys/kernel/pty/max).
  public static let limit: Int32 = 4096
  private var open: [Int32: Terminal] = [:]
  private var controlling: [Int32: Terminal] = [:]
  /// Where devpts stands, for terminals that are opened without a path.
  public var mounted: Path?
  public weak var jobs: (any JobControl)?
  let deadlines: Deadlines
  public init(_ deadlines: Deadlines) { self.deadlines = deadlines }

  /// Numbers below /dev/pts, ascending.
  public var indices: [Int32] { open.keys.sorted() }
  public subscript(index: Int32) -> Terminal? { open[index] }
  public func controlling(session: Int32) -> Terminal? { controlling[session] }

  /// Opens /dev/ptmx: a new pair.
  /// - Throws: ENOSPC beyond the limit.
  public func openMaster(flags: Int32) throws(Errno) -> MasterFile {
    var index: Int32 = 0
    while open[index] != nil { index += 1 }
    guard index < Terminals.limit else { throw .noSpace }
    let terminal = Terminal(index: index, self)
    open[index] = terminal
    return MasterFile(terminal, flags: flags & ~0o400)
  }

  /// Opens /dev/pts/N. A session's leader without a terminal gets it as its own unless O_NOCTTY.
  /// - Throws: EIO where it is locked or hung up, EBUSY after TIOCEXCL.
  public func openTerminal(_ terminal: Terminal, flags: Int32) throws(Errno) -> TerminalFile {
    guard terminal.isMasterOpen, !terminal.isLocked else { throw .inputOutput }
    let caller = jobs?.caller
    if terminal.isExclusive, caller?.isAdministrator != true { throw .busy }
    if flags & 0o400 == 0, let caller, caller.process == caller.session, controlling[caller.session] == nil,
      terminal.session == 0
    {
      setControlling(terminal, caller)
    }
    return TerminalFile(terminal, flags: flags & ~0o400)
  }

  /// Its place in devpts; nil where that isn't mounted.
  public func path(of terminal: Terminal) -> Path? {
    guard let mounted, let directory = mounted.dentry.inode as? TerminalDirectory else { return nil }
    let node = directory.node(of: terminal)
    return Path(mount: mounted.mount, dentry: Dentry(root: node, name: Array("/dev/pts/\(terminal.index)".utf8)))
  }

  func setControlling(_ terminal: Terminal, _ caller: JobCaller) {
    terminal.session = caller.session
    terminal.foreground = caller.processGroup
    controlling[caller.session] = terminal
  }

  /// The session has the terminal no longer.
  func release(_ terminal: Terminal) {
    if terminal.session != 0 { controlling[terminal.session] = nil }
    terminal.session = 0
    terminal.foreground = 0
    if !terminal.isMasterOpen { open[terminal.index] = nil }
  }

  /// A session's leader ended, or gave its terminal up (disassociate_ctty, drivers/tty/tty_jobctrl.c): the foreground group is hung up.
  public func sessionEnded(_ session: Int32) {
    guard let terminal = controlling[session] else { return }
    let group = terminal.foreground
    release(terminal)
    if group > 0 {
      jobs?.send(1, toProcessGroup: group)
      jobs?.send(18, toProcessGroup: group)
    }
  }
}
