import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryWait

/// ioctl(2) of terminals (ioctl_tty(2)).
extension Terminal {
  /// A background process that reads, writes or sets: a signal to its group, and the call again when it is continued
  /// (tty_check_change, drivers/tty/tty_jobctrl.c).
  /// - Parameter signal: SIGTTIN (21) or SIGTTOU (22).
  /// - Throws: EIO where the signal could not stop it; the host's ERESTARTSYS where it did.
  func checkForeground(_ signal: Int32) throws(Errno) {
    guard let jobs = terminals.jobs, session != 0 else { return }
    let caller = jobs.caller
    guard caller.session == session, foreground != 0, caller.processGroup != foreground else { return }
    if jobs.callerShuns(signal) {
      if signal == 21 { throw .inputOutput }
      return
    }
    if jobs.isOrphaned(processGroup: caller.processGroup) { throw .inputOutput }
    jobs.send(signal, toProcessGroup: caller.processGroup)
    throw Errno(rawValue: 512)
  }

  func control(_ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller, isMaster: Bool) throws(Errno) -> Int64
  {
    let (memory, address) = (caller.memory, argument.address)
    switch request {
    case 0x5401: try memory.store(settings.encoded(isLong: false), at: address)  // TCGETS
    case 0x802C_542A: try memory.store(settings.encoded(isLong: true), at: address)  // TCGETS2
    case 0x5402, 0x5403, 0x5404: try set(caller, address, Termios.size, flushes: request == 0x5404, isMaster)
    case 0x402C_542B, 0x402C_542C, 0x402C_542D:
      try set(caller, address, Termios.size2, flushes: request == 0x402C_542D, isMaster)
    case 0x5409, 0x5425: if !isMaster { try checkForeground(22) }  // TCSBRK, TCSBRKP: nothing to drain or break
    case 0x540A: try flow(argument.int32, isMaster)
    case 0x540B: try flush(argument.int32, isMaster)
    case 0x540C: isExclusive = true  // TIOCEXCL
    case 0x540D: isExclusive = false  // TIOCNXCL
    case 0x5440: try memory.store(isExclusive ? 1 : 0 as Int32, at: address)  // TIOCGEXCL
    case 0x540E: try makeControlling(argument.int32, isMaster)
    case 0x540F:  // TIOCGPGRP
      guard isMaster || isControlling else { throw .notTerminal }
      try memory.store(foreground, at: address)
    case 0x5410: try setForeground(try memory.load(address), isMaster)
    case 0x5411:  // TIOCOUTQ
      try memory.store(Int32(truncatingIfNeeded: isMaster ? input.count : output.count), at: address)
    case 0x5413: try memory.store(window.encoded, at: address)  // TIOCGWINSZ
    case 0x5414: setWindow(WindowSize(try memory.bytes(address, count: 8)))  // TIOCSWINSZ
    case 0x541B:  // FIONREAD
      let count = isMaster ? output.count : isCanonical ? lines.reduce(0, +) : input.count
      try memory.store(Int32(truncatingIfNeeded: count), at: address)
    case 0x5422: try giveUp()  // TIOCNOTTY
    case 0x5423: if argument.int32 != 0 { throw .invalid }  // TIOCSETD: N_TTY alone
    case 0x5424: try memory.store(0 as Int32, at: address)  // TIOCGETD
    case 0x5429:  // TIOCGSID
      guard isMaster || isControlling, session > 0 else { throw .notTerminal }
      try memory.store(session, at: address)
    case 0x5412: throw .inputOutput  // TIOCSTI, as Linux without dev.tty.legacy_tiocsti
    case 0x5420 where isMaster: try setPacketMode(try memory.load(address, as: Int32.self) != 0)
    case 0x8004_5438 where isMaster: try memory.store(isPacketMode ? 1 : 0 as Int32, at: address)
    case 0x8004_5430 where isMaster: try memory.store(index, at: address)  // TIOCGPTN
    case 0x4004_5431 where isMaster: isLocked = try memory.load(address, as: Int32.self) != 0
    case 0x8004_5439 where isMaster: try memory.store(isLocked ? 1 : 0 as Int32, at: address)
    case 0x4004_5436 where isMaster:  // TIOCSIG
      let signal = argument.int32
      guard [2, 3, 20].contains(signal) else { throw .invalid }
      signalForeground(signal, flushes: true)
    default: throw .notTerminal
    }
    return 0
  }

  private var isControlling: Bool {
    guard let caller = terminals.jobs?.caller else { return false }
    return session != 0 && caller.session == session
  }

  private func set(_ caller: ControlCaller, _ address: GuestAddress, _ size: Int, flushes: Bool, _ isMaster: Bool)
    throws(Errno)
  {
    if !isMaster { try checkForeground(22) }
    let bytes = try caller.memory.bytes(address, count: size)
    if flushes { flushInput() }
    apply(Termios(bytes, before: settings))
  }

  /// tcflow(3). What the master stops is its own input, which nothing throttles.
  private func flow(_ action: Int32, _ isMaster: Bool) throws(Errno) {
    if !isMaster { try checkForeground(22) }
    switch action {
    case 0: stop()
    case 1: start()
    case 2: if settings[.stop] != 0 { _ = output.append([settings[.stop]]) }
    case 3: if settings[.start] != 0 { _ = output.append([settings[.start]]) }
    default: throw .invalid
    }
    masterQueue.wake(.readable)
  }

  /// tcflush(3).
  private func flush(_ which: Int32, _ isMaster: Bool) throws(Errno) {
    if !isMaster { try checkForeground(22) }
    guard (0...2).contains(which) else { throw .invalid }
    // The master's input is the terminal's output.
    let (own, far) = isMaster ? (1 as Int32, 0 as Int32) : (0, 1)
    if which == own || which == 2 { flushInput() }
    if which == far || which == 2 { flushOutput() }
  }

  private func makeControlling(_ force: Int32, _ isMaster: Bool) throws(Errno) {
    guard let caller = terminals.jobs?.caller else { throw .notPermitted }
    if isControlling, caller.process == caller.session { return }
    guard !isMaster, caller.process == caller.session, terminals.controlling(session: caller.session) == nil else {
      throw .notPermitted
    }
    if session != 0 {
      guard force == 1, caller.isAdministrator else { throw .notPermitted }
      terminals.release(self)
    }
    terminals.setControlling(self, caller)
  }

  private func giveUp() throws(Errno) {
    guard isControlling, let caller = terminals.jobs?.caller else { throw .notTerminal }
    if caller.process == caller.session { terminals.sessionEnded(caller.session) }
  }

  private func setForeground(_ group: Int32, _ isMaster: Bool) throws(Errno) {
    guard let jobs = terminals.jobs, isMaster || isControlling else { throw .notTerminal }
    if !isMaster { try checkForeground(22) }
    guard group > 0 else { throw .invalid }
    guard let its = jobs.session(ofProcessGroup: group) else { throw .noProcess }
    guard its == session else { throw .notPermitted }
    foreground = group
  }

  public func setWindow(_ size: WindowSize) {
    guard size != window else { return }
    window = size
    if foreground > 0 { terminals.jobs?.send(28, toProcessGroup: foreground) }
  }

  private func setPacketMode(_ on: Bool) throws(Errno) {
    if on && !isPacketMode { packetStatus = 0 }
    isPacketMode = on
  }
}
