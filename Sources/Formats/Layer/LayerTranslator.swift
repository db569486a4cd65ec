/// From a layer's tar to the records of a layer stream: names made relative and plain, whiteouts told apart, hostile names
/// refused (image-spec, layer.md). This is what the confined worker runs; it makes no system call.
///
/// A leading slash is dropped, as every tool that unpacks layers does; `..` anywhere in a name or a hard link's target is
/// refused. A symbolic link's text is kept as it is: it is never followed here.
public struct LayerTranslator: ~Copyable, Sendable {
  private var reader: TarReader
  /// Bytes to be written to the pipe stand in `encoder.bytes`; take them after each `feed` and call `encoder.removeAll()`.
  public var encoder: LayerStreamEncoder
  private var filePosition: Int64 = 0
  private var fileSize: Int64 = 0

  public init(limits: LayerLimits = LayerLimits()) {
    reader = TarReader(limits: TarLimits(limits))
    encoder = LayerStreamEncoder(limits: limits)
  }

  /// Translates the next bytes of the uncompressed tar.
  public mutating func feed(_ chunk: Span<UInt8>) throws(FormatError) {
    var position = 0
    while true {
      switch try reader.next(chunk, at: &position) {
      case .entry(let entry):
        try finishFile()
        let record = try Self.record(of: entry)
        fileSize = record.size
        try encoder.entry(record)
      case .data(let offset, let range):
        try encoder.hole(offset - filePosition)
        try encoder.data(chunk.extracting(range))
        filePosition = offset + Int64(range.count)
      case .end: break
      case .needsInput: return
      }
    }
  }

  /// Says that the tar is at its end, with its SHA-256.
  public mutating func finish(digest: Digest) throws(FormatError) {
    try reader.finish()
    try finishFile()
    try encoder.end(digest: digest)
  }

  /// A sparse file may end in a hole.
  private mutating func finishFile() throws(FormatError) {
    try encoder.hole(fileSize - filePosition)
    (filePosition, fileSize) = (0, 0)
  }

  /// What a member of a layer's tar means.
  /// - Throws: `FormatError` with the member's name, where it can mean nothing or leads out of the layer.
  static func record(of entry: TarEntry) throws(FormatError) -> LayerRecord {
    let path = try Self.normalised(entry.path, of: entry, "name")
    let name = path.bytes[path.last...]

    if name.starts(with: deletion) {
      // An empty file says it; whatever else the entry carries means nothing.
      guard entry.kind == .file || entry.kind == .hardLink, entry.size == 0 else {
        throw Self.wrong(entry, "is a whiteout and not an empty file")
      }
      if name.elementsEqual(".wh..wh..opq".utf8) {
        return LayerRecord(kind: .opaque, path: Array(path.bytes[..<max(path.last - 1, 0)]))
      }
      if name.starts(with: ".wh..wh.".utf8) {
        throw Self.wrong(entry, "is bookkeeping of AUFS, not a part of an image; refused")
      }
      let victim = name.dropFirst(deletion.count)
      guard !victim.isEmpty, !victim.elementsEqual(".".utf8), !victim.elementsEqual("..".utf8) else {
        throw Self.wrong(entry, "is a whiteout of nothing that can be deleted")
      }
      return LayerRecord(kind: .whiteout, path: Array(path.bytes[..<path.last]) + victim)
    }
    // Below a whiteout's name nothing can be: the writer would make a directory of that name.
    if path.hasDeletion { throw Self.wrong(entry, "lies below a whiteout") }

    var record = LayerRecord(kind: Self.kind(entry.kind), path: path.bytes)
    if entry.kind != .directory {
      if path.bytes.isEmpty { throw Self.wrong(entry, "names the layer's root and is not a directory") }
      if entry.path.last == UInt8(ascii: "/") { throw Self.wrong(entry, "ends in a slash and is not a directory") }
    }
    switch entry.kind {
    case .hardLink:
      let target = try Self.normalised(entry.linkTarget, of: entry, "hard link's target")
      if target.bytes.isEmpty { throw Self.wrong(entry, "is a hard link to the layer's root") }
      if target.hasDeletion { throw Self.wrong(entry, "is a hard link to a whiteout") }
      record.target = target.bytes
      // A link to itself says nothing; some writers emit it.
      if record.target == record.path { throw Self.wrong(entry, "is a hard link to itself") }
    case .symbolicLink: record.target = entry.linkTarget
    case .file: record.size = entry.size
    default: break
    }
    record.mode = entry.mode
    record.uid = entry.uid
    record.gid = entry.gid
    record.modified = entry.modified
    record.modifiedNanoseconds = entry.modifiedNanoseconds
    record.attributes = entry.attributes
    record.deviceMajor = entry.deviceMajor
    record.deviceMinor = entry.deviceMinor
    return record
  }

  private static func kind(_ kind: TarEntry.Kind) -> LayerRecord.Kind {
    switch kind {
    case .file: .file
    case .hardLink: .hardLink
    case .symbolicLink: .symbolicLink
    case .characterDevice: .characterDevice
    case .blockDevice: .blockDevice
    case .directory: .directory
    case .fifo: .fifo
    }
  }

  /// What the names of whiteouts begin with.
  private static let deletion = Array(".wh.".utf8)

  /// A path's names joined by single slashes, without empty ones and `.`.
  private struct PlainPath {
    var bytes: [UInt8] = []
    /// Where the last name begins.
    var last = 0
    /// Whether one of the names is a whiteout's.
    var hasDeletion = false
  }

  /// - Throws: `FormatError` where a name is `..`.
  private static func normalised(
    _ path: [UInt8], of entry: TarEntry, _ what: String
  ) throws(FormatError) -> PlainPath {
    let dot = UInt8(ascii: ".")
    var plain = PlainPath()
    plain.bytes.reserveCapacity(path.count)
    var start = 0
    while start < path.count {
      var end = start
      while end < path.count, path[end] != UInt8(ascii: "/") { end += 1 }
      let name = path[start..<end]
      start = end + 1
      if name.isEmpty || name.count == 1 && name.first == dot { continue }
      if name.count == 2, name.first == dot, name.last == dot {
        throw wrong(entry, "has .. in its \(what), which could lead out of the layer")
      }
      if !plain.bytes.isEmpty { plain.bytes.append(UInt8(ascii: "/")) }
      plain.last = plain.bytes.count
      plain.bytes += name
      if name.first == dot, name.starts(with: deletion) { plain.hasDeletion = true }
    }
    return plain
  }

  private static func wrong(_ entry: TarEntry, _ problem: String) -> FormatError {
    FormatError(problem, offending: String(decoding: entry.path.prefix(256), as: UTF8.self))
  }
}

extension TarLimits {
  /// What a layer's limits mean for its tar.
  init(_ limits: LayerLimits) {
    self.init()
    // Extended headers count as members of the archive, up to three before each.
    entries = limits.entries > Int.max / 4 ? .max : 4 * limits.entries
    fileSize = limits.fileSize
    attributes = limits.attributes
  }
}
