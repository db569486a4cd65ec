/// Where everything stands in an image whose metadata is written in one go: the blocks of large directories, the shared
/// attributes, then the inodes, the root's first, in the order in which the nodes were made.
struct EROFSLayout: Sendable {
  /// Blocks from the image's beginning.
  var firstBlock: UInt64 = 0
  var attributeBlock: UInt64 = 0
  var inodeBlock: UInt64 = 0
  var endBlock: UInt64 = 0
  /// Bytes of the shared attributes, and which they are.
  var attributeBytes: UInt64 = 0
  var sharedAttributes: [UInt32] = []
  var inodes: UInt64 = 0
  var hasChunks = false
  /// What is added to every file's blocks: where the data begins, if the tree counts from there.
  var dataBlock: UInt32 = 0

  /// The first inode's number: 0 would be no entry for readdir(3).
  static let firstID: UInt64 = 2
  /// Bytes of a block map that one file may have.
  static let maximumChunks: UInt64 = 1 << 26
}

/// A walk through a directory in the order of its names, with "." and "..".
struct EROFSDirectoryCursor: Sendable {
  enum Item {
    case entry(UInt32)
    case itself, parent
  }

  let directory: UInt32
  private var entry: UInt32
  private var dots = 0

  init(_ directory: UInt32, _ tree: borrowing EROFSTree) {
    self.directory = directory
    entry = tree.nodes[directory].place
  }

  func peek(_ tree: borrowing EROFSTree) -> Item? {
    if dots < 2 {
      guard entry != EROFSTree.none else { return dots == 0 ? .itself : .parent }
      let dot: [UInt8] = dots == 0 ? [UInt8(ascii: ".")] : [UInt8(ascii: "."), UInt8(ascii: ".")]
      if EROFSTree.isLess(dot.span, tree.name(of: entry)) { return dots == 0 ? .itself : .parent }
    }
    return entry == EROFSTree.none ? nil : .entry(entry)
  }

  mutating func advance(_ tree: borrowing EROFSTree) {
    tree.pool.step()
    switch peek(tree) {
    case .itself?, .parent?: dots += 1
    case .entry?: entry = tree.entries[entry].next
    case nil: break
    }
  }
}

extension EROFSTree {
  /// Sorts the directories and gives everything its place, from a block on.
  /// - Parameter overhead: bytes that the maps of sparse files may take.
  mutating func layOut(firstBlock: UInt64, overhead: UInt64 = .max) throws(FormatError) -> EROFSLayout {
    var layout = EROFSLayout()
    layout.firstBlock = firstBlock
    var room = overhead
    var block = firstBlock
    for index in 0..<UInt32(nodes.count) where nodes[index].links > 0 {
      pool.step()
      layout.inodes += 1
      countAttributes(nodes[index].attributes)
      switch nodes[index].kind {
      case .directory:
        sort(index)
        let (blocks, tail) = measure(index)
        try place(index, blocks, tail, &block)
      case .symbolicLink: try place(index, 0, Int(nodes[index].size), &block)
      case .file where nodes[index].form == .chunks:
        layout.hasChunks = true
        chooseChunks(index)
        let map = chunkCount(index)
        guard map <= EROFSLayout.maximumChunks, map * 4 <= room else {
          throw FormatError("the layer's sparse files need maps of more than \(overhead) bytes: refused as a bomb")
        }
        room -= map * 4
      default: break
      }
    }
    layout.attributeBlock = block
    placeSharedAttributes(&layout)
    layout.inodeBlock = block + (layout.attributeBytes + 4095) / 4096
    let bytes = try placeInodes()
    layout.endBlock = layout.inodeBlock + (bytes + 4095) / 4096
    guard layout.endBlock < UInt64(UInt32.max) else { throw FormatError("the image has more than 16 TiB") }
    return layout
  }

  // MARK: Directories and links

  /// Puts a directory's entries in order, and the graves out of it.
  private mutating func sort(_ directory: UInt32) {
    struct Key {
      var start: UInt64
      var entry: UInt32
    }
    var keys: [Key] = []
    // As many as there are: an array that grows has them twice meanwhile.
    var count = 0
    var entry = nodes[directory].place
    while entry != Self.none {
      if entries[entry].node != Self.none { count += 1 }
      entry = entries[entry].next
      pool.step()
    }
    keys.reserveCapacity(count)
    entry = nodes[directory].place
    while entry != Self.none {
      pool.step()
      if entries[entry].node != Self.none {
        let name = name(of: entry)
        var start: UInt64 = 0
        for index in 0..<8 { start = start << 8 | (index < name.count ? UInt64(name[index]) : 0) }
        keys.append(Key(start: start, entry: entry))
      }
      entry = entries[entry].next
    }
    order(&keys) { $0.start != $1.start ? $0.start < $1.start : isLess($0.entry, $1.entry) }
    var next = Self.none
    for key in keys.reversed() {
      pool.step()
      entries[key.entry].next = next
      next = key.entry
    }
    nodes[directory].place = next
  }

  private func order<Key>(_ keys: inout [Key], _ isBefore: (Key, Key) -> Bool) { keys.sort(by: isBefore) }

  private func isLess(_ one: UInt32, _ other: UInt32) -> Bool { Self.isLess(name(of: one), name(of: other)) }

