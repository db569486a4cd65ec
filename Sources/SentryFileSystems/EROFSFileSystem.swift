import CLinux
import Formats
public import Linux
public import SentryFiles
import SentryMemory

/// The files of an image as the store keeps it, read from its mapped files by the sentry itself.
public final class EROFSFileSystem: FileSystem {
  let image: EROFSImage
  /// Nodes with a descriptor for mappings, the oldest first.
  private var mapped: [Weak] = []
  private struct Weak {
    weak var node: EROFSNode?
  }
  /// Such descriptors that are kept at most; others are opened, or their bytes copied, again.
  private static var limit: Int { 512 }
  public override var isReadOnly: Bool { true }
  public override var tellsLasting: Bool { true }

  private init(_ image: EROFSImage) {
    self.image = image
    super.init(type: "erofs", source: "image", magic: 0xe0f5_e1e2)
  }

  /// - Parameter metadata: the file with the superblock, readable; as the others it may be closed afterwards.
  /// - Parameter devices: the layers' files, in the order of its table of devices.
  /// - Parameter mount: where this machine's kernel has mounted it, for mappings of its files. Without it a mapped file's bytes are
  ///   copied, and so they are where the host's kernel gives a file to other users than the sentry's only.
  /// - Returns: its root.
  public static func tree(metadata: Int32, devices: [Int32], mount: Int32?) throws(SystemError) -> Inode {
    let system = EROFSFileSystem(try EROFSImage(metadata: metadata, devices: devices, mount: mount))
    do throws(Errno) {
      return try EROFSNode(system, try system.image.inode(system.image.rootID), nil, [])
    } catch { throw SystemError("read", "image", error) }
  }

  fileprivate func hasMapped(_ node: EROFSNode) {
    mapped.append(Weak(node: node))
    if mapped.count <= Self.limit { return }
    for entry in mapped.prefix(Self.limit / 4) { entry.node?.unmap() }
    mapped.removeFirst(Self.limit / 4)
  }

  /// A kind of the image's as files have it.
  static func kind(_ kind: EROFSKind) -> FileKind {
    switch kind {
    case .file: .regular
    case .directory: .directory
    case .characterDevice: .characterDevice
    case .blockDevice: .blockDevice
    case .fifo: .fifo
    case .socket: .socket
    case .symbolicLink: .symbolicLink
    }
  }

  public override func statistics() throws(Errno) -> FileSystemStatistics {
    var result = FileSystemStatistics(magic: magic)
    result.blocks = image.metadataSize / 4096
    return result
  }
}

/// A file of an image.
final class EROFSNode: Inode {
  let system: EROFSFileSystem
  let node: EROFSInode
  override var isImmutable: Bool { true }
  /// Where it was found, for the same path beneath the host's mount.
  private let parent: EROFSNode?
  private let name: [UInt8]
  /// What guests map in its stead, made at a mapping.
  private var mapped: FileDescriptor?
  /// Where the bytes lie that were read last: most files are in one piece.
  private var lastExtent: EROFSExtent?
  private var extended: [TarEntry.Attribute]?

  init(_ system: EROFSFileSystem, _ node: EROFSInode, _ parent: EROFSNode?, _ name: [UInt8]) throws(Errno) {
    self.system = system
    self.node = node
    self.parent = parent
    self.name = name
    var attributes = FileAttributes(
      kind: EROFSFileSystem.kind(node.kind), permissions: UInt32(node.permissions), user: node.uid, group: node.gid,
      inode: node.id, device: system.device,
      time: FileTime(seconds: node.modified, nanoseconds: node.modifiedNanoseconds))
    attributes.links = node.links
    attributes.size = Int64(clamping: node.size)
    // Whole blocks in units of 512 (erofs_read_inode of fs/erofs/inode.c).
    attributes.blocks = (node.size / 4096 + (node.size % 4096 == 0 ? 0 : 1)) * 8
    attributes.special = Device.number(node.deviceMajor, node.deviceMinor)
    super.init(system, attributes)
  }

