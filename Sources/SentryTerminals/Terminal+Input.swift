import SentryMemory
import SentryWait

/// What is typed (n_tty_receive_buf, drivers/tty/n_tty.c).
extension Terminal {
  private typealias In = Termios.Input
  private typealias Local = Termios.Local

  /// Whether the master may write now.
  var hasInputRoom: Bool {
    // A line that is too long is cut, so that its end still comes through.
    isCanonical ? lines.isEmpty || input.free > 0 : input.free > 0
  }

  func receive(_ bytes: [UInt8]) {
    for byte in bytes { receive(byte) }
    queue.wake(.readable)
  }

  private func receive(_ byte: UInt8) {
    var byte = byte
    if settings.input & In.strip != 0 { byte &= 0x7f }
    let isExtended = settings.local & Local.extended != 0
    if settings.input & In.toLower != 0, isExtended, byte >= 0x41, byte <= 0x5a { byte |= 0x20 }
    if nextIsLiteral {
      nextIsLiteral = false
      echo(byte)
      return store(byte)
    }
    if settings.input & In.flowControl != 0 {
      if settings.isCharacter(.start, byte) { return start() }
      if settings.isCharacter(.stop, byte) { return stop() }
    }
    if isStopped, settings.input & In.flowControl != 0, settings.input & In.anyRestarts != 0 { start() }
    if settings.local & Local.signals != 0, let signal = signal(byte) {
      signalForeground(signal, flushes: true)
      return echo(byte)
    }
    if byte == 13 {
      if settings.input & In.ignoreCarriageReturn != 0 { return }
      if settings.input & In.carriageReturnToNewline != 0 { byte = 10 }
    } else if byte == 10, settings.input & In.newlineToCarriageReturn != 0 {
      byte = 13
    }
    if isCanonical, edit(byte, isExtended) { return }
    if byte == 10, settings.local & Local.echo != 0 { emit([10]) } else { echo(byte) }
    store(byte)
  }

  private func signal(_ byte: UInt8) -> Int32? {
    if settings.isCharacter(.interrupt, byte) { return 2 }
    if settings.isCharacter(.quit, byte) { return 3 }
    return settings.isCharacter(.suspend, byte) ? 20 : nil
  }

  /// - Returns: whether the byte is done with.
  private func edit(_ byte: UInt8, _ isExtended: Bool) -> Bool {
    if settings.isCharacter(.erase, byte) {
      eraseCharacter()
    } else if settings.isCharacter(.kill, byte) {
      eraseLine()
    } else if isExtended, settings.isCharacter(.wordErase, byte) {
      eraseWord()
    } else if isExtended, settings.isCharacter(.literalNext, byte) {
      nextIsLiteral = true
      if settings.local & Local.echo != 0, settings.local & Local.echoControl != 0 { emit([0x5e, 8]) }
    } else if isExtended, settings.local & Local.echo != 0, settings.isCharacter(.reprint, byte) {
      echo(byte)
      emit([10])
      for each in editing { echo(each) }
    } else if byte == 10 {
      if settings.local & (Local.echo | Local.echoNewline) != 0 { emit([10]) }
      endLine(with: 10)
    } else if settings.isCharacter(.endOfFile, byte) {
      endLine(with: nil)
    } else if settings.isCharacter(.endOfLine, byte) || isExtended && settings.isCharacter(.endOfLine2, byte) {
      echo(byte)
      endLine(with: byte)
    } else {
      return false
    }
    return true
  }

  private func endLine(with delimiter: UInt8?) {
    var line = editing
    if let delimiter { line.append(delimiter) }
    guard input.free >= line.count else { return ring() }
    _ = input.append(line)
    lines.append(line.count)
    editing.removeAll(keepingCapacity: true)
    queue.wake(.readable)
  }

  private func store(_ byte: UInt8) {
    if isCanonical {
      // Room for the delimiter is kept.
      guard editing.count + input.count < input.capacity - 1 else { return ring() }
      editing.append(byte)
    } else if !input.append(byte) {
      ring()
    }
  }

  private func ring() { if settings.input & Termios.Input.bell != 0 { emit([7]) } }

  /// Shows what was typed: control characters as ^X where ECHOCTL says so.
  func echo(_ byte: UInt8) {
    guard settings.local & Local.echo != 0 else { return }
    if settings.local & Local.echoControl != 0, byte < 0x20 && byte != 9 && byte != 10 || byte == 0x7f {
      emit([0x5e, byte ^ 0x40])
    } else {
      emit([byte])
    }
  }

  private func isContinuation(_ byte: UInt8) -> Bool {
    settings.input & Termios.Input.utf8 != 0 && byte & 0xc0 == 0x80
  }

  private func eraseCharacter() {
    var taken: UInt8?
    while let last = editing.popLast() {
      taken = last
      if !isContinuation(last) { break }
    }
    guard let taken, settings.local & Local.echo != 0 else { return }
    if settings.local & Local.echoErase == 0 { return echo(settings[.erase]) }
    erase(taken)
  }

  /// Takes a character off the screen.
  private func erase(_ byte: UInt8) {
    if byte == 9 {
      // As far as the tab had moved.
      var at = 0
      for each in editing { at = each == 9 ? (at | 7) + 1 : at + width(each) }
      let back = ((at | 7) + 1) - at
      return emit([UInt8](repeating: 8, count: back))
    }
    for _ in 0..<width(byte) { emit([8, 32, 8]) }
  }

  private func width(_ byte: UInt8) -> Int {
    if byte < 0x20 || byte == 0x7f { return settings.local & Local.echoControl != 0 ? 2 : 0 }
    return isContinuation(byte) ? 0 : 1
  }

  private func eraseLine() {
    guard settings.local & Local.echo != 0 else { return editing.removeAll() }
    let erases = Local.echoKill | Local.echoKillErase | Local.echoErase
    guard settings.local & erases == erases else {
      editing.removeAll()
      echo(settings[.kill])
      if settings.local & Local.echoKill != 0 { emit([10]) }
      return
    }
    while !editing.isEmpty { eraseCharacter() }
  }

  private func eraseWord() {
    func isWord(_ byte: UInt8) -> Bool {
      (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte) || byte == 0x5f
        || byte >= 0x80
    }
    var seen = false
    while let last = editing.last {
      if isWord(last) { seen = true } else if seen { return }
      eraseCharacter()
    }
  }
}