  func length(of item: EROFSDirectoryCursor.Item) -> Int {
    switch item {
    case .itself: 1
    case .parent: 2
    case .entry(let entry): name(of: entry).count
    }
  }

  /// Full blocks of a directory's entries, and bytes in the last one.
  private func measure(_ directory: UInt32) -> (blocks: Int, tail: Int) {
    var cursor = EROFSDirectoryCursor(directory, self)
    var (blocks, used) = (0, 0)
    while let item = cursor.peek(self) {
      let size = EROFSFormat.direntSize + length(of: item)
      if used + size > EROFSFormat.blockSize {
        blocks += 1
        used = 0
      }
      used += size
      cursor.advance(self)
    }
    return (blocks, used)
  }

  /// Contents of whole blocks and a tail: the tail stands behind the inode where it fits there.
  private mutating func place(_ index: UInt32, _ blocks: Int, _ tail: Int, _ block: inout UInt64) throws(FormatError) {
    let inline = EROFSFormat.extendedInode + attributeBound(nodes[index].attributes) + tail <= EROFSFormat.blockSize
    nodes[index].form = inline ? .inline : .plain
    nodes[index].size = UInt64(blocks * EROFSFormat.blockSize + tail)
    let own = UInt64(blocks + (inline ? 0 : 1))
    nodes[index].extent = own == 0 ? 0 : UInt32(truncatingIfNeeded: block)
    block += own
    guard block < UInt64(UInt32.max) else { throw FormatError("the image has more than 16 TiB") }
  }

  // MARK: Attributes

  private mutating func countAttributes(_ set: UInt32) {
    for number in attributes.members(set) { attributes.list[number].uses += 1 }
  }

  /// The most bytes that a set can take behind its inode.
  private func attributeBound(_ set: UInt32) -> Int {
    if set == 0 { return 0 }
    return attributes.members(set).reduce(EROFSFormat.attributeHeader) { $0 + max(4, attributes.list[$1].size) }
  }

  private mutating func placeSharedAttributes(_ layout: inout EROFSLayout) {
    for number in 0..<UInt32(attributes.list.count) {
      let attribute = attributes.list[number]
      guard attribute.uses > 1 || attribute.uses == 1 && Int(attribute.valueSize) >= EROFSAttributes.largeValue else {
        continue
      }
      attributes.list[number].shared = UInt32(layout.attributeBytes / 4)
      layout.attributeBytes += UInt64(attribute.size)
      layout.sharedAttributes.append(number)
    }
  }

  /// Whether an attribute of a set is a mere reference there: an inode has room for 255 of those.
  func isShared(_ number: UInt32, after shared: Int) -> Bool {
    attributes.list[number].shared != Self.none && shared < 255
  }

  /// Bytes of a set behind its inode.
  func attributeSize(_ set: UInt32) -> Int {
    if set == 0 { return 0 }
    var size = EROFSFormat.attributeHeader
    var shared = 0
    for number in attributes.members(set) {
      if isShared(number, after: shared) {
        shared += 1
        size += 4
      } else {
        size += attributes.list[number].size
      }
    }
    return size
  }

  // MARK: Files in pieces

  /// The largest chunks that each lie in one extent or in none.
  private mutating func chooseChunks(_ index: UInt32) {
    let node = nodes[index]
    let blocks = (node.size + 4095) / 4096
    var bits = 28
    while bits > 0, 1 << (UInt64(bits) - 1) >= blocks { bits -= 1 }
    for number in node.place..<node.place + node.extent {
      let extent = extents[number]
      let end = UInt64(extent.fileBlock) + UInt64(extent.count)
      bits = min(bits, extent.fileBlock.trailingZeroBitCount, end == blocks ? 28 : end.trailingZeroBitCount)
    }
    nodes[index].chunkBits = UInt8(truncatingIfNeeded: bits)
  }

  func chunkCount(_ index: UInt32) -> UInt64 {
    let blocks = (nodes[index].size + 4095) / 4096
    let chunk = UInt64(1) << UInt64(nodes[index].chunkBits)
    return (blocks + chunk - 1) / chunk
  }

  // MARK: Inodes

  /// Numbers the inodes: none crosses a block, nor does what stands inline. Returns the bytes they take.
  private mutating func placeInodes() throws(FormatError) -> UInt64 {
    var offset = EROFSLayout.firstID * UInt64(EROFSFormat.slotSize)
    for index in 0..<UInt32(nodes.count) where nodes[index].links > 0 {
      pool.step()
      let node = nodes[index]
      let attributes = attributeSize(node.attributes)
      var within = EROFSFormat.extendedInode
      var beyond: UInt64 = UInt64(attributes)
      if node.form == .inline {
        within += attributes + Int(node.size % UInt64(EROFSFormat.blockSize))
        beyond = 0
      } else if node.form == .chunks {
        beyond += chunkCount(index) * 4
      }
      offset = (offset + 31) & ~31
      let left = EROFSFormat.blockSize - Int(offset % UInt64(EROFSFormat.blockSize))
      if within > left { offset += UInt64(left) }
      guard let id = UInt32(exactly: offset / UInt64(EROFSFormat.slotSize)) else {
        throw FormatError("the image has more than 128 GiB of metadata")
      }
      nodes[index].id = id
      offset += UInt64(within) + beyond
    }
    return offset
  }
}
