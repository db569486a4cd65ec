/// A tree under construction: everything that an image's metadata says, in flat tables.
///
/// A node is a file, directory, link or device; an entry is a name in a directory that leads to one. Both are known by number.
/// An entry whose name was taken away stays as a grave, to be used again for the same name. No function recurses.
struct EROFSTree: ~Copyable, Sendable {
  struct Node: BitwiseCopyable {
    var modified: Int64 = 0
    /// Bytes of a file or of a link's text; a directory's is known once it is laid out.
    var size: UInt64 = 0
    var nanoseconds: UInt32 = 0
    var uid: UInt32 = 0
    var gid: UInt32 = 0
    /// Names that lead here; 0 is a node that has gone. Directories count one, whatever is in them.
    var links: UInt32 = 0
    /// A file's first block or, in pieces, its first extent; a link's text in `names`; a device's number; a directory's first entry.
    var place: UInt32 = 0
    /// A file's number of extents; for a directory or link the first of the blocks that its contents have for themselves.
    var extent: UInt32 = 0
    /// Of a directory, the one it is in; the root is its own.
    var parent: UInt32 = 0
    /// Its set in `EROFSTree.attributes`; 0 for none.
    var attributes: UInt32 = 0
    /// The inode's number, once laid out.
    var id: UInt32 = 0
    var mode: UInt16 = 0
    /// Of a file in pieces: blocks of a chunk, as a power of two.
    var chunkBits: UInt8 = 0
    var form: Form = .plain

    var kind: EROFSKind { EROFSKind(mode: mode) ?? .file }
    var isDirectory: Bool { mode & 0o170000 == 0o040000 }
    var isLink: Bool { mode & 0o170000 == 0o120000 }
  }

  /// How a node's contents lie: in blocks one behind the other, with the rest behind the inode, or in pieces.
  enum Form: UInt8 { case plain, inline, chunks }

  struct Entry: BitwiseCopyable {
    var parent: UInt32
    /// `none` for a grave.
    var node: UInt32
    /// Where its length (one byte) and its bytes are in `names`.
    var name: UInt32
    /// The next entry of the same directory.
    var next: UInt32
  }

  /// Blocks of a file that lie one behind the other in the image; what no extent covers is a hole.
  struct Extent: BitwiseCopyable {
    var fileBlock: UInt32
    var imageBlock: UInt32
    var count: UInt32
  }

  /// A place of the index, with a part of the hash: other entries that fall on it are not looked at, which may not be in memory.
  struct Slot: BitwiseCopyable {
    var entry = EROFSTree.none
    var tag: UInt32 = 0
  }

  static let none = UInt32.max
  static let root: UInt32 = 0

  var nodes: FlatTable<Node>
  var entries: FlatTable<Entry>
  var extents: FlatTable<Extent>
  var names: BytePool
  var attributes: EROFSAttributes
  let pool: PagePool
  /// The most nodes that there may be; every entry is bounded with them.
  let maximumNodes: Int
  /// Open addressing over `entries`, by directory and name; `none` is an empty place.
  private var table: FlatTable<Slot>
  private var mask: Int

  /// Bytes of names and of links' texts at most.
  static let maximumNames = 256 << 20
  /// Pieces of sparse files at most.
  static let maximumExtents = 4 << 20

  /// A tree with a root directory, 0755, of root.
  init(maximumNodes: Int, _ pool: PagePool) {
    self.maximumNodes = max(1, min(maximumNodes, 1 << 30))
    self.pool = pool
    table = FlatTable(pool, spills: false)
    table.append(Slot(), count: 1024)
    mask = 1023
    var root = Node()
    root.mode = 0o040755
    root.links = 1
    root.place = Self.none
    nodes = FlatTable(pool, first: root)
    entries = FlatTable(pool)
    extents = FlatTable(pool)
    names = BytePool(pool)
    attributes = EROFSAttributes(pool)
  }

  // MARK: Looking

  /// The entry of a name that is there.
  func lookup(_ name: Span<UInt8>, in directory: UInt32) -> UInt32? {
    guard let entry = find(name, in: directory), entries[entry].node != Self.none else { return nil }
    return entry
  }

  func node(_ name: Span<UInt8>, in directory: UInt32) -> UInt32? {
    lookup(name, in: directory).map { entries[$0].node }
  }

  @_lifetime(borrow self)
  func name(of entry: UInt32) -> Span<UInt8> {
    let position = entries[entry].name
    let count = Int(names.bytes(at: position, count: 1)[0])
    return names.bytes(at: position + 1, count: count)
  }

  @_lifetime(borrow self)
  func text(of link: UInt32) -> Span<UInt8> { names.bytes(at: nodes[link].place, count: Int(nodes[link].size)) }

  // MARK: Building

