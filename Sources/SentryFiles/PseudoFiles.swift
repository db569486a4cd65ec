public import Linux
import SentryMemory

/// A file system made by code (proc, sys, devpts): nothing in it is stored, names come and go with what they show.
open class PseudoFileSystem: FileSystem {
  open override var isStable: Bool { false }
}

/// Attributes of files that code makes.
extension FileAttributes {
  /// - Parameter number: of the inode; nil takes the file system's next one.
  public static func pseudo(
    _ fileSystem: FileSystem, _ kind: FileKind, _ permissions: UInt32, user: UInt32 = 0, group: UInt32 = 0,
    number: UInt64? = nil
  ) -> FileAttributes {
    FileAttributes(
      kind: kind, permissions: permissions, user: user, group: group, inode: number ?? fileSystem.nextInode(),
      device: fileSystem.device)
  }
}

/// A directory that code lists: subclasses say what is in it now. Inodes that it gives for one name should have one number.
open class PseudoDirectory: Inode {
  public init(
    _ fileSystem: FileSystem, permissions: UInt32 = 0o555, user: UInt32 = 0, group: UInt32 = 0, number: UInt64? = nil
  ) {
    super.init(
      fileSystem, .pseudo(fileSystem, .directory, permissions, user: user, group: group, number: number))
    attributes.links = 2
  }

  /// All entries, in an order that stays; `next` must grow.
  open func list(_ caller: FileCaller) throws(Errno) -> [DirectoryEntry] { [] }

  open override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? { nil }

  public final override func entries(
    from cookie: Int64, _ caller: FileCaller, _ give: (DirectoryEntry) -> Bool
  ) throws(Errno) {
    var before: Int64 = 2
    for entry in try list(caller) {
      if before >= cookie, !give(entry) { return }
      before = entry.next
    }
  }

  public final override func open(_ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) -> OpenFile {
    OpenDirectory(flags: flags, path)
  }
}

/// A directory of fixed names.
public final class FixedDirectory: PseudoDirectory {
  private var files: [(name: [UInt8], inode: Inode)] = []

  public func add(_ name: String, _ inode: Inode) { files.append((Array(name.utf8), inode)) }

  public override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? {
    files.first { $0.name == name }?.inode
  }
  public override func list(_ caller: FileCaller) throws(Errno) -> [DirectoryEntry] {
    files.enumerated().map {
      DirectoryEntry(name: $1.name, inode: $1.inode.number, kind: $1.inode.kind, next: Int64($0) + 3)
    }
  }
}

/// A file whose contents are made when it is read: at the first read, and anew whenever it is read from the beginning.
open class PseudoFile: Inode {
  public init(
    _ fileSystem: FileSystem, permissions: UInt32 = 0o444, user: UInt32 = 0, group: UInt32 = 0, number: UInt64? = nil
  ) {
    super.init(fileSystem, .pseudo(fileSystem, .regular, permissions, user: user, group: group, number: number))
  }

  /// The whole text, for who opened it.
  open func contents(_ caller: FileCaller) throws(Errno) -> [UInt8] { throw .invalid }
  /// One write(2).
  /// - Parameter bytes: at most 64 KiB.
  open func store(_ bytes: [UInt8], at offset: Int64, _ caller: FileCaller) throws(Errno) { throw .inputOutput }

  open override func open(_ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) -> OpenFile {
    PseudoOpenFile(flags: flags, self, caller)
  }
  /// O_TRUNC says nothing to files that code makes.
  open override func truncate(to size: Int64) throws(Errno) {}
}

/// A `PseudoFile` by closures.
public final class GeneratedFile: PseudoFile {
  private let make: (FileCaller) throws(Errno) -> [UInt8]
  private let take: ((_ bytes: [UInt8], _ caller: FileCaller) throws(Errno) -> Void)?

  public init(
    _ fileSystem: FileSystem, permissions: UInt32 = 0o444,
    take: ((_ bytes: [UInt8], _ caller: FileCaller) throws(Errno) -> Void)? = nil,
    _ make: @escaping (FileCaller) throws(Errno) -> [UInt8]
  ) {
    self.make = make
    self.take = take
    super.init(fileSystem, permissions: permissions)
  }
  public override func contents(_ caller: FileCaller) throws(Errno) -> [UInt8] { try make(caller) }
  public override func store(_ bytes: [UInt8], at offset: Int64, _ caller: FileCaller) throws(Errno) {
    guard let take else { throw .inputOutput }
    try take(bytes, caller)
  }
}

/// A link whose target code tells.
public final class GeneratedLink: Inode {
  private let target: (FileCaller) throws(Errno) -> LinkTarget
  public init(
    _ fileSystem: FileSystem, permissions: UInt32 = 0o777, user: UInt32 = 0, group: UInt32 = 0, number: UInt64? = nil,
    _ target: @escaping (FileCaller) throws(Errno) -> LinkTarget
  ) {
    self.target = target
    super.init(fileSystem, .pseudo(fileSystem, .symbolicLink, permissions, user: user, group: group, number: number))
  }
  public override func readLink(_ caller: FileCaller) throws(Errno) -> LinkTarget { try target(caller) }
}

/// A node that `SpecialFiles` opens by its number: a device in a file system of code.
public final class DeviceNode: Inode {
  public init(
    _ fileSystem: FileSystem, permissions: UInt32, user: UInt32 = 0, group: UInt32 = 0, major: UInt32, minor: UInt32,
    number: UInt64? = nil
  ) {
    super.init(fileSystem, .pseudo(fileSystem, .characterDevice, permissions, user: user, group: group, number: number))
    attributes.special = Device.number(major, minor)
  }
  public override func change(_ change: AttributeChange) throws(Errno) { attributes.apply(change) }
}

final class PseudoOpenFile: OpenFile {
  private let file: PseudoFile
  private let caller: FileCaller
  private var text: [UInt8]?

  init(flags: Int32, _ file: PseudoFile, _ caller: FileCaller) {
    self.file = file
    self.caller = caller
    super.init(flags: flags)
  }

  override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    let start = offset ?? position
    guard start >= 0 else { throw .invalid }
    if start == 0 || text == nil { text = try file.contents(caller) }
    guard let text, start < Int64(text.count) else { return 0 }
    // SAFETY: the bytes are read while `text` lives.
    let count = try unsafe text.span.extracting(Int(start)...).withUnsafeBytes { (bytes) throws(Errno) -> Int in
      try unsafe buffer.put(bytes)
    }
    if offset == nil { position += Int64(count) }
    return count
  }

  override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    let bytes = try buffer.take(65536)
    try file.store(bytes, at: offset ?? position, caller)
    text = nil
    if offset == nil { position &+= Int64(bytes.count) }
    return bytes.count
  }

  override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 {
    let base: Int64
    switch whence {
    case 0: base = 0
    case 1: base = position
    default: throw .invalid
    }
    let (target, overflow) = base.addingReportingOverflow(offset)
    guard !overflow, target >= 0 else { throw .invalid }
    position = target
    return target
  }
}
