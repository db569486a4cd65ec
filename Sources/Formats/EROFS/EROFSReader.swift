/// An inode as an image has it.
public struct EROFSInode: Sendable, Equatable {
  public let id: UInt64
  public let kind: EROFSKind
  /// Type and permission bits, as stat(2) gives them.
  public let mode: UInt16
  public let uid: UInt32
  public let gid: UInt32
  public let size: UInt64
  public let links: UInt32
  /// Seconds since 1970.
  public let modified: Int64
  public let modifiedNanoseconds: UInt32
  public let deviceMajor: UInt32
  public let deviceMinor: UInt32
  let layout: EROFSFormat.DataLayout
  /// First block, or chunk format.
  let word: UInt32
  /// Bytes of attributes, which begin at `attributes`.
  let attributeSize: Int
  let attributes: UInt64

  /// Whether it is what overlayfs reads as a deletion.
  public var isWhiteout: Bool { kind == .characterDevice && deviceMajor == 0 && deviceMinor == 0 }
  public var permissions: UInt16 { mode & 0o7777 }
}

/// A name in a directory.
public struct EROFSDirectoryEntry: Sendable, Equatable {
  public let name: [UInt8]
  public let id: UInt64
}

/// Bytes of a file that lie one behind the other.
public struct EROFSExtent: Sendable, Equatable {
  public var fileOffset: UInt64
  public var length: UInt64
  /// 0 is the image itself, 1 its first further device.
  public var device: Int
  /// In bytes, on that device.
  public var offset: UInt64
  /// Zeros that are nowhere; device and offset mean nothing.
  public var isHole: Bool

  public init(fileOffset: UInt64, length: UInt64, device: Int, offset: UInt64, isHole: Bool) {
    self.fileOffset = fileOffset
    self.length = length
    self.device = device
    self.offset = offset
    self.isHole = isHole
  }
}

/// Reads an EROFS image that anybody may have written: what `EROFSLayerWriter` and mkfs.erofs make, but for compressed files, which
/// are refused by name.
///
/// Nothing in the image is trusted: every offset is held against its size, nothing recurses, no number traps. It reads metadata
/// through a cache of 128 kB and holds nothing else of the image.
public struct EROFSReader<Source: EROFSSource>: ~Copyable {
  public let superblock: EROFSSuperblock
  var cache: EROFSCache<Source>
  /// Linux: MAXSYMLINKS.
  static var maximumLinks: Int { 40 }
  /// The most extents that `extents` gives of one file.
  static var maximumExtents: Int { 1 << 20 }

  /// - Throws: `FormatError` where this is no image, or its checksum is wrong, or it uses what this reader does not know.
  public init(_ source: Source) throws(FormatError) {
    var cache = EROFSCache(source)
    var bytes: [UInt8] = []
    try cache.read(
      UInt64(EROFSFormat.superblockOffset), UInt64(EROFSFormat.superblockSize), "its superblock", into: &bytes)
    var superblock = try EROFSSuperblock(bytes.span)
    if superblock.hasChecksum { try Self.checkSum(superblock, &cache) }
    for index in 0..<superblock.deviceCount {
      var slot: [UInt8] = []
      try cache.read(
        superblock.deviceTable + UInt64(index * EROFSFormat.deviceSlot), UInt64(EROFSFormat.deviceSlot),
        "the table of devices", into: &slot)
      superblock.devices.append(
        EROFSDevice(
          blocks: UInt64(slot.span.littleEndian(64, UInt32.self)),
          mappedBlock: UInt64(slot.span.littleEndian(68, UInt32.self)), tag: Array(slot[..<64])))
    }
    self.superblock = superblock
    self.cache = cache
  }

  public var source: Source { cache.source }
  public var rootID: UInt64 { superblock.rootID }

  /// Gives the cache's room back; the reader stays of use.
  public mutating func forget() { cache.removeAll() }

  /// Over the rest of the superblock's block, its own field read as 0.
  private static func checkSum(
    _ superblock: EROFSSuperblock, _ cache: inout EROFSCache<Source>
  ) throws(FormatError) {
    let start = UInt64(EROFSFormat.superblockOffset)
    let count = superblock.blockSize > start ? superblock.blockSize - start : superblock.blockSize
    var bytes: [UInt8] = []
    try cache.read(start, count, "its superblock's block", into: &bytes)
    let stated = bytes.span.littleEndian(4, UInt32.self)
    for index in 4..<8 { bytes[index] = 0 }
    guard EROFSFormat.crc32c(bytes.span) == stated else {
      throw FormatError("the EROFS image's superblock has a wrong checksum", at: .offset(Int(start)))
    }
  }

  // MARK: Inodes

  private func place(of id: UInt64) throws(FormatError) -> UInt64 {
    guard id < 1 << 56 else { throw wrong(id, "is beyond every image") }
    return superblock.metadataBlock << UInt64(superblock.blockBits) + id * UInt64(EROFSFormat.slotSize)
  }

