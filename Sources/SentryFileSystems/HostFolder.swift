import CLinux
public import Linux
public import SentryFiles

/// A folder of the host that a guest sees. Every name is opened beneath its directory's own descriptor with O_NOFOLLOW and O_PATH, so
/// whatever others do to the folder meanwhile, nothing outside of it is reached; links are read, never followed, by the host. Devices,
/// sockets and FIFOs in it are shown, not opened on the host.
public final class HostFolder: FileSystem {
  private let readOnly: Bool
  /// Nobody on the host changes it, as it is an image's.
  fileprivate let isImmutable: Bool
  /// Who owns all files for the guest; nil shows the host's numbers.
  let owner: (user: UInt32, group: UInt32)?
  /// Whether what guests make gets their ids as its owner, which wants CAP_CHOWN in the files' user namespace.
  fileprivate let givesOwners: Bool
  fileprivate var rootDevice: UInt64 = 0
  /// Inodes with a descriptor, the oldest first.
  private var open: [Weak] = []
  private struct Weak {
    weak var inode: HostInode?
  }
  /// Descriptors that are kept at most; the others are opened again when they are needed.
  private static var limit: Int { 512 }

  public override var isReadOnly: Bool { readOnly }
  public override var isStable: Bool { false }

  private init(readOnly: Bool, isImmutable: Bool, owner: (UInt32, UInt32)?, givesOwners: Bool, magic: Int64) {
    self.readOnly = readOnly
    self.isImmutable = isImmutable
    self.givesOwners = givesOwners
    self.owner = owner
    super.init(type: "hostfs", source: "host", magic: magic)
  }

  /// - Parameter descriptor: of a directory or a regular file, O_PATH or readable; a copy is kept.
  /// - Parameter isImmutable: nobody changes it while it is here.
  /// - Parameter owner: shown as owner of everything.
  /// - Parameter givesOwners: whether what guests make is to be theirs on the host too, which wants CAP_CHOWN over it.
  /// - Parameter magic: of its file system; nil asks for it, which the sentry may not once it is confined.
  /// - Returns: its root.
  public static func tree(
    _ descriptor: Int32, isReadOnly: Bool, isImmutable: Bool = false, owner: (user: UInt32, group: UInt32)? = nil,
    givesOwners: Bool = false, magic: Int64? = nil
  ) throws(Errno) -> Inode {
    let copy: FileDescriptor
    do throws(SystemError) { copy = try FileDescriptor.duplicate(descriptor) } catch { throw error.errno }
    let status = try HostFiles.status(copy.rawValue)
    let fileSystem: Int64
    if let magic { fileSystem = magic } else { fileSystem = try statistics(copy.rawValue).magic }
    let system = HostFolder(
      readOnly: isReadOnly, isImmutable: isImmutable, owner: owner.map { ($0.user, $0.group) },
      givesOwners: givesOwners,
      magic: fileSystem)
    system.rootDevice = UInt64(status.st_dev)
    return try HostInode(system, nil, [], OwnedDescriptor(copy), status)
  }

  /// An inode's number that no other of the folder has, also where parts of it are other file systems.
  func number(_ status: stat) -> UInt64 {
    let device = UInt64(status.st_dev)
    return UInt64(status.st_ino) ^ (device == rootDevice ? 0 : device << 40)
  }

  func opened(_ inode: HostInode) {
    open.append(Weak(inode: inode))
    if open.count <= Self.limit { return }
    for entry in open.prefix(Self.limit / 4) { entry.inode?.close() }
    open.removeFirst(Self.limit / 4)
  }

  fileprivate static func statistics(_ descriptor: Int32) throws(Errno) -> FileSystemStatistics {
    var found = statfs()
    // SAFETY: fstatfs fills one struct statfs.
    try HostFiles.answer(
      unsafe withUnsafeMutablePointer(to: &found) {
        systemCall(Int(SYS_fstatfs), word(descriptor), UInt(bitPattern: $0))
      })
    var result = FileSystemStatistics(magic: Int64(found.f_type))
    result.blockSize = Int64(found.f_bsize)
    result.blocks = UInt64(found.f_blocks)
    result.freeBlocks = UInt64(found.f_bfree)
    result.availableBlocks = UInt64(found.f_bavail)
    result.files = UInt64(found.f_files)
    result.freeFiles = UInt64(found.f_ffree)
    return result
  }
}

