public import Linux
import SentryABI
public import SentryFiles

/// Files in memory: tmpfs, and the writable layer over a read-only tree. A file that came from below is read there until it is
/// written; names, owners, modes and times live here from the first look on. Unlike overlayfs, a file is one inode before and
/// after it is copied: hard links, open files and moved directories stay what they were.
public final class MemoryFileSystem: FileSystem {
  let quota: MemoryQuota
  /// Files from below by their number there: each is one inode here, whatever its names.
  private var fromBelow: [UInt64: Known] = [:]
  /// Directories hold their files; the last to let go of one has it forgotten here.
  private struct Known {
    weak var inode: MemoryInode?
  }
  private let limitText: String
  public override var options: String { limitText }
  public override var tellsLasting: Bool { true }

  private init(type: String, source: String, magic: Int64, bytes: UInt64, inodes: UInt64) {
    quota = MemoryQuota(bytes: bytes, inodes: inodes)
    limitText = type == "tmpfs" ? "size=\(bytes / 1024)k" : ""
    super.init(type: type, source: source, magic: magic)
  }

  /// An empty tmpfs.
  /// - Parameter limit: bytes; of each page 4096.
  /// - Returns: its root.
  public static func tree(
    limit: UInt64, inodes: UInt64 = 1 << 20, permissions: UInt32 = 0o1777, user: UInt32 = 0, group: UInt32 = 0
  ) -> Inode {
    let system = MemoryFileSystem(type: "tmpfs", source: "tmpfs", magic: 0x0102_1994, bytes: limit, inodes: inodes)
    let root = MemoryDirectory(
      system, system.fresh(NewFile(kind: .directory, permissions: permissions, user: user, group: group)), below: nil)
    return root
  }

  /// What memfd_create(2) makes: a file without a name in a tree of its own.
  /// - Parameter tree: the root of a memory file system.
  /// - Parameter name: as /proc shows it.
  public static func memoryFile(
    in tree: Inode, name: [UInt8], permissions: UInt32, takesSeals: Bool, _ caller: FileCaller
  ) throws(Errno) -> OpenFile {
    guard let directory = tree as? MemoryDirectory else { throw .invalid }
    let made = try directory.createUnnamed(
      NewFile(
        kind: .regular, permissions: permissions, user: caller.credentials.fileUser,
        group: caller.credentials.fileGroup))
    guard let inode = made as? MemoryFileInode else { throw .invalid }
    inode.isSealable = true
    let place = Path(unnamed: inode, name: Array("/memfd:".utf8) + name + Array(" (deleted)".utf8))
    let file = try inode.open(OpenFlags.readWrite, place, caller)
    file.path = place
    // F_SEAL_SEAL.
    if !takesSeals { try file.addSeals(1) }
    return file
  }

  /// A writable layer over a tree that nothing writes to.
  /// - Parameter lower: a directory, the root of what is below.
  /// - Returns: its root.
  public static func overlay(lower: Inode, limit: UInt64, inodes: UInt64 = 1 << 20) -> Inode {
    let system = MemoryFileSystem(
      type: "overlay", source: "overlay", magic: 0x794c_7630, bytes: limit, inodes: inodes)
    return system.wrap(lower)
  }

  /// The inode here of one below.
  func wrap(_ below: Inode) -> MemoryInode {
    if let known = fromBelow[below.number]?.inode { return known }
    var attributes = FileAttributes(
      kind: below.kind, permissions: below.attributes.permissions, inode: below.number, device: device)
    let old = below.attributes
    (attributes.user, attributes.group, attributes.links) = (old.user, old.group, old.links)
    (attributes.size, attributes.blocks, attributes.special) = (old.size, old.blocks, old.special)
    (attributes.accessed, attributes.modified) = (old.accessed, old.modified)
    (attributes.changed, attributes.born) = (old.changed, old.born)
    let made: MemoryInode
    switch below.kind {
    case .directory: made = MemoryDirectory(self, attributes, below: below)
    case .regular: made = MemoryFileInode(self, attributes, below: below)
    case .symbolicLink: made = MemoryLink(self, attributes, text: nil, below: below)
    default: made = MemoryInode(self, attributes, below: below)
    }
    fromBelow[below.number] = Known(inode: made)
    return made
  }

  func forget(_ number: UInt64) {
    if fromBelow[number]?.inode == nil { fromBelow[number] = nil }
  }

  /// Attributes of a new file, whose number no file from below has.
  func fresh(_ file: NewFile) -> FileAttributes {
    var attributes = FileAttributes(
      kind: file.kind, permissions: file.permissions, user: file.user, group: file.group,
      inode: 1 << 32 &+ nextInode(), device: device)
    attributes.special = file.special
    if file.kind == .directory { attributes.links = 2 }
    return attributes
  }

