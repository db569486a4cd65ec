import CLinux
import Linux

/// What a file is, numbered as getdents64(2) does (DT_*); four bits higher it is stat(2)'s S_IFMT.
public enum FileKind: UInt8, Sendable, BitwiseCopyable {
  /// What epoll, eventfd and their like are: no type at all (anon_inode_new_inode of fs/anon_inodes.c).
  case unnamed = 0
  case fifo = 1
  case characterDevice = 2
  case directory = 4
  case blockDevice = 6
  case regular = 8
  case symbolicLink = 10
  case socket = 12

  public var modeBits: UInt32 { UInt32(rawValue) << 12 }
  /// Nil where the type bits name nothing.
  public init?(mode: UInt32) {
    if mode & 0xF000 == 0 { return nil }
    self.init(rawValue: UInt8(truncatingIfNeeded: mode >> 12 & 0xF))
  }
}

/// A time of the real clock, as inodes keep it.
public struct FileTime: Equatable, Sendable, BitwiseCopyable {
  public var seconds: Int64
  /// Below 1,000,000,000.
  public var nanoseconds: UInt32
  public init(seconds: Int64, nanoseconds: UInt32) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }
  public static let zero = FileTime(seconds: 0, nanoseconds: 0)
  public static func now() -> FileTime {
    let time = Clock.realTime()
    return FileTime(seconds: time.seconds, nanoseconds: UInt32(truncatingIfNeeded: time.nanoseconds))
  }
}

/// What stat(2) tells of a file.
public struct FileAttributes: Equatable, Sendable, BitwiseCopyable {
  public let kind: FileKind
  /// The low twelve bits of the mode: set-id bits, sticky bit, rwx three times.
  public var permissions: UInt32
  public var user: UInt32
  public var group: UInt32
  public var links: UInt32 = 1
  /// Bytes; a link's text, whatever a file system says of a directory.
  public var size: Int64 = 0
  /// Units of 512 bytes.
  public var blocks: UInt64 = 0
  public var blockSize: UInt32 = 4096
  public var inode: UInt64
  /// As stat(2) encodes device numbers; `special` is that of a device node itself.
  public var device: UInt64
  public var special: UInt64 = 0
  public var accessed: FileTime
  public var modified: FileTime
  public var changed: FileTime
  public var born: FileTime

  public init(
    kind: FileKind, permissions: UInt32, user: UInt32 = 0, group: UInt32 = 0, inode: UInt64, device: UInt64,
    time: FileTime = .now()
  ) {
    self.kind = kind
    self.permissions = permissions & 0o7777
    self.user = user
    self.group = group
    self.inode = inode
    self.device = device
    accessed = time
    modified = time
    changed = time
    born = time
  }

  public var mode: UInt32 { kind.modeBits | permissions }
}

/// What chmod(2), chown(2) and utimensat(2) set; nil leaves as it is. The change time is set by whoever applies it.
public struct AttributeChange: Sendable {
  public var permissions: UInt32?
  public var user: UInt32?
  public var group: UInt32?
  public var accessed: FileTime?
  public var modified: FileTime?
  public init(
    permissions: UInt32? = nil, user: UInt32? = nil, group: UInt32? = nil, accessed: FileTime? = nil,
    modified: FileTime? = nil
  ) {
    self.permissions = permissions
    self.user = user
    self.group = group
    self.accessed = accessed
    self.modified = modified
  }
}

extension FileAttributes {
  /// Applies a change, its time included.
  public mutating func apply(_ change: AttributeChange) {
    if let permissions = change.permissions { self.permissions = permissions & 0o7777 }
    if let user = change.user { self.user = user }
    if let group = change.group { self.group = group }
    if let accessed = change.accessed { self.accessed = accessed }
    if let modified = change.modified { self.modified = modified }
    changed = .now()
  }
}

/// What a new file is to be.
public struct NewFile: Sendable {
  public let kind: FileKind
  /// The umask is taken off already.
  public let permissions: UInt32
  public let user: UInt32
  public let group: UInt32
  /// For device nodes.
  public let special: UInt64
  public init(kind: FileKind, permissions: UInt32, user: UInt32 = 0, group: UInt32 = 0, special: UInt64 = 0) {
    self.kind = kind
    self.permissions = permissions & 0o7777
    self.user = user
    self.group = group
    self.special = special
  }
}