  override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? {
    guard node.kind == .directory else { throw .notDirectory }
    guard let id = try system.image.lookup(name, in: node) else { return nil }
    return try EROFSNode(system, try system.image.inode(id), self, name)
  }

  override func entries(
    from cookie: Int64, _ caller: FileCaller, _ give: (DirectoryEntry) -> Bool
  ) throws(Errno) {
    guard node.kind == .directory else { throw .notDirectory }
    var position = EROFSDirectoryPosition(node)
    var number: Int64 = 2
    while let entry = try system.image.next(&position) {
      number &+= 1
      if number <= cookie { continue }
      // The kind stands in the inode too, which alone is believed.
      let kind = try system.image.kind(entry.id)
      let found = DirectoryEntry(
        name: entry.name, inode: entry.id, kind: EROFSFileSystem.kind(kind), next: number)
      if !give(found) { return }
    }
  }

  override func readLink(_ caller: FileCaller) throws(Errno) -> LinkTarget {
    guard node.kind == .symbolicLink else { throw .invalid }
    return .text(try system.image.target(of: node))
  }

  override func open(_ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) -> OpenFile {
    switch node.kind {
    case .directory: return OpenDirectory(flags: flags, path)
    case .file: return EROFSOpenFile(flags: flags, self)
    default: throw .noSuchDevice
    }
  }

  // MARK: Extended attributes

  private func all() throws(Errno) -> [TarEntry.Attribute] {
    if let extended { return extended }
    let found = try system.image.attributes(of: node)
    extended = found
    return found
  }
  override func extendedAttribute(_ name: [UInt8]) throws(Errno) -> [UInt8] {
    guard let found = try all().first(where: { $0.name == name }) else { throw .noData }
    return found.value
  }
  override func extendedAttributeNames() throws(Errno) -> [[UInt8]] { try all().map(\.name) }

  // MARK: Bytes

  /// Calls `body` for the pieces of a range until it gives false.
  func pieces(
    _ offset: Int64, _ count: Int, _ body: (EROFSExtent, MappedFile?, Int) throws(Errno) -> Bool
  ) throws(Errno) {
    guard offset >= 0 else { throw .invalid }
    var at = UInt64(offset)
    var left = UInt64(count)
    while left > 0, at < node.size {
      let extent = try extent(at: at)
      let length = min(extent.length, left, node.size - at)
      guard length > 0 else { throw .inputOutput }
      let file = extent.isHole ? nil : try system.image.file(extent)
      guard try body(extent, file, Int(clamping: length)) else { return }
      at += length
      left -= length
    }
  }

  /// From `offset`, which lies in the file, to the end of its piece.
  private func extent(at offset: UInt64) throws(Errno) -> EROFSExtent {
    if let last = lastExtent, offset >= last.fileOffset, offset - last.fileOffset < last.length {
      let passed = offset - last.fileOffset
      return EROFSExtent(
        fileOffset: offset, length: last.length - passed, device: last.device,
        offset: last.isHole ? 0 : last.offset + passed, isHole: last.isHole)
    }
    let found = try system.image.extent(of: node, at: offset)
    lastExtent = found
    return found
  }

  func bytes(at offset: Int64, count: Int) throws(Errno) -> [UInt8] {
    var bytes: [UInt8] = []
    try pieces(offset, count) { (extent, file, length) throws(Errno) in
      if let file {
        bytes += try file.bytes(extent.offset, length)
      } else {
        bytes.append(contentsOf: repeatElement(0, count: length))
      }
      return true
    }
    return bytes
  }

  // MARK: Mappings

  /// The host's own file of the mounted image, or a sealed copy in memory.
  func hostDescriptor() throws(Errno) -> Int32 {
    if let known = mapped?.rawValue { return known }
    let made: FileDescriptor
    if let file = mounted() { made = file } else { made = try copied() }
    let number = made.rawValue
    mapped = consume made
    system.hasMapped(self)
    return number
  }
  fileprivate func unmap() { mapped = nil }

