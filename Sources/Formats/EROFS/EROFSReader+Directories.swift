/// Where the reading of a directory stands.
public struct EROFSDirectoryPosition: Sendable {
  public let directory: EROFSInode
  var block: UInt64 = 0
  var index = 0
  var bytes: [UInt8] = []
  var count = 0

  public init(_ directory: EROFSInode) { self.directory = directory }
}

extension EROFSReader {
  /// The next name of a directory, "." and ".." left out; nil at its end.
  public mutating func next(_ position: inout EROFSDirectoryPosition) throws(FormatError) -> EROFSDirectoryEntry? {
    while true {
      if position.index >= position.count {
        guard position.block < blocks(position.directory) else { return nil }
        (position.bytes, position.count) = try block(position.block, of: position.directory)
        position.block += 1
        position.index = 0
      }
      let entry = try entry(position.index, of: position.count, position.bytes, position.directory)
      position.index += 1
      if entry.name != [UInt8(ascii: ".")], entry.name != [UInt8(ascii: "."), UInt8(ascii: ".")] { return entry }
    }
  }

  /// All names of a directory.
  public mutating func entries(of directory: EROFSInode) throws(FormatError) -> [EROFSDirectoryEntry] {
    var position = EROFSDirectoryPosition(directory)
    var result: [EROFSDirectoryEntry] = []
    while let entry = try next(&position) { result.append(entry) }
    return result
  }

  /// The inode of a name, found as the kernel does: names are in order.
  public mutating func lookup(_ name: [UInt8], in directory: EROFSInode) throws(FormatError) -> UInt64? {
    var (low, high) = (UInt64(0), blocks(directory))
    // The last block whose first name is not behind the one looked for.
    while low < high {
      let middle = low + (high - low) / 2
      let (bytes, count) = try block(middle, of: directory)
      let first = try entry(0, of: count, bytes, directory)
      if first.name == name { return first.id }
      if EROFSTree.isLess(name.span, first.name.span) { high = middle } else { low = middle + 1 }
    }
    guard low > 0 else { return nil }
    let (bytes, count) = try block(low - 1, of: directory)
    var (start, end) = (0, count)
    while start < end {
      let middle = start + (end - start) / 2
      let found = try entry(middle, of: count, bytes, directory)
      if found.name == name { return found.id }
      if EROFSTree.isLess(name.span, found.name.span) { end = middle } else { start = middle + 1 }
    }
    return nil
  }

  /// The inode of a name, whatever the order is in which names stand.
  public mutating func scan(_ name: [UInt8], in directory: EROFSInode) throws(FormatError) -> UInt64? {
    var position = EROFSDirectoryPosition(directory)
    while let entry = try next(&position) {
      if entry.name == name { return entry.id }
    }
    return nil
  }

  private func blocks(_ directory: EROFSInode) -> UInt64 {
    directory.size / superblock.blockSize + (directory.size % superblock.blockSize == 0 ? 0 : 1)
  }

  /// A block of entries and how many it has.
  private mutating func block(
    _ number: UInt64, of directory: EROFSInode
  ) throws(FormatError) -> (bytes: [UInt8], count: Int) {
    guard directory.kind == .directory, directory.layout != .chunks else {
      throw wrong(directory.id, "is not a directory that can be read")
    }
    let bytes = try contents(
      of: directory, at: number * superblock.blockSize, count: Int(superblock.blockSize))
    guard bytes.count >= EROFSFormat.direntSize else { throw wrong(directory.id, "has a block without entries") }
    let first = Int(bytes.span.littleEndian(8, UInt16.self))
    guard first >= EROFSFormat.direntSize, first % EROFSFormat.direntSize == 0, first < bytes.count else {
      throw wrong(directory.id, "has a block of entries that is broken")
    }
    return (bytes, first / EROFSFormat.direntSize)
  }

  private func entry(
    _ index: Int, of count: Int, _ bytes: [UInt8], _ directory: EROFSInode
  ) throws(FormatError) -> EROFSDirectoryEntry {
    let place = index * EROFSFormat.direntSize
    let start = Int(bytes.span.littleEndian(place + 8, UInt16.self))
    var end = bytes.count
    if index + 1 < count { end = Int(bytes.span.littleEndian(place + EROFSFormat.direntSize + 8, UInt16.self)) }
    guard start >= count * EROFSFormat.direntSize, start < end, end <= bytes.count else {
      throw wrong(directory.id, "has an entry whose name is not there")
    }
    var name = Array(bytes[start..<end])
    // The last name of a block may end before the block does.
    if index + 1 == count, let nul = name.firstIndex(of: 0) { name.removeSubrange(nul...) }
    guard (1...255).contains(name.count), !name.contains(0), !name.contains(UInt8(ascii: "/")) else {
      throw wrong(directory.id, "has an entry with an impossible name")
    }
    return EROFSDirectoryEntry(name: name, id: bytes.span.littleEndian(place, UInt64.self))
  }
}
