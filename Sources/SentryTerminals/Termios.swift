import SentryABI

/// A terminal's settings (termios(3)), in the kernel's own form (struct termios2, asm-generic/termbits.h).
public struct Termios: Equatable, Sendable {
  public var input: UInt32 = Input.carriageReturnToNewline | Input.flowControl
  public var output: UInt32 = Output.process | Output.newlineToCarriageReturn
  /// B38400, CS8, CREAD.
  public var control: UInt32 = 0xbf
  public var local: UInt32 =
    Local.signals | Local.canonical | Local.echo | Local.echoErase | Local.echoKill | Local.echoControl
    | Local.echoKillErase | Local.extended
  public var discipline: UInt8 = 0
  public var characters: [UInt8] = [
    3, 0x1c, 0x7f, 0x15, 4, 0, 1, 0, 0x11, 0x13, 0x1a, 0, 0x12, 0x0f, 0x17, 0x16, 0, 0, 0,
  ]
  public var inputSpeed: UInt32 = 38400
  public var outputSpeed: UInt32 = 38400

  public init() {}

  public enum Input {
    static let strip: UInt32 = 0x20
    static let newlineToCarriageReturn: UInt32 = 0x40
    static let ignoreCarriageReturn: UInt32 = 0x80
    static let carriageReturnToNewline: UInt32 = 0x100
    static let toLower: UInt32 = 0x200
    static let flowControl: UInt32 = 0x400
    static let anyRestarts: UInt32 = 0x800
    static let bell: UInt32 = 0x2000
    static let utf8: UInt32 = 0x4000
  }
  public enum Output {
    static let process: UInt32 = 1
    static let toUpper: UInt32 = 2
    static let newlineToCarriageReturn: UInt32 = 4
    static let carriageReturnToNewline: UInt32 = 8
    static let noReturnAtStart: UInt32 = 0x10
    static let newlineReturns: UInt32 = 0x20
    static let tabsToSpaces: UInt32 = 0x1800
  }
  public enum Local {
    static let signals: UInt32 = 1
    static let canonical: UInt32 = 2
    static let echo: UInt32 = 8
    static let echoErase: UInt32 = 0x10
    static let echoKill: UInt32 = 0x20
    static let echoNewline: UInt32 = 0x40
    static let noFlush: UInt32 = 0x80
    static let stopsBackgroundOutput: UInt32 = 0x100
    static let echoControl: UInt32 = 0x200
    static let echoKillErase: UInt32 = 0x800
    static let extended: UInt32 = 0x8000
  }
  /// Where each control character stands (asm-generic/termbits-common.h).
  enum Character: Int {
    case interrupt, quit, erase, kill, endOfFile, time, minimum, switching, start, stop, suspend, endOfLine, reprint
    case discard, wordErase, literalNext, endOfLine2
  }
  subscript(_ character: Character) -> UInt8 { characters[character.rawValue] }

  /// Whether a byte is that control character; 0 disables it (_POSIX_VDISABLE).
  func isCharacter(_ character: Character, _ byte: UInt8) -> Bool { byte != 0 && self[character] == byte }

  static let size = 36
  static let size2 = 44

  /// - Parameter isLong: with the speeds (TCGETS2).
  func encoded(isLong: Bool) -> [UInt8] {
    var bytes: [UInt8] = []
    for flags in [input, output, control, local] { bytes.append(little: flags) }
    bytes.append(discipline)
    bytes += characters
    if isLong {
      bytes.append(little: inputSpeed)
      bytes.append(little: outputSpeed)
    }
    return bytes
  }

  /// - Parameter bytes: 36 or 44 of them.
  init(_ bytes: [UInt8], before: Termios) {
    self = before
    input = bytes.little32(0)
    output = bytes.little32(4)
    // A pseudo terminal has eight bits and no parity, whatever is asked (drivers/tty/pty.c, pty_set_termios).
    control = bytes.little32(8) & ~0x130 | 0x80 | 0x30
    local = bytes.little32(12)
    discipline = bytes[16]
    characters = Array(bytes[17..<36])
    if bytes.count >= Termios.size2 {
      inputSpeed = bytes.little32(36)
      outputSpeed = bytes.little32(40)
    } else if let speed = Termios.speed(control & 0x100f) {
      inputSpeed = speed
      outputSpeed = speed
    }
  }

  /// Bits per second of a CBAUD code.
  private static func speed(_ code: UInt32) -> UInt32? {
    let low: [UInt32] = [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400]
    let high: [UInt32] = [
      0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1_000_000, 1_152_000, 1_500_000, 2_000_000, 2_500_000,
      3_000_000, 3_500_000, 4_000_000,
    ]
    if code < 16 { return low[Int(code)] }
    return code & 0x1000 != 0 && code & 15 != 0 ? high[Int(code & 15)] : nil
  }
}

/// struct winsize (ioctl_tty(2)).
public struct WindowSize: Equatable, Sendable {
  public var rows: UInt16 = 0
  public var columns: UInt16 = 0
  public var width: UInt16 = 0
  public var height: UInt16 = 0
  public init() {}
  public init(rows: UInt16, columns: UInt16) {
    self.rows = rows
    self.columns = columns
  }
  init(_ bytes: [UInt8]) {
    rows = bytes.little16(0)
    columns = bytes.little16(2)
    width = bytes.little16(4)
    height = bytes.little16(6)
  }
  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    for part in [rows, columns, width, height] { bytes.append(little: part) }
    return bytes
  }
}
