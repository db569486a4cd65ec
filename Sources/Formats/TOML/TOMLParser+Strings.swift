extension TOMLParser {
  mutating func basicString() throws(FormatError) -> String {
    let start = offset
    offset += 1
    var buffer: [UInt8] = []
    while true {
      guard let byte = current else { throw unclosed(start) }
      switch byte {
      case UInt8(ascii: "\""):
        offset += 1
        return String(decoding: buffer, as: UTF8.self)
      case UInt8(ascii: "\\"): buffer.appendUTF8(try escape())
      case UInt8(ascii: "\n"): throw unclosed(start)
      default: try take(byte, into: &buffer)
      }
    }
  }

  mutating func literalString() throws(FormatError) -> String {
    let start = offset
    offset += 1
    var buffer: [UInt8] = []
    while true {
      guard let byte = current else { throw unclosed(start) }
      switch byte {
      case UInt8(ascii: "'"):
        offset += 1
        return String(decoding: buffer, as: UTF8.self)
      case UInt8(ascii: "\n"): throw unclosed(start)
      default: try take(byte, into: &buffer)
      }
    }
  }

  mutating func multilineBasicString() throws(FormatError) -> String {
    let start = offset
    offset += 3
    _ = newLine()
    var buffer: [UInt8] = []
    while true {
      guard let byte = current else { throw unclosed(start) }
      if byte == UInt8(ascii: "\"") {
        if closes(byte, into: &buffer) { return String(decoding: buffer, as: UTF8.self) }
      } else if byte == UInt8(ascii: "\\") {
        if !skipsLineEnd() { buffer.appendUTF8(try escape()) }
      } else if newLine() {
        buffer.append(UInt8(ascii: "\n"))
      } else {
        try take(byte, into: &buffer)
      }
    }
  }

  mutating func multilineLiteralString() throws(FormatError) -> String {
    let start = offset
    offset += 3
    _ = newLine()
    var buffer: [UInt8] = []
    while true {
      guard let byte = current else { throw unclosed(start) }
      if byte == UInt8(ascii: "'") {
        if closes(byte, into: &buffer) { return String(decoding: buffer, as: UTF8.self) }
      } else if newLine() {
        buffer.append(UInt8(ascii: "\n"))
      } else {
        try take(byte, into: &buffer)
      }
    }
  }

  /// Reads a run of quotes: three or more end the string, up to two before the last three belong to it.
  private mutating func closes(_ quote: UInt8, into buffer: inout [UInt8]) -> Bool {
    var run = 0
    while run < 5, current == quote {
      offset += 1
      run += 1
    }
    for _ in 0..<(run >= 3 ? run - 3 : run) { buffer.append(quote) }
    return run >= 3
  }

  /// A backslash at a line's end swallows all white space up to the next character.
  private mutating func skipsLineEnd() -> Bool {
    let (start, startLine) = (offset, line)
    offset += 1
    skipBlank()
    guard newLine() else {
      (offset, line) = (start, startLine)
      return false
    }
    while true {
      skipBlank()
      if !newLine() { return true }
    }
  }

  private mutating func take(_ byte: UInt8, into buffer: inout [UInt8]) throws(FormatError) {
    guard byte >= 0x20 && byte != 0x7F || byte == 0x09 else {
      throw failure("is a control character inside a string", offset..<offset + 1)
    }
    buffer.append(byte)
    offset += 1
  }

  private func unclosed(_ start: Int) -> FormatError { failure("is a string that does not end", start..<offset) }

  private mutating func escape() throws(FormatError) -> Unicode.Scalar {
    let start = offset
    offset += 1
    guard let byte = current else { throw unclosed(start) }
    offset += 1
    switch byte {
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "u"), UInt8(ascii: "U"):
      let count = byte == UInt8(ascii: "u") ? 4 : 8
      var value: UInt32 = 0
      for _ in 0..<count {
        guard let digit = current?.hexDigit else {
          throw failure("is not an escape of \(count) hexadecimal digits", start..<min(offset + 1, bytes.count))
        }
        value = value << 4 | UInt32(digit)
        offset += 1
      }
      guard let scalar = Unicode.Scalar(value) else { throw failure("is not a Unicode character", start..<offset) }
      return scalar
    default: throw failure("is not an escape that TOML knows", start..<offset)
    }
  }
}
