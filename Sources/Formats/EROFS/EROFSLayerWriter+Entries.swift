/// Making entries, and finding where they go.
extension EROFSLayerWriter {
  mutating func make(_ record: LayerRecord) throws(FormatError) {
    guard let slash = record.path.lastIndex(of: UInt8(ascii: "/")) ?? (record.path.isEmpty ? nil : -1) else {
      // The root itself is never replaced: only a folder may speak of it.
      return try set(record, of: EROFSTree.root)
    }
    let name = record.path.span.extracting((slash + 1)...)
    let folder = try parent(of: record.path, slash, record)
    switch record.kind {
    case .directory:
      if let entry = tree.lookup(name, in: folder) {
        let node = tree.entries[entry].node
        if tree.nodes[node].isDirectory { return try set(record, of: node) }
        clear(entry)
      }
      try set(record, of: try tree.makeDirectory(name, in: folder, mode: 0))
    case .hardLink: try makeHardLink(record, name, folder)
    case .file, .symbolicLink, .characterDevice, .blockDevice, .fifo:
      if let entry = tree.lookup(name, in: folder) { clear(entry) }
      let node = try tree.makeNode(try node(record))
      try tree.link(node, name, in: folder)
      if record.kind == .file {
        try setAttributes(record, of: node)
        open(node, size: UInt64(record.size))
      } else {
        for attribute in record.attributes { notes.refuse(attribute.name) }
      }
    case .whiteout, .opaque: return
    }
  }

  private mutating func node(_ record: LayerRecord) throws(FormatError) -> EROFSTree.Node {
    var node = EROFSTree.Node()
    node.modified = record.modified
    node.nanoseconds = record.modifiedNanoseconds
    node.uid = record.uid
    node.gid = record.gid
    let kind: EROFSKind
    switch record.kind {
    case .symbolicLink:
      kind = .symbolicLink
      // A link of a block or more could not be followed by Linux.
      guard record.target.count < EROFSFormat.blockSize, tree.names.count < EROFSTree.maximumNames else {
        throw FormatError("has a target too long for a link", offending: record.name)
      }
      node.place = try tree.names.append(record.target.span)
      node.size = UInt64(record.target.count)
    case .characterDevice, .blockDevice:
      kind = record.kind == .characterDevice ? .characterDevice : .blockDevice
      node.place = Self.device(record.deviceMajor, record.deviceMinor)
    case .fifo: kind = .fifo
    default:
      kind = .file
      node.size = UInt64(record.size)
    }
    node.mode = kind.modeBits | (kind == .symbolicLink ? 0o777 : UInt16(record.mode & 0o7777))
    return node
  }

  /// A device's number as Linux keeps it in 32 bits (new_encode_dev in linux/kdev_t.h).
  static func device(_ major: UInt32, _ minor: UInt32) -> UInt32 {
    minor & 0xFF | major << 8 | (minor & ~0xFF) << 12
  }

  private mutating func makeHardLink(
    _ record: LayerRecord, _ name: Span<UInt8>, _ folder: UInt32
  ) throws(FormatError) {
    let slash = record.target.lastIndex(of: UInt8(ascii: "/")) ?? -1
    let targetName = record.target.span.extracting((slash + 1)...)
    let place = try walk(record.target[..<max(slash, 0)], makes: false, record)
    func missing(_ target: [UInt8]) -> FormatError {
      FormatError(
        "is a hard link to \(FormatError.presentable(String(decoding: target.prefix(256), as: UTF8.self))), "
          + "which this layer does not have", offending: record.name)
    }
    guard let node = tree.node(targetName, in: place) else { throw missing(record.target) }
    guard !tree.nodes[node].isDirectory else {
      throw FormatError("is a hard link to a directory", offending: record.name)
    }
    if let entry = tree.lookup(name, in: folder) { clear(entry) }
    // What gave way may have been the target itself, or a folder that it was in.
    guard tree.nodes[node].links > 0, tree.node(targetName, in: place) == node else { throw missing(record.target) }
    try tree.link(node, name, in: folder)
  }

  private mutating func clear(_ entry: UInt32) {
    let kind = tree.nodes[tree.entries[entry].node].kind
    if kind == .directory || kind == .symbolicLink { parentNode = EROFSTree.none }
    tree.remove(entry)
  }

  /// Owner, mode and time of a directory, and its attributes beside those that it has.
  private mutating func set(_ record: LayerRecord, of node: UInt32) throws(FormatError) {
    tree.nodes[node].uid = record.uid
    tree.nodes[node].gid = record.gid
    tree.nodes[node].mode = EROFSKind.directory.modeBits | UInt16(record.mode & 0o7777)
    tree.nodes[node].modified = record.modified
    tree.nodes[node].nanoseconds = record.modifiedNanoseconds
    try setAttributes(record, of: node)
  }

  // MARK: Whiteouts

