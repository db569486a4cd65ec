/// Reads TOML 1.0.0 text into a tree. Never traps, whatever the bytes; nesting of tables and arrays is bounded by 64.
struct TOMLParser: ~Copyable, ~Escapable {
  static let maximumDepth = 64

  let bytes: Span<UInt8>
  var offset = 0
  var line = 1
  private var lineStart = 0

  @_lifetime(copy bytes)
  init(_ bytes: Span<UInt8>) throws(FormatError) {
    self.bytes = bytes
    guard String(validating: bytes) != nil else { throw FormatError("the TOML text is not UTF-8") }
  }

  mutating func document() throws(FormatError) -> TOMLTable {
    let root = TOMLDraft(depth: 0, line: 1)
    var section = root
    // Tables that dotted keys of the present section made; they close for other sections when it ends.
    var dotted: [TOMLDraft] = []
    while true {
      skipBlank()
      guard let byte = current else { break }
      switch byte {
      case UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "#"): break
      case UInt8(ascii: "["):
        for table in dotted { table.isDefined = true }
        dotted = []
        section = try header(root)
      default:
        let start = offset
        let keyLine = line
        let path = try keyPath()
        try expect(UInt8(ascii: "="), "after a key")
        skipBlank()
        let depth = section.depth + path.count
        let value = try value(depth: depth)
        try insert(path, value, into: section, at: start, line: keyLine) { table in dotted.append(table) }
      }
      try endOfLine()
    }
    return root.finished()
  }

  // MARK: Tables

  private mutating func header(_ root: TOMLDraft) throws(FormatError) -> TOMLDraft {
    let start = offset
    offset += 1
    let isArray = current == UInt8(ascii: "[")
    if isArray { offset += 1 }
    skipBlank()
    let path = try keyPath()
    try expect(UInt8(ascii: "]"), "at the end of a table's header")
    if isArray {
      guard current == UInt8(ascii: "]") else { throw unexpected("where the second ] of a header should be") }
      offset += 1
    }

    var table = root
    for key in path.dropLast() {
      switch table[key] {
      case nil:
        let next = TOMLDraft(depth: table.depth + 1, line: line)
        table.add(key, .table(next), line: line)
        table = next
      case .table(let next): table = next
      case .tables(let list):
        guard let last = list.tables.last else { throw twice(key, in: table, at: start) }
        table = last
      case .finished: throw twice(key, in: table, at: start)
      }
    }
    let key = path[path.count - 1]
    let next = TOMLDraft(depth: table.depth + 1, line: line)
    next.isDefined = true
    switch (table[key], isArray) {
    case (nil, false): table.add(key, .table(next), line: line)
    case (nil, true):
      let elements = TOMLDraft.Elements()
      elements.tables.append(next)
      table.add(key, .tables(elements), line: line)
    case (.tables(let elements), true): elements.tables.append(next)
    case (.table(let known), false) where !known.isDefined:
      known.isDefined = true
      return known
    default: throw twice(key, in: table, at: start)
    }
    return next
  }

  /// Puts a value where a dotted key says, making the tables in between.
  private func insert(
    _ path: [String], _ value: TOMLValue, into section: TOMLDraft, at start: Int, line: Int,
    made: (TOMLDraft) -> Void
  ) throws(FormatError) {
    var table = section
    for key in path.dropLast() {
      switch table[key] {
      case nil:
        let next = TOMLDraft(depth: table.depth + 1, line: line)
        table.add(key, .table(next), line: line)
        table = next
      case .table(let next) where !next.isDefined: table = next
      default: throw twice(key, in: table, at: start)
      }
      made(table)
    }
    let key = path[path.count - 1]
    guard table[key] == nil else { throw twice(key, in: table, at: start) }
    table.add(key, .finished(value), line: line)
  }

  private func twice(_ key: String, in table: TOMLDraft, at start: Int) -> FormatError {
    FormatError(
      "is defined already, in line \(table.line(of: key) ?? table.line)", offending: key,
      at: FormatError.position(of: start, in: bytes))
  }

  // MARK: Keys

  /// One key, or several parted by dots.
  private mutating func keyPath() throws(FormatError) -> [String] {
    var path: [String] = []
    while true {
      guard path.count < Self.maximumDepth else {
        throw failure("nests deeper than \(Self.maximumDepth) levels", offset..<offset)
      }
      path.append(try key())
      skipBlank()
      guard current == UInt8(ascii: ".") else { return path }
      offset += 1
      skipBlank()
    }
  }

  private mutating func key() throws(FormatError) -> String {
    let start = offset
    switch current {
    case UInt8(ascii: "\""): return try basicString()
    case UInt8(ascii: "'"): return try literalString()
    default:
      while let byte = current, Self.isBare(byte) { offset += 1 }
      guard offset > start else { throw unexpected("where a key should be") }
      return text(start..<offset)
    }
  }

  static func isBare(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  // MARK: Values

  mutating func value(depth: Int) throws(FormatError) -> TOMLValue {
    guard depth <= Self.maximumDepth else {
      throw failure("nests deeper than \(Self.maximumDepth) levels", offset..<offset)
    }
    switch current {
    case UInt8(ascii: "\""):
      return .string(startsWithThree(UInt8(ascii: "\"")) ? try multilineBasicString() : try basicString())
    case UInt8(ascii: "'"):
      return .string(startsWithThree(UInt8(ascii: "'")) ? try multilineLiteralString() : try literalString())
    case UInt8(ascii: "["): return .array(try array(depth: depth))
    case UInt8(ascii: "{"): return .table(try inlineTable(depth: depth))
    default: return try scalar()
    }
  }

  private mutating func array(depth: Int) throws(FormatError) -> [TOMLItem] {
    offset += 1
    var items: [TOMLItem] = []
    while true {
      try skipLines()
      if current == UInt8(ascii: "]") { break }
      let start = line
      items.append(TOMLItem(value: try value(depth: depth + 1), line: start))
      try skipLines()
      if current == UInt8(ascii: ",") {
        offset += 1
        continue
      }
      guard current == UInt8(ascii: "]") else { throw unexpected("where , or the end of an array should be") }
    }
    offset += 1
    return items
  }

  private mutating func inlineTable(depth: Int) throws(FormatError) -> TOMLTable {
    offset += 1
    let table = TOMLDraft(depth: depth, line: line)
    skipBlank()
    if current == UInt8(ascii: "}") {
      offset += 1
      return table.finished()
    }
    while true {
      let start = offset
      let keyLine = line
      let path = try keyPath()
      try expect(UInt8(ascii: "="), "after a key")
      skipBlank()
      let value = try value(depth: depth + path.count)
      try insert(path, value, into: table, at: start, line: keyLine) { _ in }
      skipBlank()
      if current == UInt8(ascii: "}") { break }
      guard current == UInt8(ascii: ",") else { throw unexpected("where , or the end of an inline table should be") }
      offset += 1
      skipBlank()
      if current == UInt8(ascii: "}") { throw unexpected("after a trailing comma, which inline tables do not have") }
    }
    offset += 1
    return table.finished()
  }

  // MARK: Steps

  var current: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  func text(_ range: Range<Int>) -> String {
    // The whole document was checked, and ranges begin and end at ASCII characters.
    String(validating: bytes.extracting(range)) ?? ""
  }

  private func startsWithThree(_ quote: UInt8) -> Bool {
    bytes.count - offset >= 3 && bytes[offset + 1] == quote && bytes[offset + 2] == quote
  }

  mutating func skipBlank() {
    while let byte = current, byte == 0x20 || byte == 0x09 { offset += 1 }
  }

  /// Reads a line's end if it is next; a carriage return counts only before a line feed.
  mutating func newLine() -> Bool {
    if current == UInt8(ascii: "\n") {
      offset += 1
    } else if current == UInt8(ascii: "\r"), offset + 1 < bytes.count, bytes[offset + 1] == UInt8(ascii: "\n") {
      offset += 2
    } else {
      return false
    }
    line += 1
    return true
  }

  /// Blanks, comments and line ends inside an array.
  private mutating func skipLines() throws(FormatError) {
    while true {
      skipBlank()
      if current == UInt8(ascii: "#") { try comment() }
      if !newLine() { return }
    }
  }

  private mutating func comment() throws(FormatError) {
    while let byte = current, byte != UInt8(ascii: "\n") {
      if byte == UInt8(ascii: "\r"), offset + 1 < bytes.count, bytes[offset + 1] == UInt8(ascii: "\n") { return }
      if byte < 0x20 && byte != 0x09 || byte == 0x7F {
        throw failure("is a control character inside a comment", offset..<offset + 1)
      }
      offset += 1
    }
  }

  private mutating func endOfLine() throws(FormatError) {
    skipBlank()
    if current == UInt8(ascii: "#") { try comment() }
    guard current == nil || newLine() else { throw unexpected("where the line should end") }
  }

  private mutating func expect(_ byte: UInt8, _ place: String) throws(FormatError) {
    skipBlank()
    guard current == byte else {
      throw unexpected("where " + String(UnicodeScalar(byte)) + " should be, " + place)
    }
    offset += 1
  }

  // MARK: Errors

  func failure(_ problem: String, _ range: Range<Int>) -> FormatError {
    FormatError(
      problem, offending: FormatError.text(bytes, range), at: FormatError.position(of: range.lowerBound, in: bytes))
  }

  func unexpected(_ whereabouts: String) -> FormatError {
    guard let byte = current else {
      return FormatError("the TOML text ends early", at: FormatError.position(of: offset, in: bytes))
    }
    if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
      return FormatError("the line ends " + whereabouts, at: FormatError.position(of: offset, in: bytes))
    }
    var end = offset
    while end < bytes.count, end - offset < 80, Self.isBare(bytes[end]) { end += 1 }
    if end == offset {
      end += 1
      while end < bytes.count, bytes[end] & 0xC0 == 0x80 { end += 1 }
    }
    return failure("stands " + whereabouts, offset..<end)
  }
}