  /// - Returns: nil where there is no mount, or another file is at the same path.
  private func mounted() -> FileDescriptor? {
    guard let mount = system.image.mount else { return nil }
    var names: [[UInt8]] = []
    var at = self
    while let above = at.parent {
      names.append(at.name)
      at = above
    }
    guard let last = names.first else { return nil }
    let file: FileDescriptor
    do throws(Errno) {
      // Name by name and through no link: what the image says is walked by the sentry alone.
      var folder: FileDescriptor?
      for name in names.dropFirst().reversed() {
        folder = try HostFiles.open(folder?.rawValue ?? mount, name, O_PATH | O_DIRECTORY | O_NOFOLLOW)
      }
      file = try HostFiles.open(folder?.rawValue ?? mount, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
      _ = consume folder
    } catch {
      // EACCES for a file of another user's: its bytes are copied.
      return nil
    }
    guard let status = try? HostFiles.status(file.rawValue), status.st_mode & 0o170000 == 0o100000,
      UInt64(status.st_ino) == node.id, UInt64(clamping: status.st_size) == node.size
    else { return nil }
    return file
  }

  private func copied() throws(Errno) -> FileDescriptor {
    let file: FileDescriptor
    do throws(SystemError) { file = try MemoryFile.create("image", executable: true) } catch { throw error.errno }
    let number = file.rawValue
    try HostFiles.truncate(number, attributes.size)
    var offset: Int64 = 0
    while offset < attributes.size {
      var length: Int64 = 0
      try pieces(offset, 1 << 20) { (extent, source, count) throws(Errno) in
        // Holes stay holes.
        if let source { _ = try HostBytes.store(number, try source.bytes(extent.offset, count), at: offset) }
        length = Int64(count)
        return false
      }
      if length == 0 { break }
      offset += length
    }
    try HostFiles.answer(
      systemCall(
        Int(SYS_fcntl), word(number), UInt(F_ADD_SEALS),
        word(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)))
    return file
  }
}

/// An open file of an image.
final class EROFSOpenFile: OpenFile {
  private let file: EROFSNode
  init(flags: Int32, _ file: EROFSNode) {
    self.file = file
    super.init(flags: flags)
  }

  override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    let start = offset ?? position
    guard start >= 0 else { throw .invalid }
    var guest = buffer
    defer { buffer = guest }
    var done = 0
    do throws(Errno) {
      try file.pieces(start, guest.remaining) { (extent, source, length) throws(Errno) in
        var moved = 0
        if let source {
          moved = try source.put(extent.offset, length, &guest)
        } else {
          while moved < length {
            let zeros = [UInt8](repeating: 0, count: min(length - moved, 65536))
            let count = try guest.put(zeros)
            moved += count
            if count < zeros.count { break }
          }
        }
        done += moved
        return moved == length
      }
    } catch {
      if done == 0 { throw error }
    }
    if offset == nil { position = start + Int64(done) }
    return done
  }

  override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 {
    position = try Positions.seek(offset, whence, position, file.attributes.size) { (offset, whence) throws(Errno) in
      try find(offset, whence)
    }
    return position
  }

  /// SEEK_DATA (3) and SEEK_HOLE (4).
  private func find(_ offset: Int64, _ whence: Int32) throws(Errno) -> Int64 {
    var at = offset
    while at < file.attributes.size {
      let extent = try file.system.image.extent(of: file.node, at: UInt64(at))
      if extent.isHole == (whence == 4) { return at }
      at = Int64(clamping: extent.fileOffset + extent.length)
    }
    if whence == 3 { throw .noSuchDevice }
    return file.attributes.size
  }

  override func synchronize() throws(Errno) {}
  override func bytes(at offset: Int64, count: Int) throws(Errno) -> [UInt8] {
    try file.bytes(at: offset, count: count)
  }
  override func hostDescriptor(writable: Bool) throws(Errno) -> Int32 {
    if writable { throw .accessDenied }
    return try file.hostDescriptor()
  }
}
