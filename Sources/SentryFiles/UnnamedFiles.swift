public import Linux

/// Where files live that no path leads to: pipes, sockets, and those of epoll, eventfd and their like (pipefs, sockfs, anon_inodefs).
public final class UnnamedFiles {
  private let pipes = FileSystem(type: "pipefs", magic: 0x5049_5045)
  private let sockets = FileSystem(type: "sockfs", magic: 0x534F_434B)
  private let others = FileSystem(type: "anon_inodefs", magic: 0x0904_1934)
  private let otherInode: UInt64
  public init() { otherInode = others.nextInode() }

  /// - Parameter opener: opens it once more through /proc/PID/fd.
  public func pipe(user: UInt32, group: UInt32, _ opener: @escaping UnnamedInode.Opener) -> Path {
    place(pipes, "pipe", .fifo, 0o600, user, group, opener)
  }

  /// A socket cannot be opened again: ENXIO.
  public func socket(user: UInt32, group: UInt32) -> Path {
    place(sockets, "socket", .socket, 0o777, user, group, nil)
  }

  /// - Parameter name: as /proc/PID/fd shows it, such as "anon_inode:[eventpoll]".
  public func other(_ name: StaticString) -> Path {
    let attributes = FileAttributes(
      kind: .unnamed, permissions: 0o600, inode: otherInode, device: others.device)
    return Path(
      unnamed: UnnamedInode(others, attributes, nil), name: Array(name.description.utf8))
  }

  /// What the sandbox was given by the host.
  /// - Parameter special: st_rdev of a device.
  public func stream(
    _ kind: FileKind, permissions: UInt32, special: UInt64, _ opener: @escaping UnnamedInode.Opener
  ) -> Path {
    let word: String =
      switch kind {
      case .fifo: "pipe"
      case .socket: "socket"
      default: "host"
      }
    let path = place(pipes, word, kind, permissions, 0, 0, opener)
    path.inode?.attributes.special = special
    return path
  }

  private func place(
    _ system: FileSystem, _ word: String, _ kind: FileKind, _ permissions: UInt32, _ user: UInt32, _ group: UInt32,
    _ opener: UnnamedInode.Opener?
  ) -> Path {
    let number = system.nextInode()
    let inode = UnnamedInode(
      system,
      FileAttributes(
        kind: kind, permissions: permissions, user: user, group: group, inode: number, device: system.device), opener)
    return Path(unnamed: inode, name: Array("\(word):[\(number)]".utf8))
  }
}

public final class UnnamedInode: Inode {
  public typealias Opener = (_ flags: Int32) throws(Errno) -> OpenFile
  private let opener: Opener?

  init(_ fileSystem: FileSystem, _ attributes: FileAttributes, _ opener: Opener?) {
    self.opener = opener
    super.init(fileSystem, attributes)
  }

  public override func open(_ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) -> OpenFile {
    guard let opener else { throw .noSuchDevice }
    return try opener(flags)
  }
  public override func change(_ change: AttributeChange) throws(Errno) {
    if kind == .unnamed { throw .notSupported }
    attributes.apply(change)
  }
}
