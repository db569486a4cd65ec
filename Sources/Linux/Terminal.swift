import CLinux

/// Terminals and pseudoterminals (ioctl_tty(2), pty(7)).
public enum Terminal {
  /// A new pseudoterminal of the devpts instance behind /dev/ptmx: `first` is the near end (master), `second` the far one.
  /// Neither becomes the caller's controlling terminal.
  public static func openPair() throws(SystemError) -> DescriptorPair {
    let master = try File.open("/dev/ptmx", O_RDWR | O_NOCTTY)
    var locked: Int32 = 0
    // SAFETY: the ioctl reads one Int32.
    let unlocked = unsafe withUnsafeMutablePointer(to: &locked) { pointer in
      systemCall(Int(SYS_ioctl), word(master.rawValue), IMMURE_TIOCSPTLCK, UInt(bitPattern: pointer))
    }
    try checked("ioctl(TIOCSPTLCK)", "/dev/ptmx", unlocked)
    // By the master itself and not by a path: no /dev/pts of another instance can be meant.
    let peer = systemCall(
      Int(SYS_ioctl), word(master.rawValue), IMMURE_TIOCGPTPEER, word(O_RDWR | O_NOCTTY | O_CLOEXEC))
    let far = FileDescriptor(owning: Int32(try checked("ioctl(TIOCGPTPEER)", "/dev/ptmx", peer)))
    return DescriptorPair((master.release(), far.release()))
  }

  public static func isTerminal(_ descriptor: Int32) -> Bool {
    // EIO is a terminal that hung up; everything that is none says ENOTTY.
    do { _ = try attributes(descriptor) } catch { return error.errno == .inputOutput }
    return true
  }

  /// Rows and columns (TIOCGWINSZ).
  public static func size(_ descriptor: Int32) throws(SystemError) -> (rows: UInt16, columns: UInt16) {
    var size = winsize()
    // SAFETY: the ioctl fills one winsize.
    let result = unsafe withUnsafeMutablePointer(to: &size) { pointer in
      systemCall(Int(SYS_ioctl), word(descriptor), IMMURE_TIOCGWINSZ, UInt(bitPattern: pointer))
    }
    try checked("ioctl(TIOCGWINSZ)", "\(descriptor)", result)
    return (size.ws_row, size.ws_col)
  }

  /// Sets rows and columns; the foreground group gets SIGWINCH when they differ (TIOCSWINSZ).
  public static func setSize(_ descriptor: Int32, rows: UInt16, columns: UInt16) throws(SystemError) {
    var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    // SAFETY: the ioctl reads one winsize.
    let result = unsafe withUnsafeMutablePointer(to: &size) { pointer in
      systemCall(Int(SYS_ioctl), word(descriptor), IMMURE_TIOCSWINSZ, UInt(bitPattern: pointer))
    }
    try checked("ioctl(TIOCSWINSZ)", "\(descriptor)", result)
  }

  /// How a terminal treats bytes: the kernel's struct termios (TCGETS), which is not glibc's.
  public struct Attributes: Equatable, Sendable {
    fileprivate var input: UInt32 = 0
    fileprivate var output: UInt32 = 0
    fileprivate var control: UInt32 = 0
    fileprivate var local: UInt32 = 0
    // c_line and c_cc[19] in asm-generic/termbits.h; VTIME is c_cc[5], VMIN c_cc[6].
    fileprivate var characters: (UInt32, UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0, 0)

    fileprivate init() {}

    /// Every byte passes as it is, both ways: cfmakeraw of termios(3).
    public var raw: Attributes {
      var copy = self
      copy.input &= ~UInt32(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON)
      copy.output &= ~UInt32(OPOST)
      copy.local &= ~UInt32(ECHO | ECHONL | ICANON | ISIG | IEXTEN)
      copy.control = copy.control & ~UInt32(CSIZE | PARENB) | UInt32(CS8)
      // Bytes 1 to 19 of `characters` are c_cc: VTIME = 0 and VMIN = 1 are bytes 6 and 7.
      copy.characters.1 = copy.characters.1 & 0x0000_ffff | 1 << 24
      return copy
    }

    public static func == (a: Attributes, b: Attributes) -> Bool {
      a.input == b.input && a.output == b.output && a.control == b.control && a.local == b.local
        && a.characters == b.characters
    }
  }

  public static func attributes(_ descriptor: Int32) throws(SystemError) -> Attributes {
    var attributes = Attributes()
    // SAFETY: TCGETS (0x5401) fills 36 bytes, the size of the struct.
    let result = unsafe withUnsafeMutablePointer(to: &attributes) { pointer in
      systemCall(Int(SYS_ioctl), word(descriptor), 0x5401, UInt(bitPattern: pointer))
    }
    try checked("ioctl(TCGETS)", "\(descriptor)", result)
    return attributes
  }

  /// Takes effect once what was written has been put out (TCSETSW).
  public static func setAttributes(_ descriptor: Int32, _ attributes: Attributes) throws(SystemError) {
    var copy = attributes
    // SAFETY: TCSETSW (0x5403) reads 36 bytes, the size of the struct.
    let result = unsafe withUnsafeMutablePointer(to: &copy) { pointer in
      retrying { systemCall(Int(SYS_ioctl), word(descriptor), 0x5403, UInt(bitPattern: pointer)) }
    }
    try checked("ioctl(TCSETSW)", "\(descriptor)", result)
  }
}
