/// Makes of the layers of a container image one tree, as overlayfs would show it, and writes its metadata: one mount instead of one for
/// each layer, without whiteouts and overlayfs's own attributes. Files point into the layers' images, of which only metadata is read.
///
/// Rules (overlayfs.rst): a directory over a directory joins it, and its owner, mode, time and attributes win; anything else over
/// anything replaces it whole; an opaque directory hides what was in it; a whiteout takes a name away.
public struct EROFSMerger: ~Copyable, Sendable {
  public struct Summary: Sendable {
    /// What belongs at the metadata's beginning, a multiple of 4096 bytes: names the layers as devices, in their order.
    public let block0: [UInt8]
    /// The same for one disk: this metadata and, right behind it, the layers' images, one behind the other.
    public let flatBlock0: [UInt8]
    /// Bytes of the metadata, a multiple of 4096.
    public let size: UInt64
    /// Bytes of that disk.
    public let flatSize: UInt64
    /// Files, directories, links and devices; a file with many names counts once.
    public let entries: Int64
  }

  /// What is to be appended to the metadata's file; the caller takes it and calls `removeOutput`.
  public private(set) var output: [UInt8] = []

  private var tree: EROFSTree
  private let limits: LayerLimits
  /// Blocks of each layer's image.
  private var layers: [UInt64] = []
  private var blocks: UInt64 = 0
  private var layout: EROFSLayout?
  private var emission = EROFSEmission()

  /// EROFS counts devices in 16 bits; this is more than any image has.
  public static let maximumLayers = 4096

  public init(limits: LayerLimits = LayerLimits(), pool: PagePool = PagePool()) {
    self.limits = limits
    let most = max(limits.entries, 1 << 16)
    tree = EROFSTree(maximumNodes: most > Int.max / 8 ? .max : most * 8, pool)
  }

  /// Forgets the bytes that were written; the room stays.
  public mutating func removeOutput() { output.removeAll(keepingCapacity: true) }

  // MARK: Layers

  /// Lays a layer over those before it; the lowest comes first. Its image becomes the next device.
  /// - Throws: `FormatError` where the layer is not as `EROFSLayerWriter` writes them. The merger is of no further use then.
  public mutating func add<Source: EROFSSource>(_ layer: inout EROFSReader<Source>) throws(FormatError) {
    let size = layer.source.size
    guard layer.superblock.blockBits == EROFSFormat.blockBits, layer.superblock.devices.isEmpty,
      size % UInt64(EROFSFormat.blockSize) == 0
    else {
      throw FormatError("the layer's image is not one of ours: blocks of 4096 bytes and a single device are wanted")
    }
    guard layers.count < Self.maximumLayers else {
      throw FormatError("the image has more than \(Self.maximumLayers) layers")
    }
    let layerBlocks = size / UInt64(EROFSFormat.blockSize)
    guard blocks + layerBlocks < UInt64(UInt32.max) else { throw FormatError("the image has more than 16 TiB") }
    try walk(&layer)
    layer.forget()
    layers.append(layerBlocks)
    blocks += layerBlocks
  }

  private struct Folder {
    var position: EROFSDirectoryPosition
    let node: UInt32
  }

  private mutating func walk<Source: EROFSSource>(_ layer: inout EROFSReader<Source>) throws(FormatError) {
    /// Files of this layer with more than one name.
    var known: [UInt64: UInt32] = [:]
    var visited = 0
    let root = try layer.inode(layer.rootID)
    guard root.kind == .directory else { throw FormatError("the layer's root is not a directory") }
    var stack = [Folder(position: EROFSDirectoryPosition(root), node: EROFSTree.root)]
    try enter(root, EROFSTree.root, &layer)
    while !stack.isEmpty {
      guard let entry = try layer.next(&stack[stack.count - 1].position) else {
        stack.removeLast()
        continue
      }
      visited += 1
      guard visited <= tree.maximumNodes else {
        throw FormatError("the layer has more than \(tree.maximumNodes) names")
      }
      let folder = stack[stack.count - 1].node
      let inode = try layer.inode(entry.id)
      let there = tree.lookup(entry.name.span, in: folder)
      if inode.kind == .directory {
        let node: UInt32
        if let there, tree.nodes[tree.entries[there].node].isDirectory {
          node = tree.entries[there].node
        } else {
          if let there { tree.remove(there) }
          node = try tree.makeDirectory(entry.name.span, in: folder, mode: 0)
        }
        try enter(inode, node, &layer)
        stack.append(Folder(position: EROFSDirectoryPosition(inode), node: node))
        continue
      }
      if let there { tree.remove(there) }
      if inode.isWhiteout { continue }
      if let node = known[entry.id] {
        try tree.link(node, entry.name.span, in: folder)
        continue
      }
      let node = try make(inode, &layer)
      try tree.link(node, entry.name.span, in: folder)
      if inode.links > 1 { known[entry.id] = node }
    }
  }

  /// A directory's own metadata over what is there.
  private mutating func enter<Source: EROFSSource>(
    _ inode: EROFSInode, _ node: UInt32, _ layer: inout EROFSReader<Source>
  ) throws(FormatError) {
    let (set, isOpaque) = try attributes(inode, &layer)
    if isOpaque { tree.empty(node) }
    tree.nodes[node].mode = inode.mode
    tree.nodes[node].uid = inode.uid
    tree.nodes[node].gid = inode.gid
    tree.nodes[node].modified = inode.modified
    tree.nodes[node].nanoseconds = inode.modifiedNanoseconds
    tree.nodes[node].attributes = set
  }

