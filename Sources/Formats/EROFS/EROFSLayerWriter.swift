/// Writes a layer as one EROFS image in one pass, without touching a disk: block 0, then the contents of files, each from a block
/// of its own on and in the order in which they come, then the metadata.
///
/// What it makes of a layer is what `LayerWriter` would make of it in a folder: paths are resolved inside the layer through its own
/// links, folders that are only implied are made, later entries replace earlier ones, whiteouts and opaque marks come last and are
/// written as overlayfs reads them. Of the layer, only names and numbers stay in memory: about 100 bytes an entry beside its name.
/// The same records give the same bytes.
public struct EROFSLayerWriter: ~Copyable, Sendable {
  public struct Summary: Sendable {
    /// The 4096 bytes that belong at the image's beginning instead of the zeros that `output` began with.
    public let block0: [UInt8]
    /// Bytes of contents, holes not counted.
    public let bytes: Int64
    /// Records that were taken.
    public let entries: Int64
    /// What could not be kept as the layer had it, as a person reads it.
    public let notes: [String]
    /// Bytes of the image, a multiple of 4096.
    public let size: UInt64
  }

  /// What is to be appended to the image's file; the caller takes it and calls `removeOutput`.
  public private(set) var output: [UInt8]
  /// Where in the image the next byte of contents belongs.
  public private(set) var position: UInt64

  let limits: LayerLimits
  var tree: EROFSTree
  var notes = LayerNotes()
  private var bytes: Int64 = 0
  private var entries: Int64 = 0
  private var file = OpenFile()
  /// Bytes of zeros and of maps that sparse files cost, and how many they may.
  private var overhead: UInt64 = 0
  private let maximumOverhead: UInt64
  /// The folder of the entry before this one, by path: archives are in order, so it is mostly the next one's too.
  var parentPath: [UInt8] = []
  var parentNode: UInt32 = EROFSTree.none
  /// Paths of whiteouts and opaque folders, each behind its length in two bytes.
  private var whiteouts: [UInt8] = []
  private var opaque: [UInt8] = []
  private var layout: EROFSLayout?
  private var emission = EROFSEmission()
  private static let zeroBlock = [UInt8](repeating: 0, count: EROFSFormat.blockSize)
  /// Bytes of paths that are kept until the end.
  static let maximumKeptBytes = 256 << 20

  /// The file whose contents come.
  private struct OpenFile {
    var node = EROFSTree.none
    var size: UInt64 = 0
    var end: UInt64 = 0
    /// Contents come in units of so many bytes: the larger the file, the larger, so that its map stays small.
    var unit: UInt64 = 4096
    /// What was written of the file ends here; behind it, up to `end`, is a hole.
    var written: UInt64 = 0
    var extents: UInt32 = 0
  }

  public init(limits: LayerLimits = LayerLimits(), pool: PagePool = PagePool()) {
    self.limits = limits
    tree = EROFSTree(maximumNodes: max(limits.entries, 1 << 16), pool)
    output = [UInt8](repeating: 0, count: EROFSFormat.blockSize)
    position = UInt64(EROFSFormat.blockSize)
    maximumOverhead = UInt64(max(limits.totalBytes, 64 << 20))
  }

  /// Forgets the bytes that were written; the room stays.
  public mutating func removeOutput() { output.removeAll(keepingCapacity: true) }

  // MARK: Events

  /// Makes the next entry; a file's contents follow with `data` and `hole`, and make up its whole size.
  /// - Throws: `FormatError` with the entry's name. The writer is of no further use then.
  public mutating func add(_ record: LayerRecord) throws(FormatError) {
    try finishFile(before: record)
    try record.check(limits)
    guard entries < Int64(limits.entries) else {
      throw FormatError("the layer has more than \(limits.entries) entries: refused as a bomb", offending: record.name)
    }
    entries += 1
    switch record.kind {
    case .whiteout:
      guard !record.path.isEmpty else { throw FormatError("the layer would hide the whole root: refused") }
      try Self.keep(record.path, in: &whiteouts)
    case .opaque: try Self.keep(record.path, in: &opaque)
    default: try make(record)
    }
  }

  /// The next contents of the file that was added last.
  public mutating func data(_ contents: Span<UInt8>) throws(FormatError) {
    guard !contents.isEmpty else { return }
    try prepare(contents.count)
    output.append(contentsOf: 0..<contents.count, of: contents)
  }

  /// Takes note of contents that the caller writes itself, right behind `output` as it is now, which it has written before.
  public mutating func directData(_ count: Int) throws(FormatError) {
    guard count > 0 else { return }
    try prepare(count)
  }

  /// The next so many bytes of the file are a hole.
  public mutating func hole(_ count: Int64) throws(FormatError) {
    guard count != 0 else { return }
    guard file.node != EROFSTree.none, count > 0, UInt64(count) <= file.size - file.end else {
      throw FormatError("a file has more contents than its size")
    }
    // What is left of a unit that has contents are zeros; whole ones are left out.
    let start = file.end
    file.end += UInt64(count)
    if start == file.written, start % file.unit != 0 {
      try zeros(min(file.end, start - start % file.unit + file.unit) - start)
    }
  }

  // MARK: Contents

