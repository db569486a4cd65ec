/// Where contents are, and reading them.
extension EROFSReader {
  /// Where the bytes from an offset on are, as far as they lie one behind the other (a bounded look ahead). The offset is in the file.
  /// - Throws: `FormatError` where the file is compressed or not within its device.
  public mutating func extent(of file: EROFSInode, at offset: UInt64) throws(FormatError) -> EROFSExtent {
    guard offset < file.size else { throw wrong(file.id, "has no byte \(offset)") }
    switch file.kind {
    case .file, .directory, .symbolicLink: break
    default: throw wrong(file.id, "has no contents")
    }
    switch file.layout {
    case .plain: return try flat(file, offset, file.size)
    case .inline:
      let tail = file.size - (file.size - 1) % superblock.blockSize - 1
      if offset < tail { return try flat(file, offset, tail) }
      let start = file.attributes + UInt64(file.attributeSize)
      guard start % superblock.blockSize + (file.size - tail) <= superblock.blockSize else {
        throw wrong(file.id, "has inline contents that cross a block")
      }
      return try located(file, offset, file.size - offset, start + (offset - tail), device: 0)
    case .chunks: return try chunks(file, offset)
    case .compressedFull, .compressedCompact: throw wrong(file.id, "is compressed; not supported")
    }
  }

  /// All extents of a file, in order; holes too.
  /// - Throws: `FormatError` also where there are more than a million.
  public mutating func extents(of file: EROFSInode) throws(FormatError) -> [EROFSExtent] {
    var result: [EROFSExtent] = []
    var offset: UInt64 = 0
    while offset < file.size {
      let next = try extent(of: file, at: offset)
      offset += next.length
      if let last = result.last, last.isHole == next.isHole,
        last.isHole || last.device == next.device && last.offset + last.length == next.offset
      {
        result[result.count - 1].length += next.length
        continue
      }
      guard result.count < Self.maximumExtents else { throw wrong(file.id, "is in more than a million pieces") }
      result.append(next)
    }
    return result
  }

  /// Bytes of a file whose contents are in the image itself; fewer at its end.
  public mutating func contents(of file: EROFSInode, at offset: UInt64, count: Int) throws(FormatError) -> [UInt8] {
    guard count > 0, offset < file.size else { return [] }
    let end = offset + min(UInt64(count), file.size - offset)
    var bytes: [UInt8] = []
    var position = offset
    while position < end {
      let piece = try extent(of: file, at: position)
      let length = min(piece.length, end - position)
      if piece.isHole {
        bytes.append(contentsOf: repeatElement(0, count: Int(length)))
      } else {
        guard piece.device == 0 else { throw wrong(file.id, "has its contents on another device") }
        try cache.read(piece.offset, length, "contents of inode \(file.id)", into: &bytes)
      }
      position += length
    }
    return bytes
  }

  private func flat(_ file: EROFSInode, _ offset: UInt64, _ end: UInt64) throws(FormatError) -> EROFSExtent {
    let start = UInt64(file.word) << UInt64(superblock.blockBits)
    let (device, place) = superblock.locate(start)
    let (position, overflow) = place.addingReportingOverflow(offset)
    guard !overflow else { throw outside(file) }
    return try located(file, offset, end - offset, position, device: device)
  }

  /// An extent, held against its device's size.
  private func located(
    _ file: EROFSInode, _ offset: UInt64, _ length: UInt64, _ place: UInt64, device: Int
  ) throws(FormatError) -> EROFSExtent {
    let size = device == 0 ? source.size : superblock.devices[device - 1].blocks << UInt64(superblock.blockBits)
    guard place <= size, length <= size - place else { throw outside(file) }
    return EROFSExtent(fileOffset: offset, length: length, device: device, offset: place, isHole: false)
  }

  private func outside(_ file: EROFSInode) -> FormatError { wrong(file.id, "has contents outside its device") }

  // MARK: Chunks

  private struct ChunkMap {
    let table: UInt64
    let bits: UInt64
    let isIndexed: Bool
  }

  private func map(_ file: EROFSInode) throws(FormatError) -> ChunkMap {
    let format = UInt16(truncatingIfNeeded: file.word)
    guard format & EROFSFormat.Chunk.wideAddresses == 0 else {
      throw wrong(file.id, "has 48-bit chunk addresses; not supported")
    }
    guard format & ~(EROFSFormat.Chunk.blockBitsMask | EROFSFormat.Chunk.indexes) == 0, file.kind == .file else {
      throw wrong(file.id, "has the unknown chunk format \(format)")
    }
    let isIndexed = format & EROFSFormat.Chunk.indexes != 0
    let unit: UInt64 = isIndexed ? 8 : 4
    let end = file.attributes + UInt64(file.attributeSize)
    return ChunkMap(
      table: (end + unit - 1) / unit * unit,
      bits: UInt64(superblock.blockBits) + UInt64(format & EROFSFormat.Chunk.blockBitsMask), isIndexed: isIndexed)
  }

