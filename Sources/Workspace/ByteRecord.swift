import Formats
import Trees

/// Numbers and strings one after another, little endian: the files of a workspace that hold exact paths.
struct ByteWriter {
  private(set) var bytes: [UInt8] = []

  mutating func number<Number: FixedWidthInteger>(_ number: Number) {
    let little = number.littleEndian
    for index in 0..<(Number.bitWidth / 8) { bytes.append(UInt8(truncatingIfNeeded: little >> (index * 8))) }
  }

  mutating func string(_ string: [UInt8]) {
    number(UInt32(string.count))
    bytes += string
  }

  mutating func take() -> [UInt8] {
    defer { bytes.removeAll(keepingCapacity: true) }
    return bytes
  }
}

/// Reads what `ByteWriter` wrote; anything else is an error that says where.
struct ByteReader {
  private let bytes: [UInt8]
  private let source: String
  private(set) var offset = 0

  init(_ bytes: [UInt8], source: String) {
    self.bytes = bytes
    self.source = source
  }

  var isAtEnd: Bool { offset == bytes.count }

  mutating func number<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) throws(WorkspaceError) -> Number {
    let size = Number.bitWidth / 8
    guard bytes.count - offset >= size else { throw broken() }
    var value: Number = 0
    for index in (0..<size).reversed() {
      value = (value << 8) | Number(truncatingIfNeeded: bytes[offset + index])
    }
    offset += size
    return value
  }

  mutating func string() throws(WorkspaceError) -> [UInt8] {
    let count = Int(try number(UInt32.self))
    guard bytes.count - offset >= count else { throw broken() }
    defer { offset += count }
    return Array(bytes[offset..<(offset + count)])
  }

  mutating func path() throws(WorkspaceError) -> RelativePath {
    guard let path = RelativePath(try string()) else { throw broken() }
    return path
  }

  func broken() -> WorkspaceError {
    WorkspaceError(
      "workspace: \(source): byte \(offset): is not what immure wrote there; `immure workspace discard` it")
  }
}
