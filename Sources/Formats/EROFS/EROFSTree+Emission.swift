/// How far the writing of an image's metadata has come; each step writes a bounded piece, so that it never stands in memory whole.
struct EROFSEmission: Sendable {
  enum Phase: Sendable { case blocks, attributes, inodes, done }
  var phase = Phase.blocks
  var index: UInt32 = 0
  /// Where the directory of that number goes on, and how many blocks of it are to come.
  var cursor: EROFSDirectoryCursor?
  var blocks = 0
  /// Bytes written since the metadata's first block.
  var offset: UInt64 = 0
  /// A step ends after so many bytes.
  static let piece = 256 << 10
}

extension EROFSTree {
  /// Appends the next piece of the metadata. False once all of it is there.
  func emit(_ layout: EROFSLayout, _ state: inout EROFSEmission, into output: inout [UInt8]) -> Bool {
    let start = output.count
    let base = state.offset
    func offset() -> UInt64 { base + UInt64(output.count - start) }
    defer { state.offset = base + UInt64(output.count - start) }
    while output.count - start < EROFSEmission.piece {
      switch state.phase {
      case .blocks:
        if let cursor = state.cursor {
          state.cursor = emitBlock(cursor, into: &output)
          state.blocks -= 1
          if state.blocks == 0 { (state.cursor, state.index) = (nil, state.index + 1) }
          continue
        }
        guard state.index < nodes.count else {
          (state.phase, state.index) = (.attributes, 0)
          continue
        }
        pool.step()
        if nodes[state.index].links > 0 { beginBlocks(&state, into: &output) }
        if state.cursor == nil { state.index += 1 }
      case .attributes:
        guard state.index < layout.sharedAttributes.count else {
          Self.pad(&output, to: (layout.inodeBlock - layout.firstBlock) * 4096 - offset())
          (state.phase, state.index) = (.inodes, 0)
          continue
        }
        emitAttribute(layout.sharedAttributes[Int(state.index)], into: &output)
        state.index += 1
      case .inodes:
        guard state.index < nodes.count else {
          Self.pad(&output, to: (layout.endBlock - layout.firstBlock) * 4096 - offset())
          state.phase = .done
          continue
        }
        pool.step()
        let node = nodes[state.index]
        if node.links > 0 {
          let place = (layout.inodeBlock - layout.firstBlock) * 4096 + UInt64(node.id) * UInt64(EROFSFormat.slotSize)
          Self.pad(&output, to: place - offset())
          emitInode(state.index, layout, into: &output)
        }
        state.index += 1
      case .done: return false
      }
    }
    return true
  }

  private static func pad(_ output: inout [UInt8], to count: UInt64) {
    output.append(contentsOf: repeatElement(0, count: Int(count)))
  }

  // MARK: Directories

  /// Gets ready for the whole blocks of a directory; writes a link's text that does not fit behind its inode.
  private func beginBlocks(_ state: inout EROFSEmission, into output: inout [UInt8]) {
    let index = state.index
    let node = nodes[index]
    if node.isLink {
      guard node.form == .plain else { return }
      output.append(contentsOf: 0..<Int(node.size), of: text(of: index))
      Self.pad(&output, to: UInt64(EROFSFormat.blockSize) - node.size)
    } else if node.isDirectory {
      state.blocks = (Int(node.size) + (node.form == .inline ? 0 : EROFSFormat.blockSize - 1)) / EROFSFormat.blockSize
      if state.blocks > 0 { state.cursor = EROFSDirectoryCursor(index, self) }
    }
  }

  /// One block of a directory, filled up; where the next one begins.
  private func emitBlock(
    _ cursor: EROFSDirectoryCursor, into output: inout [UInt8]
  ) -> EROFSDirectoryCursor {
    var cursor = cursor
    let start = output.count
    emitEntries(&cursor, into: &output)
    Self.pad(&output, to: UInt64(EROFSFormat.blockSize - (output.count - start)))
    return cursor
  }

  /// A block of entries (`struct erofs_dirent`, then the names), not filled up.
  private func emitEntries(_ cursor: inout EROFSDirectoryCursor, into output: inout [UInt8]) {
    let first = cursor
    var (count, used) = (0, 0)
    while let item = cursor.peek(self) {
      let size = EROFSFormat.direntSize + length(of: item)
      if used + size > EROFSFormat.blockSize { break }
      used += size
      count += 1
      cursor.advance(self)
    }
    var again = first
    var nameOffset = count * EROFSFormat.direntSize
    for _ in 0..<count {
      guard let item = again.peek(self) else { break }
      let node: UInt32
      switch item {
      case .itself: node = cursor.directory
      case .parent: node = nodes[cursor.directory].parent
      case .entry(let entry): node = entries[entry].node
      }
      output.appendLittleEndian(UInt64(nodes[node].id))
      output.appendLittleEndian(UInt16(truncatingIfNeeded: nameOffset))
      output.append(nodes[node].kind.rawValue)
      output.append(0)
      nameOffset += length(of: item)
      again.advance(self)
    }
    again = first
    for _ in 0..<count {
      guard let item = again.peek(self) else { break }
      switch item {
      case .itself: output.append(UInt8(ascii: "."))
      case .parent: output += [UInt8(ascii: "."), UInt8(ascii: ".")]
      case .entry(let entry):
        let name = name(of: entry)
        output.append(contentsOf: 0..<name.count, of: name)
      }
      again.advance(self)
    }
  }

