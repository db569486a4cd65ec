import CLinux
public import Linux

/// A file system: what its inodes have in common. Its root is held by whoever mounts it.
open class FileSystem {
  /// As /proc/mounts names the type.
  public final let type: String
  /// What is mounted, as /proc/mounts names it.
  public final let source: String
  /// st_dev of its files: major 0 and a minor of its own.
  public final let device: UInt64
  /// The magic number of statfs(2) (linux/magic.h).
  public final let magic: Int64
  /// Nothing in it can be written.
  open var isReadOnly: Bool { false }
  /// Whether names and inodes change only through calls of this sandbox, so that dentries stay true (also those of names that are
  /// not there). Otherwise each step of a path asks again.
  open var isStable: Bool { true }

  /// Whether every change of a directory's names and of a file's bytes also changes the inode's `attributes`, and nothing else does.
  open var tellsLasting: Bool { false }

  final let dentries = DentryCache()
  private nonisolated(unsafe) static var lastDevice: UInt64 = 0x20
  private var lastInode: UInt64 = 1

  public init(type: String, source: String? = nil, magic: Int64) {
    self.type = type
    self.source = source ?? type
    self.magic = magic
    // SAFETY: the sentry has one thread; a number used twice by racing tests harms nothing.
    unsafe Self.lastDevice &+= 1
    device = unsafe Self.lastDevice
  }

  /// A number for a new inode, from 2 on.
  public final func nextInode() -> UInt64 {
    lastInode &+= 1
    return lastInode
  }

  /// statfs(2).
  open func statistics() throws(Errno) -> FileSystemStatistics { FileSystemStatistics(magic: magic) }

  /// Options that /proc/mounts shows after "rw" or "ro", such as "size=65536k".
  open var options: String { "" }

  /// fsync(2) of all of it.
  open func synchronize() throws(Errno) {}
}

/// What statfs(2) tells, in units of `blockSize` bytes.
public struct FileSystemStatistics: Equatable, Sendable {
  public var magic: Int64
  public var blockSize: Int64 = 4096
  public var blocks: UInt64 = 0
  public var freeBlocks: UInt64 = 0
  public var availableBlocks: UInt64 = 0
  public var files: UInt64 = 0
  public var freeFiles: UInt64 = 0
  public var nameLength: Int64 = 255
  public init(magic: Int64) { self.magic = magic }
}
