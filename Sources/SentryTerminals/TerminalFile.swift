public import Linux
public import SentryABI
public import SentryFiles
public import SentryMemory
public import SentryWait

/// An open /dev/pts/N.
public final class TerminalFile: OpenFile {
  public let terminal: Terminal

  init(_ terminal: Terminal, flags: Int32) {
    self.terminal = terminal
    super.init(flags: flags)
    terminal.openFiles += 1
    terminal.wasOpened = true
    terminal.masterQueue.wake(.writable)
  }

  public override func released() {
    terminal.openFiles -= 1
    if terminal.openFiles == 0 {
      terminal.isExclusive = false
      terminal.masterQueue.wake([.readable, .hangup])
    }
  }

  public override var isTerminal: Bool { true }
  public override var writesWhole: Bool { true }
  public override var queue: WaitQueue? { terminal.queue }

  public override var readiness: PollEvents {
    guard terminal.isMasterOpen else { return [.readable, .writable, .error, .hangup] }
    var events: PollEvents = []
    if canRead(forPoll: true) { events.insert(.readable) }
    if terminal.outputRoom >= 256 { events.insert(.writable) }
    return events
  }

  private func canRead(forPoll: Bool) -> Bool {
    if terminal.isCanonical { return !terminal.lines.isEmpty }
    let minimum = Int(terminal.settings[.minimum])
    let waits = forPoll && terminal.settings[.time] == 0 && minimum > 0
    return terminal.input.count >= (waits ? minimum : 1)
  }

  public override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    guard terminal.isMasterOpen else { return 0 }
    try terminal.checkForeground(21)
    if buffer.remaining == 0 { return 0 }
    // Not where nothing was there: who types at the master in that moment would wake this caller before it waits.
    let count = try terminal.isCanonical ? readLine(&buffer) : readRaw(&buffer)
    terminal.masterQueue.wake(.writable)
    return count
  }

  private func readLine(_ buffer: inout GuestBuffer) throws(Errno) -> Int {
    guard let line = terminal.lines.first else { throw .again }
    let count = try terminal.input.drain(into: &buffer, limit: line)
    if count == line { terminal.lines.removeFirst() } else { terminal.lines[0] = line - count }
    return count
  }

  /// VMIN and VTIME as termios(3) tells them.
  private func readRaw(_ buffer: inout GuestBuffer) throws(Errno) -> Int {
    let minimum = Int(terminal.settings[.minimum])
    let time = UInt64(terminal.settings[.time]) * 100_000_000
    let have = terminal.input.count
    let enough = isNonBlocking || time > 0 && minimum == 0 ? 1 : max(1, min(minimum, buffer.remaining))
    if have >= enough || have > 0 && terminal.readTimer?.hasExpired == true {
      stopTimer()
      return try terminal.input.drain(into: &buffer)
    }
    if minimum == 0 {
      // Nothing there: at once, or when the time is over.
      if time == 0 || terminal.readTimer?.hasExpired == true {
        stopTimer()
        return 0
      }
      if terminal.readTimer == nil, !isNonBlocking { startTimer(time) }
    } else if time > 0, have > 0, !isNonBlocking {
      // Between bytes: each starts it anew.
      stopTimer()
      startTimer(time)
    }
    throw .again
  }

  private func startTimer(_ time: UInt64) {
    let timer = ReadTimer(terminal.queue)
    timer.token = terminal.terminals.deadlines.add(timer, at: Clock.monotonicNanoseconds().later(by: time))
    terminal.readTimer = timer
  }
  private func stopTimer() {
    if let token = terminal.readTimer?.token { terminal.terminals.deadlines.cancel(token) }
    terminal.readTimer = nil
  }

  public override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    guard terminal.isMasterOpen else { throw .inputOutput }
    if terminal.settings.local & Termios.Local.stopsBackgroundOutput != 0 { try terminal.checkForeground(22) }
    if buffer.remaining == 0 { return 0 }
    let room = min(terminal.outputRoom, 4096)
    if room == 0 { throw .again }
    let bytes = try buffer.take(room)
    terminal.emit(bytes)
    return bytes.count
  }

  public override func store(_ bytes: [UInt8], at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    guard terminal.isMasterOpen else { throw .inputOutput }
    let taken = Array(bytes.prefix(terminal.outputRoom))
    if taken.isEmpty, !bytes.isEmpty { throw .again }
    terminal.emit(taken)
    return taken.count
  }

  public override func control(_ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller) throws(Errno) -> Int64
  {
    guard terminal.isMasterOpen else { throw .inputOutput }
    return try terminal.control(request, argument, caller, isMaster: false)
  }
}