  /// What an inode is, whatever else of it is broken.
  public mutating func kind(_ id: UInt64) throws(FormatError) -> EROFSKind {
    let mode = try cache.word(try place(of: id) + 4, "inode \(id)")
    guard let kind = EROFSKind(mode: mode) else { throw wrong(id, "is of no kind that there is") }
    return kind
  }

  public mutating func inode(_ id: UInt64) throws(FormatError) -> EROFSInode {
    let start = try place(of: id)
    var bytes: [UInt8] = []
    try cache.read(start, UInt64(EROFSFormat.compactInode), "inode \(id)", into: &bytes)
    let format = bytes.span.littleEndian(0, UInt16.self)
    guard format & ~0xF == 0, let layout = EROFSFormat.DataLayout(rawValue: format >> 1) else {
      throw wrong(id, "has the unknown format \(format)")
    }
    let isExtended = format & 1 == 1
    if isExtended {
      let half = UInt64(EROFSFormat.compactInode)
      try cache.read(start + half, half, "inode \(id)", into: &bytes)
    }
    let fields = bytes.span
    let mode = fields.littleEndian(4, UInt16.self)
    guard let kind = EROFSKind(mode: mode) else { throw wrong(id, "is of no kind that there is") }
    let size = isExtended ? fields.littleEndian(8, UInt64.self) : UInt64(fields.littleEndian(8, UInt32.self))
    guard size <= UInt64(Int64.max) else { throw wrong(id, "has an impossible size") }
    let word = fields.littleEndian(16, UInt32.self)
    let isDevice = kind == .characterDevice || kind == .blockDevice
    let count = Int(fields.littleEndian(2, UInt16.self))
    let nanoseconds = isExtended ? fields.littleEndian(40, UInt32.self) : superblock.nanoseconds
    guard nanoseconds < 1_000_000_000 else { throw wrong(id, "has an impossible time") }
    return EROFSInode(
      id: id, kind: kind, mode: mode,
      uid: isExtended ? fields.littleEndian(24, UInt32.self) : UInt32(fields.littleEndian(24, UInt16.self)),
      gid: isExtended ? fields.littleEndian(28, UInt32.self) : UInt32(fields.littleEndian(26, UInt16.self)),
      size: size,
      links: isExtended ? fields.littleEndian(44, UInt32.self) : UInt32(fields.littleEndian(6, UInt16.self)),
      modified: isExtended
        ? Int64(bitPattern: fields.littleEndian(32, UInt64.self))
        : superblock.seconds &+ Int64(fields.littleEndian(12, UInt32.self)),
      modifiedNanoseconds: nanoseconds,
      deviceMajor: isDevice ? word >> 8 & 0xFFF : 0, deviceMinor: isDevice ? word & 0xFF | word >> 12 & 0xFFF00 : 0,
      layout: layout, word: word,
      attributeSize: count == 0 ? 0 : EROFSFormat.attributeHeader + 4 * (count - 1),
      attributes: start + UInt64(isExtended ? EROFSFormat.extendedInode : EROFSFormat.compactInode))
  }

  func wrong(_ id: UInt64, _ problem: String) -> FormatError {
    FormatError("the EROFS image's inode \(id) \(problem)")
  }

  // MARK: Paths

  /// What a link says, 1 to 4095 bytes.
  public mutating func target(of link: EROFSInode) throws(FormatError) -> [UInt8] {
    guard link.kind == .symbolicLink, (1..<4096).contains(link.size) else {
      throw wrong(link.id, "is a symbolic link with an impossible target")
    }
    let text = try contents(of: link, at: 0, count: Int(link.size))
    guard !text.contains(0) else { throw wrong(link.id, "is a symbolic link with an impossible target") }
    return text
  }

  /// Follows a path from the root as openat2(2) does with RESOLVE_IN_ROOT, through at most 40 links. Nil where nothing is there.
  public mutating func resolve(_ path: [UInt8], followsLast: Bool = true) throws(FormatError) -> UInt64? {
    var stack: [EROFSInode] = [try inode(rootID)]
    var rest = path
    var position = 0
    var links = 0
    while true {
      while position < rest.count, rest[position] == UInt8(ascii: "/") { position += 1 }
      guard position < rest.count, let last = stack.last else { return stack.last?.id }
      guard last.kind == .directory else { return nil }
      let end = rest[position...].firstIndex(of: UInt8(ascii: "/")) ?? rest.count
      let name = Array(rest[position..<end])
      position = end
      if name == [UInt8(ascii: ".")] { continue }
      if name == [UInt8(ascii: "."), UInt8(ascii: ".")] {
        if stack.count > 1 { stack.removeLast() }
        continue
      }
      guard let id = try lookup(name, in: last) else { return nil }
      let next = try inode(id)
      guard next.kind == .symbolicLink, followsLast || position < rest.count else {
        guard stack.count < 1 << 16 else { throw FormatError("a path in the EROFS image is too deep") }
        stack.append(next)
        continue
      }
      links += 1
      guard links <= Self.maximumLinks else {
        throw FormatError("a path in the EROFS image leads through too many links")
      }
      let text = try target(of: next)
      rest = text + rest[position...]
      position = 0
      if text.first == UInt8(ascii: "/") { stack.removeSubrange(1...) }
    }
  }
}