  mutating func makeWhiteout(_ path: [UInt8]) throws(FormatError) {
    let record = LayerRecord(kind: .whiteout, path: path)
    let slash = path.lastIndex(of: UInt8(ascii: "/")) ?? -1
    let name = path.span.extracting((slash + 1)...)
    let folder = try parent(of: path, slash, record)
    guard let there = tree.node(name, in: folder) else {
      var node = EROFSTree.Node()
      node.mode = EROFSKind.characterDevice.modeBits
      return try tree.link(try tree.makeNode(node), name, in: folder)
    }
    // Made anew in the layer that hides it: of a folder, what lower layers have in it is hidden.
    if tree.nodes[there].isDirectory { try markOpaque(there) }
  }

  mutating func makeOpaque(_ path: [UInt8]) throws(FormatError) {
    let record = LayerRecord(kind: .opaque, path: path)
    guard !path.isEmpty else { return try markOpaque(EROFSTree.root) }
    let slash = path.lastIndex(of: UInt8(ascii: "/")) ?? -1
    let name = path.span.extracting((slash + 1)...)
    let folder = try parent(of: path, slash, record)
    let node: UInt32
    if let there = tree.node(name, in: folder) {
      node = there
      guard tree.nodes[node].isDirectory else {
        throw FormatError("is marked as opaque and is not a directory", offending: record.name)
      }
    } else {
      node = try tree.makeDirectory(name, in: folder, mode: 0o755)
    }
    try markOpaque(node)
  }

  /// The mark that overlayfs reads (overlayfs.rst, "Whiteouts and opaque directories").
  private mutating func markOpaque(_ node: UInt32) throws(FormatError) {
    let name = Array("overlay.opaque".utf8)
    let value: [UInt8] = [UInt8(ascii: "y")]
    let number = try tree.attributes.number(prefix: .trusted, name: name.span, value: value.span)
    tree.nodes[node].attributes = try tree.attributes.union(tree.nodes[node].attributes, [number])
  }

  // MARK: Paths

  /// The directory that a path's last name is in, made where it is not there.
  private mutating func parent(of path: [UInt8], _ slash: Int, _ record: LayerRecord) throws(FormatError) -> UInt32 {
    if slash < 0 { return EROFSTree.root }
    if parentNode != EROFSTree.none, parentPath.elementsEqual(path[..<slash]) { return parentNode }
    let node = try walk(path[..<slash], makes: true, record)
    parentPath = Array(path[..<slash])
    parentNode = node
    return node
  }

  /// Follows a path from the root as openat2(2) does with RESOLVE_IN_ROOT: through links, ".." staying inside. Only names of the
  /// path itself are made where they are not there, never those of a link's text.
  private mutating func walk(
    _ path: ArraySlice<UInt8>, makes: Bool, _ record: LayerRecord
  ) throws(FormatError) -> UInt32 {
    var node = EROFSTree.root
    var links = 0
    for part in path.split(separator: UInt8(ascii: "/")) {
      let name = part.span
      guard let next = tree.node(name, in: node) else {
        guard makes else {
          throw FormatError("leads through a folder that this layer does not have", offending: record.name)
        }
        node = try tree.makeDirectory(name, in: node, mode: 0o755)
        continue
      }
      switch tree.nodes[next].kind {
      case .directory: node = next
      case .symbolicLink: node = try follow(next, from: node, &links, record)
      default: throw FormatError("lies below something that is not a directory", offending: record.name)
      }
    }
    return node
  }

  /// The directory that a link leads to.
  private func follow(
    _ link: UInt32, from folder: UInt32, _ links: inout Int, _ record: LayerRecord
  ) throws(FormatError) -> UInt32 {
    var node = folder
    var rest: [UInt8] = []
    var position = 0
    func wrong(_ problem: String) -> FormatError { FormatError(problem, offending: record.name) }
    func expand(_ link: UInt32) throws(FormatError) {
      // Linux: MAXSYMLINKS.
      links += 1
      guard links <= 40 else { throw wrong("leads through more than 40 symbolic links") }
      let text = tree.text(of: link)
      var expanded: [UInt8] = []
      expanded.append(contentsOf: 0..<text.count, of: text)
      if position < rest.count {
        expanded.append(UInt8(ascii: "/"))
        expanded += rest[position...]
      }
      (rest, position) = (expanded, 0)
      if rest.first == UInt8(ascii: "/") { node = EROFSTree.root }
    }
    try expand(link)
    while true {
      while position < rest.count, rest[position] == UInt8(ascii: "/") { position += 1 }
      guard position < rest.count else { return node }
      let end = rest[position...].firstIndex(of: UInt8(ascii: "/")) ?? rest.count
      let range = position..<end
      position = end
      if rest[range].elementsEqual(".".utf8) { continue }
      if rest[range].elementsEqual("..".utf8) {
        node = tree.nodes[node].parent
        continue
      }
      guard range.count <= 255, let next = tree.node(rest.span.extracting(range), in: node) else {
        throw wrong("leads through a symbolic link to something that this layer does not have")
      }
      switch tree.nodes[next].kind {
      case .directory: node = next
      case .symbolicLink: try expand(next)
      default: throw wrong("leads through a symbolic link to something that is not a directory")
      }
    }
  }
}
