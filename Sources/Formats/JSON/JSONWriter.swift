/// Writes JSON text in the order it is told, compact or indented by two spaces.
///
///     var writer = JSONWriter()
///     writer.beginObject()
///     writer.key("pid"); writer.integer(42)
///     writer.endObject()
///     write(writer.bytes)
///
/// The caller keeps begins and ends in pairs and writes a key before every member of an object.
public struct JSONWriter: Sendable {
  /// The text so far; no newline at its end.
  public private(set) var bytes: [UInt8] = []
  private let indented: Bool
  private var depth = 0
  private var needsComma = false
  private var afterKey = false

  public init(indented: Bool = false) { self.indented = indented }

  public mutating func beginObject() { open(UInt8(ascii: "{")) }
  public mutating func endObject() { close(UInt8(ascii: "}")) }
  public mutating func beginArray() { open(UInt8(ascii: "[")) }
  public mutating func endArray() { close(UInt8(ascii: "]")) }

  public mutating func key(_ key: String) {
    separate()
    quote(key)
    bytes.append(UInt8(ascii: ":"))
    if indented { bytes.append(UInt8(ascii: " ")) }
    afterKey = true
  }

  public mutating func string(_ text: String) {
    separate()
    quote(text)
    needsComma = true
  }

  public mutating func integer(_ number: some BinaryInteger) { raw(String(number)) }

  public mutating func bool(_ value: Bool) { raw(value ? "true" : "false") }

  public mutating func null() { raw("null") }

  /// The shortest text that reads back as the same double; what JSON cannot say (NaN, infinities) becomes null.
  public mutating func double(_ number: Double) { raw(number.isFinite ? number.description : "null") }

  public mutating func value(_ value: JSONValue) {
    switch value {
    case .null: null()
    case .bool(let value): bool(value)
    case .integer(let number): integer(number)
    case .unsigned(let number): integer(number)
    case .double(let number): double(number)
    case .string(let text): string(text)
    case .array(let elements):
      beginArray()
      for element in elements { self.value(element) }
      endArray()
    case .object(let object):
      beginObject()
      for member in object.members {
        key(member.key)
        self.value(member.value)
      }
      endObject()
    }
  }

  // MARK: Steps

  private mutating func raw(_ text: String) {
    separate()
    bytes.append(contentsOf: text.utf8)
    needsComma = true
  }

  private mutating func open(_ bracket: UInt8) {
    separate()
    bytes.append(bracket)
    depth += 1
    needsComma = false
  }

  private mutating func close(_ bracket: UInt8) {
    depth -= 1
    // An empty array or object stays on its line.
    if indented, needsComma { newLine() }
    bytes.append(bracket)
    needsComma = true
  }

  private mutating func separate() {
    if afterKey {
      afterKey = false
      return
    }
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = false
    if indented, depth > 0 { newLine() }
  }

  private mutating func newLine() {
    bytes.append(UInt8(ascii: "\n"))
    for _ in 0..<max(depth, 0) * 2 { bytes.append(UInt8(ascii: " ")) }
  }

  /// Escapes what RFC 8259 section 7 demands, and DEL, which terminals act on.
  private mutating func quote(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    // Nearly every text: in one piece, for records are written in every start of a box.
    if !text.utf8.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") || $0 == 0x7F }) {
      bytes.append(contentsOf: text.utf8)
    } else {
      escape(text)
    }
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func escape(_ text: String) {
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""): bytes.append(contentsOf: "\\\"".utf8)
      case UInt8(ascii: "\\"): bytes.append(contentsOf: "\\\\".utf8)
      case 0x0A: bytes.append(contentsOf: "\\n".utf8)
      case 0x0D: bytes.append(contentsOf: "\\r".utf8)
      case 0x09: bytes.append(contentsOf: "\\t".utf8)
      case 0..<0x20, 0x7F:
        bytes.append(contentsOf: "\\u00".utf8)
        for digit in [byte >> 4, byte & 15] {
          bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
      default: bytes.append(byte)
      }
    }
  }
}

extension JSONValue {
  /// The document as JSON text, members in their order; indented by two spaces where asked.
  public func bytes(indented: Bool = false) -> [UInt8] {
    var writer = JSONWriter(indented: indented)
    writer.value(self)
    return writer.bytes
  }

  public func text(indented: Bool = false) -> String {
    String(decoding: bytes(indented: indented), as: UTF8.self)
  }
}
