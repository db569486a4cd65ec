extension TarReader {
  /// The sum of the header's bytes with its own field read as spaces; old tars added signed bytes.
  func checkSum() throws(FormatError) {
    let stated = try number(148..<156, "checksum")
    var unsigned: Int64 = 0
    // Bytes that are 256 less where they are signed.
    var high: Int64 = 0
    let bytes = block.span
    for index in 0..<512 {
      unsigned += Int64(bytes[index])
      high += Int64(bytes[index] >> 7)
    }
    for index in 148..<156 {
      unsigned += 0x20 - Int64(bytes[index])
      high -= Int64(bytes[index] >> 7)
    }
    let signed = unsigned - 256 * high
    guard stated == unsigned || stated == signed else {
      throw FormatError(
        "no tar header stands here: its checksum is \(stated) and should be \(unsigned)", at: .offset(Int(headerOffset))
      )
    }
  }

  private enum Dialect { case v7, ustar, star, gnu }

  private var dialect: Dialect {
    // POSIX: "ustar", NUL; GNU: "ustar", two spaces, NUL.
    guard block[257] == UInt8(ascii: "u"), block[257..<262].elementsEqual("ustar".utf8) else { return .v7 }
    switch block[262] {
    case 0: return block[508..<512].elementsEqual("tar\0".utf8) ? .star : .ustar
    case UInt8(ascii: " "): return block[263] == UInt8(ascii: " ") && block[264] == 0 ? .gnu : .v7
    default: return .v7
    }
  }

  /// Reads a member's header into `entry`, extended headers applied. True where it may be yielded at once, false where
  /// more of its map of holes must be read first.
  mutating func takeMember() throws(FormatError) -> Bool {
    let flag = block[156]
    let dialect = dialect
    for (key, value) in globals { try pending.applyGlobal(key, value, limits, self.headerOffset) }

    var path = field(0..<100)
    switch dialect {
    case .ustar, .star:
      let prefix = field(345..<(dialect == .star ? 476 : 500))
      if !prefix.isEmpty { path = prefix + [UInt8(ascii: "/")] + path }
    case .gnu, .v7: break
    }
    path = pending.longName ?? pending.sparseName ?? pending.path ?? path
    memberPath = path
    try checkName(path, "name")

    var kind = try kind(flag, path)
    if flag == 0, kind == .file, path.last == UInt8(ascii: "/") { kind = .directory }  // v7 had no kind for directories
    var entry = TarEntry(kind: kind, path: path)
    entry.mode = UInt32(truncatingIfNeeded: try number(100..<108, "mode") & 0o7777)
    entry.uid = try identifier(pending.uid, 108..<116, "uid", path)
    entry.gid = try identifier(pending.gid, 116..<124, "gid", path)
    entry.modified = try number(136..<148, "mtime")
    if let time = pending.modified { (entry.modified, entry.modifiedNanoseconds) = time }
    entry.attributes = pending.attributes
    if dialect != .v7, kind == .characterDevice || kind == .blockDevice {
      entry.deviceMajor = try device(329..<337, path)
      entry.deviceMinor = try device(337..<345, path)
    }
    if kind == .hardLink || kind == .symbolicLink {
      entry.linkTarget = pending.longLink ?? pending.linkPath ?? field(157..<257)
      guard !entry.linkTarget.isEmpty else { throw failure("is a link to nothing", path) }
      try checkText(entry.linkTarget, "link target", path)
    }
    return try takeSize(&entry, flag)
  }

  /// Settles how many bytes are stored and where in the file they belong.
  private mutating func takeSize(_ entry: inout TarEntry, _ flag: UInt8) throws(FormatError) -> Bool {
    let headerSize = try number(124..<136, "size")
    let stored = pending.size ?? headerSize
    guard (0...limits.fileSize).contains(stored) else {
      throw failure("has a size of \(stored) bytes; \(limits.fileSize) is the most", entry.path)
    }
    segments = []
    segmentIndex = 0
    segmentUsed = 0
    remaining = 0
    storedPadding = 0
    state = .data
    guard entry.kind == .file else {
      self.entry = entry
      return true
    }
    remaining = stored
    storedPadding = (512 - Int(stored % 512)) % 512

    if flag == UInt8(ascii: "S") {
      entry.size = try number(483..<495, "real size")
      try checkRealSize(entry)
      memberSize = entry.size
      self.entry = entry
      return try takeOldSparseHeader()
    }
    if let form = pending.sparseForm {
      guard let size = pending.sparseSize else { throw failure("is sparse but has no real size", entry.path) }
      entry.size = size
      try checkRealSize(entry)
      memberSize = size
      self.entry = entry
      if form == .inData {
        mapNumbers = []
        mapDigits = nil
        state = .sparseMap
        // The member is yielded before its map, which is the beginning of its data.
        return true
      }
      try setSegments(pending.sparseMap)
      return true
    }
    entry.size = stored
    segments = [Segment(offset: 0, length: stored)]
    self.entry = entry
    return true
  }

  private func checkRealSize(_ entry: TarEntry) throws(FormatError) {
    guard (0...limits.fileSize).contains(entry.size) else {
      throw failure("has a size of \(entry.size) bytes; \(limits.fileSize) is the most", entry.path)
    }
  }

  private func kind(_ flag: UInt8, _ path: [UInt8]) throws(FormatError) -> TarEntry.Kind {
    switch flag {
    case 0, UInt8(ascii: "0"), UInt8(ascii: "7"), UInt8(ascii: "S"): return .file
    case UInt8(ascii: "1"): return .hardLink
    case UInt8(ascii: "2"): return .symbolicLink
    case UInt8(ascii: "3"): return .characterDevice
    case UInt8(ascii: "4"): return .blockDevice
    case UInt8(ascii: "5"): return .directory
    case UInt8(ascii: "6"): return .fifo
    case UInt8(ascii: "D"): throw failure("is a directory of an incremental dump (type D); not supported", path)
    case UInt8(ascii: "M"): throw failure("goes on from another volume (type M); not supported", path)
    case UInt8(ascii: "V"): throw failure("is a volume label (type V); not supported", path)
    case UInt8(ascii: "N"): throw failure("is an old GNU list of long names (type N); not supported", path)
    case UInt8(ascii: "X"): throw failure("is a Solaris extended header (type X); not supported", path)
    default:
      let shown = (0x21..<0x7F).contains(flag) ? String(UnicodeScalar(flag)) : "0x" + String(flag, radix: 16)
      throw failure("has the unknown member type " + shown, path)
    }
  }

  private func checkName(_ path: [UInt8], _ what: String) throws(FormatError) {
    guard !path.isEmpty else { throw FormatError("a member has no name", at: .offset(Int(headerOffset))) }
    try checkText(path, what, path)
    if path.count <= limits.nameLength { return }
    for name in path.split(separator: UInt8(ascii: "/")) where name.count > limits.nameLength {
      throw failure("has a component of \(name.count) bytes; \(limits.nameLength) is the most", path)
    }
  }

  private func checkText(_ text: [UInt8], _ what: String, _ path: [UInt8]) throws(FormatError) {
    guard text.count <= limits.pathLength else {
      throw failure("has a \(what) of \(text.count) bytes; \(limits.pathLength) is the most", path)
    }
    guard !text.contains(0) else { throw failure("has a NUL in its \(what)", path) }
  }

  /// The all-ones id means "leave it" to chown(2) and belongs to nobody.
  private func identifier(
    _ extended: Int64?, _ range: Range<Int>, _ what: String, _ path: [UInt8]
  ) throws(FormatError) -> UInt32 {
    let inHeader = try number(range, what)
    let value = extended ?? inHeader
    guard (0..<Int64(UInt32.max)).contains(value) else { throw failure("has the impossible \(what) \(value)", path) }
    return UInt32(value)
  }

  private func device(_ range: Range<Int>, _ path: [UInt8]) throws(FormatError) -> UInt32 {
    let value = try number(range, "device number")
    guard let number = UInt32(exactly: value) else { throw failure("has the impossible device number \(value)", path) }
    return number
  }
}
