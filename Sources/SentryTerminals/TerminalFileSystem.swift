public import Linux
import SentryABI
public import SentryFiles

/// devpts: a device for each open pseudo terminal, and ptmx, which makes one. Mounted at /dev/pts.
public final class TerminalDirectory: PseudoDirectory {
  private let terminals: Terminals
  private let master: Inode
  private static let firstNumber: UInt64 = 3

  /// - Returns: the root to mount.
  public static func tree(_ terminals: Terminals) -> Inode {
    TerminalDirectory(PseudoFileSystem(type: "devpts", magic: 0x1cd1), terminals)
  }

  private init(_ fileSystem: FileSystem, _ terminals: Terminals) {
    self.terminals = terminals
    master = DeviceNode(fileSystem, permissions: 0o666, major: 5, minor: 2, number: 2)
    super.init(fileSystem, permissions: 0o755, number: 1)
  }

  public override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? {
    if name == Array("ptmx".utf8) { return master }
    guard name.count <= 5, !name.isEmpty, name.allSatisfy({ (0x30...0x39).contains($0) }),
      name.count == 1 || name[0] != 0x30
    else { return nil }
    let index = name.reduce(0 as Int32) { $0 &* 10 &+ Int32($1 - 0x30) }
    return terminals[index].map { node(of: $0) }
  }

  func node(of terminal: Terminal) -> Inode {
    if let inode = terminal.node { return inode }
    let inode = TerminalNode(fileSystem, terminal)
    terminal.node = inode
    return inode
  }

  public override func list(_ caller: FileCaller) throws(Errno) -> [DirectoryEntry] {
    var entries = [DirectoryEntry(name: Array("ptmx".utf8), inode: 2, kind: .characterDevice, next: 3)]
    for index in terminals.indices {
      entries.append(
        DirectoryEntry(
          name: Array(String(index).utf8), inode: UInt64(index) + Self.firstNumber, kind: .characterDevice,
          next: Int64(index) + 4))
    }
    return entries
  }

  /// Makes /dev/ptmx (5:2) and /dev/tty (5:0) work.
  public static func serve(_ special: SpecialFiles, _ terminals: Terminals) {
    special.addCharacterDevice(major: 5, minor: 2) { (inode, flags, path, caller) throws(Errno) in
      let file = try terminals.openMaster(flags: flags)
      file.terminal.owner = (caller.credentials.fileUser, caller.credentials.fileGroup)
      return file
    }
    special.addCharacterDevice(major: 5, minor: 0) { (inode, flags, path, caller) throws(Errno) in
      terminals.jobs?.serve(caller.task)
      guard let session = terminals.jobs?.caller.session, let terminal = terminals.controlling(session: session) else {
        throw .noSuchDevice
      }
      return try terminals.openTerminal(terminal, flags: flags | OpenFlags.noTerminal)
    }
  }
}

/// /dev/pts/N.
final class TerminalNode: Inode {
  /// Names, descriptors with O_PATH and links of proc's hold the device when the terminal is no more.
  private weak var terminal: Terminal?

  init(_ fileSystem: FileSystem, _ terminal: Terminal) {
    self.terminal = terminal
    var attributes = FileAttributes.pseudo(
      fileSystem, .characterDevice, 0o620, user: terminal.owner.user, group: terminal.owner.group,
      number: UInt64(UInt32(bitPattern: terminal.index)) + 3)
    // The first minor is 136:0, after 256 of them 137:0.
    let index = UInt32(bitPattern: terminal.index)
    attributes.special = Device.number(136 + index / 256, index % 256)
    super.init(fileSystem, attributes)
  }

  override func open(_ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) -> OpenFile {
    guard let terminal else { throw .inputOutput }
    terminal.terminals.jobs?.serve(caller.task)
    return try terminal.terminals.openTerminal(terminal, flags: flags)
  }
  /// The next terminal of this number has the same inode number (fs/devpts/inode.c).
  override func isSame(as other: Inode) -> Bool { self === other }
  override func change(_ change: AttributeChange) throws(Errno) { attributes.apply(change) }
}
