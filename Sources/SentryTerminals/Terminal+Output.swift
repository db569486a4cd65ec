import SentryMemory
import SentryWait

/// What is shown (process_output, drivers/tty/n_tty.c).
extension Terminal {
  /// Bytes that a write may bring now: each becomes eight at most.
  var outputRoom: Int {
    if isStopped { return 0 }
    let grows = settings.output & Termios.Output.process != 0
    let tabs = settings.output & Termios.Output.tabsToSpaces == Termios.Output.tabsToSpaces
    return output.free / (grows ? (tabs ? 8 : 2) : 1)
  }

  /// Processes and passes on; what has no room, as an echo may have none, is lost.
  func emit(_ bytes: [UInt8]) {
    if isStopped {
      if pendingEcho.count < 4096 { pendingEcho += bytes }
      return
    }
    if settings.output & Termios.Output.process == 0 {
      _ = output.append(bytes)
    } else {
      for byte in bytes { process(byte) }
    }
    masterQueue.wake(.readable)
  }

  private func process(_ byte: UInt8) {
    let flags = settings.output
    var byte = byte
    switch byte {
    case 10:
      if flags & Termios.Output.newlineReturns != 0 { column = 0 }
      if flags & Termios.Output.newlineToCarriageReturn != 0 {
        guard output.free >= 2 else { return }
        output.append(13)
        column = 0
      }
    case 13:
      if flags & Termios.Output.noReturnAtStart != 0, column == 0 { return }
      if flags & Termios.Output.carriageReturnToNewline != 0 {
        byte = 10
        if flags & Termios.Output.newlineReturns != 0 { column = 0 }
      } else {
        column = 0
      }
    case 9:
      let spaces = 8 - column & 7
      column += spaces
      if flags & Termios.Output.tabsToSpaces == Termios.Output.tabsToSpaces {
        for _ in 0..<spaces { output.append(32) }
        return
      }
    case 8: column = max(0, column - 1)
    default:
      if byte >= 0x20, byte != 0x7f {
        if flags & Termios.Output.toUpper != 0, byte >= 0x61, byte <= 0x7a { byte &= 0xdf }
        if byte & 0xc0 != 0x80 || settings.input & Termios.Input.utf8 == 0 { column += 1 }
      }
    }
    output.append(byte)
  }
}