/// A file of a host folder.
class HostInode: Inode {
  final let folder: HostFolder
  /// Where it was found last; nil for the root.
  private final var parent: HostInode?
  private final var name: [UInt8]
  private final var known: OwnedDescriptor?
  private final let hostDevice: UInt64
  private final let hostNumber: UInt64

  init(_ folder: HostFolder, _ parent: HostInode?, _ name: [UInt8], _ descriptor: OwnedDescriptor, _ status: stat)
    throws(Errno)
  {
    guard let kind = FileKind(mode: status.st_mode) else { throw .inputOutput }
    self.folder = folder
    self.parent = parent
    self.name = name
    known = descriptor
    hostDevice = UInt64(status.st_dev)
    hostNumber = UInt64(status.st_ino)
    super.init(
      folder,
      FileAttributes(
        kind: kind, permissions: 0, inode: folder.number(status), device: folder.device, time: .zero))
    show(status)
    // The root's stays.
    if parent != nil { folder.opened(self) }
  }

  /// A tree may be deeper than a stack.
  deinit {
    var above = parent
    parent = nil
    while above != nil, isKnownUniquelyReferenced(&above) {
      var next: HostInode?
      if let here = above { swap(&next, &here.parent) }
      above = next
    }
  }

  override var isImmutable: Bool { folder.isImmutable }

  final func close() { if parent != nil { known = nil } }

  private final func show(_ status: stat) {
    attributes.permissions = status.st_mode & 0o7777
    attributes.user = folder.owner?.user ?? status.st_uid
    attributes.group = folder.owner?.group ?? status.st_gid
    attributes.links = UInt32(truncatingIfNeeded: status.st_nlink)
    attributes.size = Int64(status.st_size)
    attributes.blocks = UInt64(truncatingIfNeeded: status.st_blocks)
    attributes.special = UInt64(status.st_rdev)
    attributes.accessed = Self.time(status.st_atim)
    attributes.modified = Self.time(status.st_mtim)
    attributes.changed = Self.time(status.st_ctim)
    attributes.born = attributes.changed
  }
  private static func time(_ time: timespec) -> FileTime {
    FileTime(seconds: Int64(time.tv_sec), nanoseconds: UInt32(truncatingIfNeeded: time.tv_nsec))
  }

  /// Its O_PATH descriptor, opened name by name from the next directory that has one.
  /// - Throws: ESTALE where another file has its name now.
  final func descriptor() throws(Errno) -> OwnedDescriptor {
    if let known { return known }
    var chain: [HostInode] = []
    var at = self
    while at.known == nil, let parent = at.parent {
      chain.append(at)
      at = parent
    }
    guard var here = at.known else { throw .stale }
    while let next = chain.popLast() {
      here = OwnedDescriptor(try Self.open(here.rawValue, next.name))
      let status = try HostFiles.status(here.rawValue)
      guard UInt64(status.st_dev) == next.hostDevice, UInt64(status.st_ino) == next.hostNumber else { throw .stale }
      next.known = here
      folder.opened(next)
    }
    return here
  }

  private static func open(_ directory: Int32, _ name: [UInt8]) throws(Errno) -> FileDescriptor {
    try HostFiles.open(directory, name, O_PATH | O_NOFOLLOW)
  }

  override func refresh() throws(Errno) { show(try HostFiles.status(try descriptor().rawValue)) }

  // MARK: Directories

  override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? {
    let directory = try descriptor()
    do throws(Errno) {
      return try found(name, directory)
    } catch {
      if error == .noEntry { return nil }
      throw error
    }
  }

  private func found(_ name: [UInt8], _ directory: OwnedDescriptor) throws(Errno) -> Inode {
    let opened = OwnedDescriptor(try Self.open(directory.rawValue, name))
    return try HostInode(folder, self, name, opened, try HostFiles.status(opened.rawValue))
  }

  override func entries(
    from cookie: Int64, _ caller: FileCaller, _ give: (DirectoryEntry) -> Bool
  ) throws(Errno) {
    for entry in try snapshot() where entry.next > cookie {
      if !give(entry) { return }
    }
  }