  func make(_ file: NewFile) throws(Errno) -> MemoryInode {
    try quota.addInode()
    let attributes = fresh(file)
    switch file.kind {
    case .directory: return MemoryDirectory(self, attributes, below: nil, isCounted: true)
    case .regular: return MemoryFileInode(self, attributes, below: nil, isCounted: true)
    default: return MemoryInode(self, attributes, below: nil, isCounted: true)
    }
  }

  public override func statistics() throws(Errno) -> FileSystemStatistics {
    var result = FileSystemStatistics(magic: magic)
    result.blocks = UInt64(quota.pages)
    result.freeBlocks = UInt64(max(0, quota.pages - quota.usedPages))
    result.availableBlocks = result.freeBlocks
    result.files = UInt64(quota.inodes)
    result.freeFiles = UInt64(max(0, quota.inodes - quota.usedInodes))
    return result
  }
}

/// A file in memory; by itself a device, FIFO or socket.
class MemoryInode: Inode {
  let system: MemoryFileSystem
  /// What it was below; a regular file's is given up once it is written.
  final var below: Inode?
  private let isCounted: Bool
  private var extended: [[UInt8]: [UInt8]]?

  init(_ system: MemoryFileSystem, _ attributes: FileAttributes, below: Inode?, isCounted: Bool = false) {
    self.system = system
    self.below = below
    self.isCounted = isCounted
    super.init(system, attributes)
  }
  deinit { if isCounted { system.quota.removeInode() } else { system.forget(number) } }

  override func change(_ change: AttributeChange) throws(Errno) {
    attributes.apply(change)
    if change.user != nil || change.group != nil { loseCapabilities() }
  }

  /// Whoever changes its bytes or its owner takes them away (cap_inode_killpriv, security/commoncap.c).
  final func loseCapabilities() {
    if extended == nil, below == nil { return }
    // Where what is below cannot be read, nobody gets them from there either.
    do throws(Errno) { _ = try loadExtended() } catch { return }
    if extended?.isEmpty == false { extended?[FileCapabilities.attribute] = nil }
  }

  final func touch() {
    attributes.modified = .now()
    attributes.changed = attributes.modified
  }

  // MARK: Extended attributes

  /// Bytes of attributes that one file may have: tmpfs counts them with the file's memory.
  private static var mostExtended: Int { 65536 }

  private func loadExtended() throws(Errno) -> [[UInt8]: [UInt8]] {
    if let extended { return extended }
    var found: [[UInt8]: [UInt8]] = [:]
    if let below {
      for name in try below.extendedAttributeNames() { found[name] = try below.extendedAttribute(name) }
    }
    extended = found
    return found
  }

  override func extendedAttribute(_ name: [UInt8]) throws(Errno) -> [UInt8] {
    guard let value = try loadExtended()[name] else { throw .noData }
    return value
  }
  override func extendedAttributeNames() throws(Errno) -> [[UInt8]] {
    try loadExtended().keys.sorted { $0.lexicographicallyPrecedes($1) }
  }
  override func setExtendedAttribute(
    _ name: [UInt8], _ value: [UInt8], creates: Bool, replaces: Bool
  ) throws(Errno) {
    var all = try loadExtended()
    if creates, all[name] != nil { throw .exists }
    if replaces, all[name] == nil { throw .noData }
    all[name] = value
    guard all.reduce(0, { $0 + $1.key.count + $1.value.count }) <= Self.mostExtended else { throw .noSpace }
    extended = all
    attributes.changed = .now()
  }
  override func removeExtendedAttribute(_ name: [UInt8]) throws(Errno) {
    var all = try loadExtended()
    guard all.removeValue(forKey: name) != nil else { throw .noData }
    extended = all
    attributes.changed = .now()
  }
}

/// A symbolic link.
final class MemoryLink: MemoryInode {
  private var text: [UInt8]?

  init(_ system: MemoryFileSystem, _ attributes: FileAttributes, text: [UInt8]?, below: Inode?, isCounted: Bool = false)
  {
    self.text = text
    super.init(system, attributes, below: below, isCounted: isCounted)
    if let text { self.attributes.size = Int64(text.count) }
  }

  override func readLink(_ caller: FileCaller) throws(Errno) -> LinkTarget {
    if let text { return .text(text) }
    guard let below, case .text(let found) = try below.readLink(caller) else { throw .inputOutput }
    text = found
    return .text(found)
  }
}