  /// Gets ready for contents: fills up what of their unit was a hole before.
  private mutating func prepare(_ count: Int) throws(FormatError) {
    guard file.node != EROFSTree.none, UInt64(count) <= file.size - file.end else {
      throw FormatError("a file has more contents than its size")
    }
    guard Int64(count) <= limits.totalBytes - bytes else {
      throw FormatError("the layer has more than \(limits.totalBytes) bytes of contents: refused as a bomb")
    }
    let start = max(file.written, file.end - file.end % file.unit)
    if start != file.written || file.extents == 0 { try beginExtent(at: start) }
    if file.end > start { try zeros(file.end - start) }
    bytes += Int64(count)
    file.end += UInt64(count)
    try advance(UInt64(count))
  }

  private mutating func beginExtent(at start: UInt64) throws(FormatError) {
    closeExtent()
    let first = UInt32(truncatingIfNeeded: tree.extents.count)
    try tree.append(
      EROFSTree.Extent(
        fileBlock: UInt32(truncatingIfNeeded: start / 4096), imageBlock: UInt32(truncatingIfNeeded: position / 4096),
        count: 0))
    if file.extents == 0 { tree.nodes[file.node].place = first }
    file.extents += 1
    file.written = start
  }

  private mutating func closeExtent() {
    guard file.extents > 0 else { return }
    let last = tree.extents.count - 1
    let blocks = (file.written + 4095) / 4096
    tree.extents[last].count = UInt32(truncatingIfNeeded: blocks) - tree.extents[last].fileBlock
  }

  private mutating func zeros(_ count: UInt64) throws(FormatError) {
    // A part of one block is what every file system spends.
    if file.unit > 4096 { overhead += count }
    guard overhead <= maximumOverhead else {
      throw FormatError("the layer's sparse files need more than \(maximumOverhead) bytes of zeros: refused as a bomb")
    }
    try advance(count)
    output.append(contentsOf: repeatElement(0, count: Int(count)))
  }

  private mutating func advance(_ count: UInt64) throws(FormatError) {
    position += count
    file.written += count
    guard position / 4096 < UInt64(UInt32.max) - 1 else { throw FormatError("the image has more than 16 TiB") }
  }

  private mutating func finishFile(before next: LayerRecord? = nil) throws(FormatError) {
    guard file.node != EROFSTree.none else { return }
    guard file.end == file.size else {
      throw FormatError("a file lacks \(file.size - file.end) of its bytes", offending: next?.name ?? "")
    }
    closeExtent()
    let padding = (4096 - position % 4096) % 4096
    output.append(contentsOf: 0..<Int(padding), of: Self.zeroBlock.span)
    position += padding
    settle()
    file = OpenFile()
  }

  /// A file without holes needs no map.
  private mutating func settle() {
    let blocks = (file.size + 4095) / 4096
    let place = tree.nodes[file.node].place
    guard blocks > 0 else { return }
    if file.extents == 1, tree.extents[place].fileBlock == 0, UInt64(tree.extents[place].count) == blocks {
      tree.nodes[file.node].place = tree.extents[place].imageBlock
      tree.extents.removeLast()
    } else {
      tree.nodes[file.node].form = .chunks
      tree.nodes[file.node].extent = file.extents
    }
  }

  /// The contents of a new file follow.
  func unit(_ size: UInt64) -> UInt64 {
    var unit: UInt64 = 4096
    while size / unit > 1 << 20 { unit *= 2 }
    return unit
  }

  mutating func open(_ node: UInt32, size: UInt64) {
    file = OpenFile(node: node, size: size, unit: unit(size))
  }

  // MARK: The end

  private static func keep(_ path: [UInt8], in list: inout [UInt8]) throws(FormatError) {
    guard path.count <= Int(UInt16.max), list.count + path.count <= maximumKeptBytes else {
      throw FormatError("the layer hides more names than can be remembered: refused as a bomb")
    }
    list.appendLittleEndian(UInt16(path.count))
    list += path
  }

  /// They hide what lower layers have, and nothing of their own: so they come once everything else is there.
  private mutating func applyWhiteouts() throws(FormatError) {
    for isOpaque in [false, true] {
      let list = isOpaque ? opaque : whiteouts
      var offset = 0
      while offset + 2 <= list.count {
        let count = Int(list[offset]) | Int(list[offset + 1]) << 8
        let path = Array(list[offset + 2..<offset + 2 + count])
        if isOpaque { try makeOpaque(path) } else { try makeWhiteout(path) }
        offset += 2 + count
      }
    }
    (whiteouts, opaque) = ([], [])
  }

  /// Writes the next piece of the metadata to `output`. False once all of it is there.
  /// - Throws: `FormatError` where the last file is cut short, or a whiteout lies where none can be.
  public mutating func finishStep() throws(FormatError) -> Bool {
    let layout: EROFSLayout
    if let known = self.layout {
      layout = known
    } else {
      try finishFile()
      try applyWhiteouts()
      layout = try tree.layOut(firstBlock: position / 4096, overhead: maximumOverhead - overhead)
      self.layout = layout
    }
    return tree.emit(layout, &emission, into: &output)
  }

  /// Writes what is left of the metadata, and says what goes into block 0.
  public mutating func finish() throws(FormatError) -> Summary {
    while try finishStep() {}
    guard let layout else { throw FormatError("the image has no metadata") }
    let superblock = EROFSSuperblockWriter(layout: layout, blocks: layout.endBlock)
    return Summary(
      block0: superblock.encode(reserved: 1), bytes: bytes, entries: entries, notes: notes.lines,
      size: layout.endBlock * UInt64(EROFSFormat.blockSize))
  }
}