  /// All names now, numbered in the host's order.
  final func snapshot() throws(Errno) -> [DirectoryEntry] {
    let path = try descriptor()
    let listing = try HostFiles.reopen(path.rawValue, O_RDONLY | O_DIRECTORY)
    var entries: [DirectoryEntry] = []
    var bytes = [UInt8](repeating: 0, count: 32768)
    while true {
      // SAFETY: getdents64 fills at most the array.
      let count = try HostFiles.answer(
        unsafe bytes.withUnsafeMutableBytes { bytes in
          systemCall(
            Int(SYS_getdents64), word(listing.rawValue), UInt(bitPattern: bytes.baseAddress), UInt(bytes.count))
        })
      if count == 0 { return entries }
      var at = 0
      while at + 19 < count {
        let length = Int(bytes[at + 16]) | Int(bytes[at + 17]) << 8
        guard length > 19, at + length <= count else { throw .inputOutput }
        let name = Array(bytes[(at + 19)..<(at + length)].prefix { $0 != 0 })
        var number: UInt64 = 0
        for index in 0..<8 { number |= UInt64(bytes[at + index]) << UInt64(8 * index) }
        if name != [0x2e], name != [0x2e, 0x2e] {
          entries.append(
            DirectoryEntry(
              name: name, inode: number, kind: FileKind(rawValue: bytes[at + 18]) ?? .regular,
              next: Int64(entries.count) + 3))
        }
        at += length
      }
    }
  }

  override func create(_ name: [UInt8], _ file: NewFile) throws(Errno) -> Inode {
    let directory = try descriptor()
    try HostFiles.withName(name) { (name) throws(Errno) in
      let at = word(directory.rawValue)
      switch file.kind {
      case .regular:
        let made = try HostFiles.answer(
          systemCall(
            Int(SYS_openat), at, name, UInt(O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC),
            UInt(file.permissions)))
        _ = FileDescriptor(owning: Int32(truncatingIfNeeded: made))
      case .directory: try HostFiles.answer(systemCall(Int(SYS_mkdirat), at, name, UInt(file.permissions)))
      case .fifo, .socket:
        try HostFiles.answer(
          systemCall(Int(SYS_mknodat), at, name, UInt(file.kind.modeBits | file.permissions), 0))
      // A device of the host's is not a guest's to make.
      default: throw .notPermitted
      }
    }
    return try give(try found(name, directory), to: file)
  }

  /// What was just made has the sentry's own ids.
  private func give(_ inode: Inode, to file: NewFile) throws(Errno) -> Inode {
    guard folder.givesOwners else { return inode }
    let (user, group) = (inode.attributes.user, inode.attributes.group)
    if user == file.user, group == file.group { return inode }
    try inode.change(AttributeChange(user: file.user, group: file.group))
    // A new owner takes these bits away (chown(2)).
    let special = file.permissions & 0o6000
    if special != 0, file.kind == .regular { try inode.change(AttributeChange(permissions: file.permissions)) }
    return inode
  }

  override func createLink(_ name: [UInt8], to text: [UInt8], _ file: NewFile) throws(Errno) -> Inode {
    let directory = try descriptor()
    try HostFiles.withName(text) { (text) throws(Errno) in
      try HostFiles.withName(name) { (name) throws(Errno) in
        try HostFiles.answer(systemCall(Int(SYS_symlinkat), text, word(directory.rawValue), name))
      }
    }
    return try give(try found(name, directory), to: file)
  }

  override func link(_ name: [UInt8], to file: Inode) throws(Errno) {
    guard let inode = file as? HostInode, inode.folder === folder, let source = inode.parent else { throw .crossDevice }
    let (from, to) = (try source.descriptor(), try descriptor())
    try HostFiles.withName(inode.name) { (old) throws(Errno) in
      try HostFiles.withName(name) { (new) throws(Errno) in
        try HostFiles.answer(systemCall(Int(SYS_linkat), word(from.rawValue), old, word(to.rawValue), new, 0))
      }
    }
  }

  override func remove(_ name: [UInt8], _ file: Inode) throws(Errno) {
    let directory = try descriptor()
    // What is open by path only keeps the file's space, so nothing of ours stays open.
    (file as? HostInode)?.close()
    try HostFiles.withName(name) { (name) throws(Errno) in
      try HostFiles.answer(
        systemCall(
          Int(SYS_unlinkat), word(directory.rawValue), name, file.kind == .directory ? UInt(AT_REMOVEDIR) : 0))
    }
    if file.attributes.links > 0 { file.attributes.links -= 1 }
  }

