import CLinux
package import Linux
package import Walls

/// A pseudo-terminal of the box's own devpts (pts(4)).
package struct BoxTerminal: ~Copyable {
  package let near: FileDescriptor
  package let far: FileDescriptor
  package let number: Int32

  private static let devptsMagic = 0x1cd1

  /// Opens a new pair in the devpts at /dev/pts of `root`; the far end's name is never used, so nothing in the box can stand in
  /// for it (TIOCGPTPEER, Linux 4.13).
  package static func open(in root: Int32, size: WindowSize, owner: UInt32?) throws(SystemError) -> BoxTerminal {
    let multiplexer = try File.open(
      "/dev/pts/ptmx", O_RDWR | O_NOCTTY, at: root, resolve: [.inRoot, .noMagicLinks, .noSymlinks])
    guard try File.fileSystemKind(multiplexer.rawValue) == devptsMagic else {
      throw SystemError("open", "/dev/pts/ptmx: not a devpts file system", .noDevice)
    }
    let master = multiplexer.rawValue
    var unlocked: Int32 = 0
    var number: Int32 = 0
    // SAFETY: both requests read or fill one Int32.
    let unlock = unsafe withUnsafeMutablePointer(to: &unlocked) {
      systemCall(Int(SYS_ioctl), word(master), IMMURE_TIOCSPTLCK, UInt(bitPattern: $0))
    }
    try checked("ioctl(TIOCSPTLCK)", "", unlock)
    // SAFETY: as above.
    let named = unsafe withUnsafeMutablePointer(to: &number) {
      systemCall(Int(SYS_ioctl), word(master), IMMURE_TIOCGPTN, UInt(bitPattern: $0))
    }
    try checked("ioctl(TIOCGPTN)", "", named)
    let flags = O_RDWR | O_NOCTTY | O_CLOEXEC
    let peer = systemCall(Int(SYS_ioctl), word(master), IMMURE_TIOCGPTPEER, word(flags))
    let far = FileDescriptor(owning: Int32(try checked("ioctl(TIOCGPTPEER)", "", peer)))
    try setSize(master, size)
    if let owner { try File.changeOwner("", user: owner, group: UInt32.max, at: far.rawValue) }
    return BoxTerminal(near: multiplexer, far: far, number: number)
  }

  static func setSize(_ terminal: Int32, _ size: WindowSize) throws(SystemError) {
    // struct winsize: rows, columns, and two unused sizes in pixels.
    var raw: (UInt16, UInt16, UInt16, UInt16) = (size.rows, size.columns, 0, 0)
    // SAFETY: the request reads the eight bytes of the struct.
    let result = unsafe withUnsafeMutablePointer(to: &raw) {
      systemCall(Int(SYS_ioctl), word(terminal), IMMURE_TIOCSWINSZ, UInt(bitPattern: $0))
    }
    try checked("ioctl(TIOCSWINSZ)", "", result)
  }

  /// Puts the far end at /dev/console too, as init systems expect: the node of this very terminal, from its own devpts.
  package static func makeConsole(_ number: Int32, in root: borrowing BoxRoot) throws(SystemError) {
    let node = try root.find("/dev/pts/\(number)", noSymlinks: true)
    guard try File.fileSystemKind(node.rawValue) == devptsMagic else {
      throw SystemError("open", "/dev/pts/\(number): not a devpts file system", .noDevice)
    }
    let console = try root.make("/dev/console", .file, noSymlinks: true)
    try DetachedMount.clone("", at: node.rawValue, recursive: false).attach(onto: console.rawValue)
  }
}
