/// A pull reader over JSON text (RFC 8259, strict): the caller walks the document and only what it asks for is built.
///
///     var reader = JSONReader(bytes)
///     try reader.beginObject()
///     while let key = try reader.nextKey() {
///       switch key {
///       case "args":
///         try reader.beginArray()
///         while try reader.nextElement() { arguments.append(try reader.string()) }
///       default: try reader.skip()
///       }
///     }
///     try reader.finish()
///
/// After `nextKey` or a true `nextElement` exactly one value must be read or skipped. Duplicate keys are the caller's to
/// refuse (`JSONValue.parse` does). Never traps, whatever the bytes; nesting is bounded by `maximumDepth`.
public struct JSONReader: ~Copyable, ~Escapable {
  /// What the next value is, by its first byte.
  public enum Kind: Sendable, Equatable { case null, bool, number, string, array, object }

  let bytes: Span<UInt8>
  let maximumDepth: Int
  /// The byte that is read next.
  public internal(set) var offset = 0
  var depth = 0
  /// True between the opening of an array or object and its first element.
  var atFirst = false
  /// Where the key that was read last began.
  var keyStart = 0

  @_lifetime(copy bytes)
  public init(_ bytes: Span<UInt8>, maximumDepth: Int = 128) {
    self.bytes = bytes
    self.maximumDepth = maximumDepth
  }

  /// What comes next, without reading it.
  public mutating func peek() throws(FormatError) -> Kind {
    skipSpace()
    guard offset < bytes.count else { throw early() }
    switch bytes[offset] {
    case UInt8(ascii: "\""): return .string
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
    case UInt8(ascii: "n"): return .null
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
    default: throw unexpected("where a JSON value should be")
    }
  }

  public mutating func beginObject() throws(FormatError) { try begin(UInt8(ascii: "{"), "an object") }
  public mutating func beginArray() throws(FormatError) { try begin(UInt8(ascii: "["), "an array") }

  /// The next member's key, its colon read too; nil once at the object's end, which is then read.
  public mutating func nextKey() throws(FormatError) -> String? {
    guard try openKey() else { return nil }
    let key = try string()
    try closeKey()
    return key
  }

  /// Whether an element follows; false once at the array's end, which is then read.
  public mutating func nextElement() throws(FormatError) -> Bool {
    try advance(to: UInt8(ascii: "]"), "an array")
  }

  public mutating func bool() throws(FormatError) -> Bool {
    switch try peek() {
    case .bool:
      if bytes[offset] == UInt8(ascii: "t") {
        try word("true")
        return true
      }
      try word("false")
      return false
    default: throw unexpected("where true or false should be")
    }
  }

  /// Reads `null` if it is next; leaves any other value alone and returns false.
  public mutating func null() throws(FormatError) -> Bool {
    guard try peek() == .null else { return false }
    try word("null")
    return true
  }

  /// Reads one value of any kind, checked as strictly as if it were kept, and drops it.
  public mutating func skip() throws(FormatError) {
    switch try peek() {
    case .null: try word("null")
    case .bool: _ = try bool()
    case .number: try skipNumber()
    case .string: try skipString()
    case .array:
      try beginArray()
      while try nextElement() { try skip() }
    case .object:
      try beginObject()
      while try openKey() {
        try skipString()
        try closeKey()
        try skip()
      }
    }
  }

  /// Nothing but white space may follow the document.
  public mutating func finish() throws(FormatError) {
    skipSpace()
    guard offset == bytes.count else { throw unexpected("after the end of the JSON document") }
  }

  // MARK: Steps

  mutating func skipSpace() {
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x20, 0x0A, 0x0D, 0x09: offset += 1
      default: return
      }
    }
  }

  private mutating func begin(_ bracket: UInt8, _ what: String) throws(FormatError) {
    skipSpace()
    guard offset < bytes.count else { throw early() }
    guard bytes[offset] == bracket else { throw unexpected("where \(what) should begin") }
    guard depth < maximumDepth else { throw failure("nests deeper than \(maximumDepth) levels", offset..<offset) }
    depth += 1
    offset += 1
    atFirst = true
  }

  private mutating func advance(to end: UInt8, _ what: String) throws(FormatError) -> Bool {
    skipSpace()
    guard offset < bytes.count else { throw early() }
    if bytes[offset] == end {
      offset += 1
      depth -= 1
      atFirst = false
      return false
    }
    if atFirst {
      atFirst = false
      return true
    }
    guard bytes[offset] == UInt8(ascii: ",") else { throw unexpected("where ',' or the end of \(what) should be") }
    offset += 1
    skipSpace()
    if offset < bytes.count, bytes[offset] == end { throw unexpected("after a trailing comma") }
    return true
  }

  private mutating func openKey() throws(FormatError) -> Bool {
    guard try advance(to: UInt8(ascii: "}"), "an object") else { return false }
    guard offset < bytes.count else { throw early() }
    guard bytes[offset] == UInt8(ascii: "\"") else { throw unexpected("where an object's key should be") }
    keyStart = offset
    return true
  }

  private mutating func closeKey() throws(FormatError) {
    skipSpace()
    guard offset < bytes.count else { throw early() }
    guard bytes[offset] == UInt8(ascii: ":") else { throw unexpected("where the ':' after a key should be") }
    offset += 1
  }

  mutating func word(_ text: StaticString) throws(FormatError) {
    let start = offset
    let length = text.utf8CodeUnitCount
    var matches = bytes.count - offset >= length
    if matches {
      // SAFETY: the index stays below the literal's own length.
      let literal = unsafe UnsafeBufferPointer(start: text.utf8Start, count: length)
      for index in 0..<length where unsafe literal[index] != bytes[start + index] { matches = false }
    }
    guard matches else { throw failure("is not a JSON value", wordRange(at: start)) }
    offset += length
  }

  // MARK: Errors

  /// The run of letters, digits and signs at an offset, or the one character there: what a message quotes.
  func wordRange(at start: Int) -> Range<Int> {
    var end = start
    while end < bytes.count, end - start < 80 {
      switch bytes[end] {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"):
        end += 1
      default:
        if end > start { return start..<end }
        end += 1
        while end < bytes.count, end - start < 4, bytes[end] & 0xC0 == 0x80 { end += 1 }
        return start..<end
      }
    }
    return start..<end
  }

  func failure(_ problem: String, _ range: Range<Int>) -> FormatError {
    FormatError(
      problem, offending: FormatError.text(bytes, range),
      at: FormatError.position(of: range.lowerBound, in: bytes))
  }

  func unexpected(_ whereabouts: String) -> FormatError {
    if offset >= bytes.count { return early() }
    return failure("stands " + whereabouts, wordRange(at: offset))
  }

  func early() -> FormatError {
    FormatError(
      bytes.isEmpty ? "the JSON text is empty" : "the JSON text ends early",
      at: FormatError.position(of: bytes.count, in: bytes))
  }
}
