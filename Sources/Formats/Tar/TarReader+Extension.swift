/// What extended headers say about the next member (POSIX.1-2001 pax; GNU's `L`, `K` and `GNU.sparse.*`).
struct TarExtension: Sendable {
  enum SparseForm: Sendable { case inRecords, inData }

  var path: [UInt8]?
  var linkPath: [UInt8]?
  var longName: [UInt8]?
  var longLink: [UInt8]?
  var size: Int64?
  var uid: Int64?
  var gid: Int64?
  var modified: (Int64, UInt32)?
  var attributes: [TarEntry.Attribute] = []
  var sparseName: [UInt8]?
  var sparseSize: Int64?
  var sparseMajor: Int64?
  var sparseMinor: Int64?
  var sparseMap: [Int64] = []
  var hasSparseMap = false
  /// Which keys the member's own header gave: they hide a global header's.
  private var own: Set<String> = []

  init() {}

  /// Formats 0.0 and 0.1 carry the map in records, 1.0 at the beginning of the data (GNU tar manual, "Sparse Formats").
  var sparseForm: SparseForm? {
    if sparseMajor == 1, sparseMinor == 0 { return .inData }
    return hasSparseMap ? .inRecords : nil
  }

  mutating func applyGlobal(
    _ key: String, _ value: [UInt8], _ limits: TarLimits, _ offset: Int64
  ) throws(FormatError) {
    if !own.contains(key) { try set(key, value, limits, offset) }
  }

  mutating func apply(_ key: String, _ value: [UInt8], _ limits: TarLimits, _ offset: Int64) throws(FormatError) {
    own.insert(key)
    try set(key, value, limits, offset)
  }

  /// An empty value takes the key back. Keys that say nothing about a file system (comment, atime, uname …) are passed over.
  private mutating func set(
    _ key: String, _ value: [UInt8], _ limits: TarLimits, _ offset: Int64
  ) throws(FormatError) {
    func wrong(_ problem: String) -> FormatError {
      FormatError(
        problem, offending: String(decoding: value.prefix(256), as: UTF8.self), at: .offset(Int(offset)),
        keyPath: FormatError.presentable(key))
    }
    func whole() throws(FormatError) -> Int64? {
      if value.isEmpty { return nil }
      guard let number = TarNumber.decimal(value[...]) else { throw wrong("is not a whole number") }
      return number
    }
    func text() throws(FormatError) -> [UInt8]? {
      guard !value.contains(0) else { throw wrong("has a NUL in it") }
      return value.isEmpty ? nil : value
    }
    switch key {
    case "path": path = try text()
    case "linkpath": linkPath = try text()
    case "size": size = try whole()
    case "uid": uid = try whole()
    case "gid": gid = try whole()
    case "mtime":
      if value.isEmpty {
        modified = nil
      } else {
        guard let time = TarNumber.time(value[...]) else { throw wrong("is not a time in seconds") }
        modified = time
      }
    case "GNU.sparse.name": sparseName = try text()
    case "GNU.sparse.size", "GNU.sparse.realsize": sparseSize = try whole()
    case "GNU.sparse.major": sparseMajor = try whole()
    case "GNU.sparse.minor": sparseMinor = try whole()
    case "GNU.sparse.numblocks": hasSparseMap = true
    case "GNU.sparse.offset", "GNU.sparse.numbytes":
      hasSparseMap = true
      guard let number = try whole() else { throw wrong("is not a whole number") }
      guard sparseMap.count % 2 == (key == "GNU.sparse.offset" ? 0 : 1) else { throw wrong("stands out of order") }
      try add(number, limits, wrong)
    case "GNU.sparse.map":
      hasSparseMap = true
      sparseMap = []
      for part in value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) where !value.isEmpty {
        guard let number = TarNumber.decimal(part) else { throw wrong("is not a map of a sparse file") }
        try add(number, limits, wrong)
      }
    default:
      let prefix = "SCHILY.xattr."
      guard key.hasPrefix(prefix) else { return }
      let name = Array(key.utf8.dropFirst(prefix.utf8.count))
      guard (1...255).contains(name.count), !name.contains(0) else {
        throw wrong("is no name of an extended attribute")
      }
      guard value.count <= 65_536 else { throw wrong("is a value of more than 65,536 bytes") }
      guard !attributes.contains(where: { $0.name == name }) else { throw wrong("is given twice") }
      guard attributes.count < limits.attributes else {
        throw wrong("is one extended attribute too many; a member may have \(limits.attributes)")
      }
      attributes.append(TarEntry.Attribute(name: name, value: value))
    }
  }

  private mutating func add(
    _ number: Int64, _ limits: TarLimits, _ wrong: (String) -> FormatError
  ) throws(FormatError) {
    guard sparseMap.count < 2 * limits.segments else { throw wrong("belongs to a map of too many pieces") }
    sparseMap.append(number)
  }
}