  /// Entries of a map from one chunk on, as bytes.
  private mutating func entries(
    _ number: UInt64, _ count: UInt64, _ map: ChunkMap, _ file: EROFSInode
  ) throws(FormatError) -> [UInt8] {
    let unit: UInt64 = map.isIndexed ? 8 : 4
    let (distance, overflow) = number.multipliedReportingOverflow(by: unit)
    let (place, carry) = map.table.addingReportingOverflow(distance)
    guard !overflow, !carry else { throw outside(file) }
    var bytes: [UInt8] = []
    try cache.read(place, count * unit, "the map of inode \(file.id)", into: &bytes)
    return bytes
  }

  /// Where a chunk is; nil for a hole.
  private func chunk(
    _ index: Int, of bytes: Span<UInt8>, _ map: ChunkMap, _ file: EROFSInode
  ) throws(FormatError) -> (device: Int, offset: UInt64)? {
    let entry = index * (map.isIndexed ? 8 : 4)
    let block = bytes.littleEndian(entry + (map.isIndexed ? 4 : 0), UInt32.self)
    if block == EROFSFormat.nullBlock { return nil }
    let offset = UInt64(block) << UInt64(superblock.blockBits)
    guard map.isIndexed else { return superblock.locate(offset) }
    // As many bits of the number count as there are devices.
    var mask = 1
    while mask < superblock.devices.count + 1 { mask *= 2 }
    let device = Int(bytes.littleEndian(entry + 2, UInt16.self)) & (mask - 1)
    guard device <= superblock.devices.count else { throw wrong(file.id, "names a device that there is not") }
    return device == 0 ? superblock.locate(offset) : (device, offset)
  }

  private mutating func chunks(_ file: EROFSInode, _ offset: UInt64) throws(FormatError) -> EROFSExtent {
    let map = try map(file)
    let number = offset >> map.bits
    let last = (file.size - 1) >> map.bits
    let size = UInt64(1) << map.bits
    let start = number << map.bits
    var first: (device: Int, offset: UInt64)?
    var end = start
    var next = number
    // The chunk, and neighbours that go on where it ends, so many at most.
    search: while next <= last, next - number < 4096 {
      let count = min(next == number ? 16 : 512, last - next + 1, 4096 - (next - number))
      let bytes = try entries(next, count, map, file)
      for index in 0..<Int(count) {
        let place = try chunk(index, of: bytes.span, map, file)
        if next == number {
          first = place
        } else if let first {
          guard let place, place.device == first.device, place.offset == first.offset &+ (end - start) else {
            break search
          }
        } else if place != nil {
          break search
        }
        end += min(size, file.size - end)
        next += 1
      }
    }
    guard let first else {
      return EROFSExtent(fileOffset: offset, length: end - offset, device: 0, offset: 0, isHole: true)
    }
    return try located(file, offset, end - offset, first.offset + (offset - start), device: first.device)
  }

  // MARK: Attributes

  /// Extended attributes with their whole names, in the image's order.
  public mutating func attributes(of inode: EROFSInode) throws(FormatError) -> [TarEntry.Attribute] {
    if inode.attributeSize == 0 { return [] }
    var bytes: [UInt8] = []
    try cache.read(inode.attributes, UInt64(inode.attributeSize), "attributes of inode \(inode.id)", into: &bytes)
    let shared = Int(bytes[4])
    var position = EROFSFormat.attributeHeader + 4 * shared
    guard position <= bytes.count else { throw wrong(inode.id, "has attributes beyond their room") }
    var result: [TarEntry.Attribute] = []
    for index in 0..<shared {
      let id = UInt64(bytes.span.littleEndian(EROFSFormat.attributeHeader + 4 * index, UInt32.self))
      let place = superblock.attributeBlock << UInt64(superblock.blockBits) + id * 4
      var entry: [UInt8] = []
      try cache.read(place, UInt64(EROFSFormat.attributeEntry), "a shared attribute", into: &entry)
      let length = UInt64(entry[0]) + UInt64(entry.span.littleEndian(2, UInt16.self))
      try cache.read(place + UInt64(EROFSFormat.attributeEntry), length, "a shared attribute", into: &entry)
      result.append(try attribute(entry[...], inode))
    }
    while position < bytes.count {
      guard position + EROFSFormat.attributeEntry <= bytes.count else {
        throw wrong(inode.id, "has attributes beyond their room")
      }
      let length = Int(bytes[position]) + Int(bytes.span.littleEndian(position + 2, UInt16.self))
      let end = position + EROFSFormat.attributeEntry + length
      guard end <= bytes.count else { throw wrong(inode.id, "has attributes beyond their room") }
      result.append(try attribute(bytes[position..<end], inode))
      position = (end + 3) & ~3
    }
    return result
  }

  private func attribute(_ entry: ArraySlice<UInt8>, _ inode: EROFSInode) throws(FormatError) -> TarEntry.Attribute {
    let start = entry.startIndex
    guard let prefix = EROFSFormat.AttributePrefix(rawValue: entry[start + 1]) else {
      throw wrong(inode.id, "has an attribute with the unknown prefix \(entry[start + 1])")
    }
    let name = start + EROFSFormat.attributeEntry
    let value = name + Int(entry[start])
    let text = Array(prefix.text.utf8) + entry[name..<value]
    guard text.count <= 255, !text.contains(0) else {
      throw wrong(inode.id, "has an attribute with an impossible name")
    }
    return TarEntry.Attribute(name: text, value: Array(entry[value...]))
  }
}