  override func rename(
    _ name: [UInt8], _ file: Inode, to directory: Inode, _ newName: [UInt8], replacing victim: Inode?, exchanges: Bool
  ) throws(Errno) {
    guard let inode = file as? HostInode, let target = directory as? HostInode, target.folder === folder else {
      throw .crossDevice
    }
    let (from, to) = (try descriptor(), try target.descriptor())
    try HostFiles.withName(name) { (old) throws(Errno) in
      try HostFiles.withName(newName) { (new) throws(Errno) in
        try HostFiles.answer(
          systemCall(
            Int(SYS_renameat2), word(from.rawValue), old, word(to.rawValue), new,
            exchanges ? 2 : victim == nil ? 1 : 0))
      }
    }
    (inode.parent, inode.name) = (target, newName)
    if exchanges, let other = victim as? HostInode { (other.parent, other.name) = (self, name) }
  }

  // MARK: Files

  override func readLink(_ caller: FileCaller) throws(Errno) -> LinkTarget {
    let link = try descriptor()
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = try HostFiles.withName([]) { (empty) throws(Errno) in
      // SAFETY: readlinkat fills at most the array.
      try HostFiles.answer(
        unsafe bytes.withUnsafeMutableBytes { bytes in
          systemCall(
            Int(SYS_readlinkat), word(link.rawValue), empty, UInt(bitPattern: bytes.baseAddress), UInt(bytes.count))
        })
    }
    return .text(Array(bytes.prefix(count)))
  }

  override func open(_ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) -> OpenFile {
    switch kind {
    case .directory: return HostOpenDirectory(flags: flags, path)
    case .regular:
      if folder.isReadOnly, flags & OpenFlags.accessMode != 0 { throw .readOnlyFileSystem }
      let access = flags & (OpenFlags.accessMode | OpenFlags.sync | OpenFlags.noAccessTime)
      return HostOpenFile(flags: flags, self, OwnedDescriptor(try HostFiles.reopen(try descriptor().rawValue, access)))
    default: throw .noSuchDevice
    }
  }

  override func truncate(to size: Int64) throws(Errno) {
    let file = try HostFiles.reopen(try descriptor().rawValue, O_WRONLY)
    try HostFiles.truncate(file.rawValue, size)
  }

  override func change(_ change: AttributeChange) throws(Errno) {
    let file = try descriptor()
    if change.user != nil || change.group != nil, folder.owner == nil {
      try HostFiles.withName([]) { (empty) throws(Errno) in
        try HostFiles.answer(
          systemCall(
            Int(SYS_fchownat), word(file.rawValue), empty, UInt(change.user ?? .max), UInt(change.group ?? .max),
            UInt(AT_EMPTY_PATH)))
      }
    }
    if let permissions = change.permissions { try HostFiles.changeMode(file.rawValue, permissions) }
    if change.accessed != nil || change.modified != nil {
      try HostFiles.changeTimes(file.rawValue, change.accessed, change.modified)
    }
    try refresh()
  }

  // MARK: Extended attributes: those of users, which alone a folder's owner may have

  /// A descriptor that is no O_PATH one, as fgetxattr(2) and its kin want it, open until `body` is done.
  private func withReadable<Result>(_ body: (Int32) throws(Errno) -> Result) throws(Errno) -> Result {
    guard kind == .regular || kind == .directory else { throw .notPermitted }
    let file = try HostFiles.reopen(try descriptor().rawValue, O_RDONLY)
    return try body(file.rawValue)
  }
  private static func isForUsers(_ name: [UInt8]) -> Bool { name.starts(with: Array("user.".utf8)) }

  override func extendedAttribute(_ name: [UInt8]) throws(Errno) -> [UInt8] {
    guard Self.isForUsers(name), kind == .regular || kind == .directory else { throw .noData }
    return try withReadable { (file) throws(Errno) in try HostFiles.extendedAttribute(file, name) }
  }
  override func extendedAttributeNames() throws(Errno) -> [[UInt8]] {
    guard kind == .regular || kind == .directory else { return [] }
    return try withReadable { (file) throws(Errno) in try HostFiles.extendedAttributeNames(file) }.filter(
      Self.isForUsers)
  }
  override func setExtendedAttribute(
    _ name: [UInt8], _ value: [UInt8], creates: Bool, replaces: Bool
  ) throws(Errno) {
    guard Self.isForUsers(name) else { throw .notSupported }
    let flags: UInt = (creates ? 1 : 0) | (replaces ? 2 : 0)
    try withReadable { (file) throws(Errno) in try HostFiles.setExtendedAttribute(file, name, value, flags) }
  }
  override func removeExtendedAttribute(_ name: [UInt8]) throws(Errno) {
    guard Self.isForUsers(name) else { throw .notSupported }
    try withReadable { (file) throws(Errno) in try HostFiles.removeExtendedAttribute(file, name) }
  }
}