  private mutating func make<Source: EROFSSource>(
    _ inode: EROFSInode, _ layer: inout EROFSReader<Source>
  ) throws(FormatError) -> UInt32 {
    var node = EROFSTree.Node()
    node.mode = inode.mode
    node.uid = inode.uid
    node.gid = inode.gid
    node.modified = inode.modified
    node.nanoseconds = inode.modifiedNanoseconds
    node.attributes = try attributes(inode, &layer).set
    switch inode.kind {
    case .symbolicLink:
      let text = try layer.target(of: inode)
      guard tree.names.count < EROFSTree.maximumNames else {
        throw FormatError("the image has more than \(EROFSTree.maximumNames) bytes of names")
      }
      node.place = try tree.names.append(text.span)
      node.size = UInt64(text.count)
    case .characterDevice, .blockDevice:
      node.place = EROFSLayerWriter.device(inode.deviceMajor, inode.deviceMinor)
    case .file:
      node.size = inode.size
      try setContents(inode, &node, &layer)
    case .fifo, .socket, .directory: break
    }
    return try tree.makeNode(node)
  }

  /// Blocks are counted from the first layer's beginning; the layout says where that is.
  private mutating func setContents<Source: EROFSSource>(
    _ inode: EROFSInode, _ node: inout EROFSTree.Node, _ layer: inout EROFSReader<Source>
  ) throws(FormatError) {
    let extents = try layer.extents(of: inode)
    let size = UInt64(EROFSFormat.blockSize)
    for extent in extents where !extent.isHole {
      guard extent.device == 0, extent.offset % size == 0, extent.fileOffset % size == 0,
        inode.size / size < UInt64(UInt32.max)
      else {
        throw layer.wrong(
          inode.id, "has contents that do not lie in blocks of their own; such a layer is not one of ours")
      }
    }
    if extents.isEmpty { return }
    if extents.count == 1, !extents[0].isHole {
      node.place = UInt32(truncatingIfNeeded: blocks + extents[0].offset / size)
      return
    }
    node.form = .chunks
    node.place = UInt32(truncatingIfNeeded: tree.extents.count)
    for extent in extents where !extent.isHole {
      try tree.append(
        EROFSTree.Extent(
          fileBlock: UInt32(truncatingIfNeeded: extent.fileOffset / size),
          imageBlock: UInt32(truncatingIfNeeded: blocks + extent.offset / size),
          count: UInt32(truncatingIfNeeded: (extent.length + size - 1) / size)))
      node.extent += 1
    }
  }

  private mutating func attributes<Source: EROFSSource>(
    _ inode: EROFSInode, _ layer: inout EROFSReader<Source>
  ) throws(FormatError) -> (set: UInt32, isOpaque: Bool) {
    if inode.attributeSize == 0 { return (0, false) }
    var members: [UInt32] = []
    var isOpaque = false
    for attribute in try layer.attributes(of: inode) {
      if attribute.name.starts(with: "trusted.overlay.".utf8) || attribute.name.starts(with: "user.overlay.".utf8) {
        guard inode.kind == .directory, attribute.name.elementsEqual("trusted.overlay.opaque".utf8) else {
          throw layer.wrong(inode.id, "has an attribute of overlayfs's own; such a layer is not one of ours")
        }
        isOpaque = isOpaque || attribute.value == [UInt8(ascii: "y")]
        continue
      }
      guard
        let prefix = EROFSFormat.AttributePrefix.allCases.first(where: { attribute.name.starts(with: $0.text.utf8) }),
        attribute.value.count <= Int(UInt16.max)
      else { continue }
      let name = attribute.name.span.extracting(prefix.text.utf8.count...)
      members.append(try tree.attributes.number(prefix: prefix, name: name, value: attribute.value.span))
    }
    return (try tree.attributes.union(0, members), isOpaque)
  }

  // MARK: The end

  /// Writes the next piece of the metadata to `output`. False once all of it is there.
  public mutating func finishStep() throws(FormatError) -> Bool {
    let layout: EROFSLayout
    if let known = self.layout {
      layout = known
    } else {
      let reserved = EROFSSuperblockWriter.reserved(devices: layers.count)
      output.append(contentsOf: repeatElement(0, count: Int(reserved) * EROFSFormat.blockSize))
      var new = try tree.layOut(firstBlock: reserved, overhead: UInt64(max(limits.totalBytes, 64 << 20)))
      guard new.endBlock + blocks < UInt64(UInt32.max) else { throw FormatError("the image has more than 16 TiB") }
      new.dataBlock = UInt32(truncatingIfNeeded: new.endBlock)
      layout = new
      self.layout = new
    }
    return tree.emit(layout, &emission, into: &output)
  }

  /// Writes what is left of the metadata, and says what goes to its beginning.
  public mutating func finish() throws(FormatError) -> Summary {
    while try finishStep() {}
    guard let layout else { throw FormatError("the image has no metadata") }
    let reserved = layout.firstBlock
    var superblock = EROFSSuperblockWriter(layout: layout, blocks: layout.endBlock + blocks)
    let flat = superblock.encode(reserved: reserved)
    superblock.blocks = layout.endBlock
    var mapped = layout.endBlock
    for layer in layers {
      superblock.devices.append((layer, mapped))
      mapped += layer
    }
    let size = UInt64(EROFSFormat.blockSize)
    return Summary(
      block0: superblock.encode(reserved: reserved), flatBlock0: flat, size: layout.endBlock * size,
      flatSize: (layout.endBlock + blocks) * size, entries: Int64(layout.inodes))
  }
}