  /// The last entries of a directory, which stand behind its inode.
  private func emitTail(_ index: UInt32, into output: inout [UInt8]) {
    var cursor = EROFSDirectoryCursor(index, self)
    var skipped = Int(nodes[index].size) / EROFSFormat.blockSize
    var used = 0
    while skipped > 0, let item = cursor.peek(self) {
      let size = EROFSFormat.direntSize + length(of: item)
      if used + size > EROFSFormat.blockSize {
        skipped -= 1
        used = 0
        if skipped == 0 { break }
      }
      used += size
      cursor.advance(self)
    }
    emitEntries(&cursor, into: &output)
  }

  // MARK: Inodes

  /// `struct erofs_inode_extended`, attributes, and what stands inline or the map of chunks.
  private func emitInode(_ index: UInt32, _ layout: EROFSLayout, into output: inout [UInt8]) {
    let node = nodes[index]
    let form: EROFSFormat.DataLayout
    switch node.form {
    case .plain: form = .plain
    case .inline: form = .inline
    case .chunks: form = .chunks
    }
    let attributes = attributeSize(node.attributes)
    output.appendLittleEndian(1 | form.rawValue << 1)
    output.appendLittleEndian(UInt16(attributes == 0 ? 0 : (attributes - EROFSFormat.attributeHeader) / 4 + 1))
    output.appendLittleEndian(node.mode)
    output.appendLittleEndian(UInt16(0))
    output.appendLittleEndian(node.size)
    switch node.kind {
    case .file where node.form == .chunks: output.appendLittleEndian(UInt32(node.chunkBits))
    case .file: output.appendLittleEndian(node.size == 0 ? 0 : node.place + layout.dataBlock)
    case .directory, .symbolicLink: output.appendLittleEndian(node.extent)
    case .characterDevice, .blockDevice: output.appendLittleEndian(node.place)
    case .fifo, .socket: output.appendLittleEndian(UInt32(0))
    }
    output.appendLittleEndian(node.id)
    output.appendLittleEndian(node.uid)
    output.appendLittleEndian(node.gid)
    output.appendLittleEndian(node.modified)
    output.appendLittleEndian(node.nanoseconds)
    output.appendLittleEndian(node.isDirectory ? 2 + subdirectories(index) : node.links)
    Self.pad(&output, to: 16)
    if attributes > 0 { emitAttributes(node.attributes, into: &output) }
    switch node.form {
    case .plain: break
    case .inline:
      if node.isLink {
        output.append(contentsOf: 0..<Int(node.size), of: text(of: index))
      } else {
        emitTail(index, into: &output)
      }
    case .chunks: emitMap(node, index, layout.dataBlock, into: &output)
    }
  }

  private func subdirectories(_ index: UInt32) -> UInt32 {
    var count: UInt32 = 0
    var entry = nodes[index].place
    while entry != Self.none {
      pool.step()
      if nodes[entries[entry].node].isDirectory { count += 1 }
      entry = entries[entry].next
    }
    return count
  }

  /// A block address for each chunk.
  private func emitMap(_ node: Node, _ index: UInt32, _ base: UInt32, into output: inout [UInt8]) {
    var number = node.place
    let end = node.place + node.extent
    for chunk in 0..<chunkCount(index) {
      let block = chunk << UInt64(node.chunkBits)
      while number < end, UInt64(extents[number].fileBlock) + UInt64(extents[number].count) <= block { number += 1 }
      if number < end, extents[number].fileBlock <= block {
        let extent = extents[number]
        output.appendLittleEndian(base + extent.imageBlock + UInt32(block - UInt64(extent.fileBlock)))
      } else {
        output.appendLittleEndian(EROFSFormat.nullBlock)
      }
    }
  }

  // MARK: Attributes

  private func emitAttributes(_ set: UInt32, into output: inout [UInt8]) {
    var shared: [UInt32] = []
    var own: [UInt32] = []
    for number in attributes.members(set) {
      if isShared(number, after: shared.count) { shared.append(number) } else { own.append(number) }
    }
    output.appendLittleEndian(UInt32(0))
    output.append(UInt8(shared.count))
    Self.pad(&output, to: 7)
    for number in shared { output.appendLittleEndian(attributes.list[number].shared) }
    for number in own { emitAttribute(number, into: &output) }
  }

  private func emitAttribute(_ number: UInt32, into output: inout [UInt8]) {
    let attribute = attributes.list[number]
    output.append(attribute.nameLength)
    output.append(attribute.prefix)
    output.appendLittleEndian(attribute.valueSize)
    let name = attributes.name(of: number)
    output.append(contentsOf: 0..<name.count, of: name)
    let value = attributes.value(of: number)
    output.append(contentsOf: 0..<value.count, of: value)
    let size = EROFSFormat.attributeEntry + name.count + value.count
    Self.pad(&output, to: UInt64(attribute.size - size))
  }
}