extension TarReader {
  /// Deals with the whole body of an extended header.
  mutating func takeMetadata(_ kind: MetadataKind, _ body: [UInt8]) throws(FormatError) {
    let (limits, offset) = (limits, headerOffset)
    switch kind {
    case .longName: pending.longName = try longText(body, "name")
    case .longLink: pending.longLink = try longText(body, "link target")
    case .pax:
      for (key, value) in try Self.records(body, offset) { try pending.apply(key, value, limits, offset) }
    case .paxGlobal:
      globalSize += body.count
      guard globalSize <= limits.metadata else {
        throw FormatError("the global headers have more than \(limits.metadata) bytes", at: .offset(Int(headerOffset)))
      }
      for (key, value) in try Self.records(body, offset) {
        // A mebibyte of attributes on every 512-byte member would be a bomb, and nobody writes them.
        if key.hasPrefix("SCHILY.xattr.") || key.hasPrefix("GNU.sparse.") {
          throw FormatError(
            "stands in a global header, where it would hold for every member; not supported", offending: key,
            at: .offset(Int(offset)))
        }
        if let place = globals.firstIndex(where: { $0.key.hasSameBytes(as: key) }) {
          globals[place].value = value
        } else {
          guard globals.count < limits.attributes else {
            throw FormatError(
              "is one record of global headers too many; there may be \(limits.attributes)", offending: key,
              at: .offset(Int(headerOffset)))
          }
          globals.append((key, value))
        }
      }
    }
  }

  private func longText(_ body: [UInt8], _ what: String) throws(FormatError) -> [UInt8] {
    let text = Array(body.prefix { $0 != 0 })
    guard !text.isEmpty else { throw FormatError("a long \(what) is empty", at: .offset(Int(headerOffset))) }
    return text
  }

  /// `LENGTH KEY=VALUE\n`, the length counting itself (POSIX.1-2001, "pax Extended Header").
  private static func records(
    _ body: [UInt8], _ offset: Int64
  ) throws(FormatError) -> [(key: String, value: [UInt8])] {
    var records: [(key: String, value: [UInt8])] = []
    var start = 0
    while start < body.count {
      func wrong() -> FormatError {
        FormatError(
          "is not a record of an extended header",
          offending: String(decoding: body[start...].prefix(80), as: UTF8.self),
          at: .offset(Int(offset)))
      }
      // Some writers fill up with NULs; nothing may follow those.
      if body[start] == 0 {
        guard body[start...].allSatisfy({ $0 == 0 }) else { throw wrong() }
        break
      }
      guard let space = body[start...].prefix(12).firstIndex(of: 0x20),
        let length = TarNumber.decimal(body[start..<space]),
        length > 0, length <= Int64(body.count - start)
      else { throw wrong() }
      let end = start + Int(length)
      guard end > space + 1, body[end - 1] == UInt8(ascii: "\n"),
        let equals = body[(space + 1)..<(end - 1)].firstIndex(of: UInt8(ascii: "=")), equals > space + 1,
        let key = String(validating: Array(body[(space + 1)..<equals]).span)
      else { throw wrong() }
      records.append((key, Array(body[(equals + 1)..<(end - 1)])))
      start = end
    }
    return records
  }
}