  mutating func makeNode(_ node: Node) throws(FormatError) -> UInt32 {
    guard nodes.count < maximumNodes else {
      throw FormatError("the layer has more than \(maximumNodes) files, folders that it only implies counted in")
    }
    try nodes.append(node)
    return UInt32(nodes.count - 1)
  }

  /// A new directory under a name that is not there.
  mutating func makeDirectory(
    _ name: Span<UInt8>, in directory: UInt32, mode: UInt16
  ) throws(FormatError) -> UInt32 {
    var node = Node()
    node.mode = 0o040000 | mode & 0o7777
    node.place = Self.none
    node.parent = directory
    let index = try makeNode(node)
    try link(index, name, in: directory)
    return index
  }

  /// Gives a node a name that is not there.
  mutating func link(_ node: UInt32, _ name: Span<UInt8>, in directory: UInt32) throws(FormatError) {
    if let entry = find(name, in: directory) {
      entries[entry].node = node
    } else {
      guard names.count < Self.maximumNames, entries.count < Int(UInt32.max) - 1 else {
        throw FormatError("the layer has more than \(Self.maximumNames) bytes of names")
      }
      let length: [UInt8] = [UInt8(truncatingIfNeeded: name.count)]
      let position = try names.append(length.span, name)
      try entries.append(
        Entry(parent: directory, node: node, name: position, next: nodes[directory].place))
      let entry = UInt32(entries.count - 1)
      nodes[directory].place = entry
      if entries.count > mask / 4 * 3 { grow() }
      insert(entry)
    }
    nodes[node].links += 1
  }

  /// Takes a name away, with all that is below a directory.
  mutating func remove(_ entry: UInt32) {
    var stack = [entry]
    while let entry = stack.popLast() {
      let node = entries[entry].node
      if node == Self.none { continue }
      entries[entry].node = Self.none
      nodes[node].links -= 1
      if nodes[node].isDirectory { stack += children(of: node) }
    }
  }

  /// Takes away all that is in a directory.
  mutating func empty(_ directory: UInt32) {
    for entry in children(of: directory) { remove(entry) }
  }

  private func children(of directory: UInt32) -> [UInt32] {
    var result: [UInt32] = []
    var entry = nodes[directory].place
    while entry != Self.none {
      if entries[entry].node != Self.none { result.append(entry) }
      entry = entries[entry].next
    }
    return result
  }

  mutating func append(_ extent: Extent) throws(FormatError) {
    guard extents.count < Self.maximumExtents else {
      throw FormatError("the layer's sparse files have more than \(Self.maximumExtents) pieces")
    }
    try extents.append(extent)
  }

  // MARK: The index

  /// The standard library's hasher is seeded anew in each process: nobody can make names that all fall on one place.
  private static func hash(_ name: Span<UInt8>, _ directory: UInt32) -> Int {
    var hasher = Hasher()
    hasher.combine(directory)
    // SAFETY: the pointer does not leave the closure.
    unsafe name.withUnsafeBytes { bytes in unsafe hasher.combine(bytes: bytes) }
    return hasher.finalize()
  }

  private func find(_ name: Span<UInt8>, in directory: UInt32) -> UInt32? {
    let hash = Self.hash(name, directory)
    let tag = UInt32(truncatingIfNeeded: hash >> 32)
    var place = hash & mask
    while true {
      let slot = table[place]
      let entry = slot.entry
      if entry == Self.none { return nil }
      if slot.tag == tag, entries[entry].parent == directory, Self.areEqual(self.name(of: entry), name) { return entry }
      place = (place + 1) & mask
    }
  }

  private mutating func insert(_ entry: UInt32) {
    let hash = Self.hash(name(of: entry), entries[entry].parent)
    var place = hash & mask
    while table[place].entry != Self.none { place = (place + 1) & mask }
    table[place] = Slot(entry: entry, tag: UInt32(truncatingIfNeeded: hash >> 32))
  }

  private mutating func grow() {
    let size = table.count * 2
    // The old one goes first.
    table = FlatTable(pool, spills: false)
    table.append(Slot(), count: size)
    mask = size - 1
    for entry in 0..<entries.count - 1 {
      insert(UInt32(entry))
      pool.step()
    }
  }

  static func areEqual(_ one: Span<UInt8>, _ other: Span<UInt8>) -> Bool {
    guard one.count == other.count else { return false }
    for index in 0..<one.count where one[index] != other[index] { return false }
    return true
  }

  /// The order of names in a directory: as unsigned bytes, a beginning before what it begins.
  static func isLess(_ one: Span<UInt8>, _ other: Span<UInt8>) -> Bool {
    for index in 0..<min(one.count, other.count) where one[index] != other[index] {
      return one[index] < other[index]
    }
    return one.count < other.count
  }
}
