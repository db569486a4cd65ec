extension JSONReader {
  /// Reads a string, escapes resolved. Refuses raw control characters, lone surrogates and bytes that are not UTF-8.
  public mutating func string() throws(FormatError) -> String {
    let start = try openString()
    offset = scanPlain(from: start)
    if offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") {
      let text = try decoded(start..<offset)
      offset += 1
      return text
    }
    var buffer: [UInt8] = []
    var runStart = start
    while true {
      buffer.append(contentsOf: runStart..<offset, of: bytes)
      guard offset < bytes.count else { throw early() }
      switch bytes[offset] {
      case UInt8(ascii: "\""):
        offset += 1
        guard let text = String(validating: buffer.span) else { throw failure("is not UTF-8", start..<offset - 1) }
        return text
      case UInt8(ascii: "\\"):
        buffer.appendUTF8(try escape())
      default: throw rawControl()
      }
      runStart = offset
      offset = scanPlain(from: runStart)
    }
  }

  mutating func skipString() throws(FormatError) {
    let start = try openString()
    while true {
      offset = scanPlain(from: offset)
      guard offset < bytes.count else { throw early() }
      switch bytes[offset] {
      case UInt8(ascii: "\""):
        try validate(start..<offset)
        offset += 1
        return
      case UInt8(ascii: "\\"): _ = try escape()
      default: throw rawControl()
      }
    }
  }

  private mutating func openString() throws(FormatError) -> Int {
    skipSpace()
    guard offset < bytes.count else { throw early() }
    guard bytes[offset] == UInt8(ascii: "\"") else { throw unexpected("where a string should be") }
    offset += 1
    return offset
  }

  /// The first quote, backslash or control character from an offset on.
  private func scanPlain(from start: Int) -> Int {
    var index = start
    while index < bytes.count {
      let byte = bytes[index]
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { break }
      index += 1
    }
    return index
  }

  private func decoded(_ range: Range<Int>) throws(FormatError) -> String {
    guard let text = String(validating: bytes.extracting(range)) else { throw failure("is not UTF-8", range) }
    return text
  }

  private func validate(_ range: Range<Int>) throws(FormatError) {
    var all: UInt8 = 0
    for index in range { all |= bytes[index] }
    if all < 0x80 { return }
    do { _ = try UTF8Span(validating: bytes.extracting(range)) } catch { throw failure("is not UTF-8", range) }
  }

  private func rawControl() -> FormatError {
    failure("is a control character inside a string; JSON wants it escaped", offset..<offset + 1)
  }

  /// One escape, surrogate pairs joined (RFC 8259 section 7).
  private mutating func escape() throws(FormatError) -> Unicode.Scalar {
    let start = offset
    guard start + 1 < bytes.count else { throw early() }
    offset += 2
    switch bytes[start + 1] {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let unit = try hexUnit(start)
      if let scalar = Unicode.Scalar(unit) { return scalar }
      // A high surrogate must be followed by the escape of a low one.
      guard unit < 0xDC00, offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"),
        bytes[offset + 1] == UInt8(ascii: "u")
      else { throw failure("is half of a surrogate pair", start..<offset) }
      offset += 2
      let low = try hexUnit(offset - 2)
      guard (0xDC00...0xDFFF).contains(low),
        let scalar = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00))
      else { throw failure("is half of a surrogate pair", start..<offset) }
      return scalar
    default: throw failure("is not an escape that JSON knows", start..<start + 2)
    }
  }

  private mutating func hexUnit(_ start: Int) throws(FormatError) -> UInt16 {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard offset < bytes.count else { throw early() }
      guard let digit = bytes[offset].hexDigit else {
        throw failure("is not an escape of four hexadecimal digits", start..<offset + 1)
      }
      unit = unit << 4 | UInt16(digit)
      offset += 1
    }
    return unit
  }
}

extension UInt8 {
  /// 0 to 15 for an ASCII hexadecimal digit of either case.
  var hexDigit: UInt8? {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}

extension String {
  /// The bytes as text, or nil where they are not UTF-8.
  init?(validating bytes: Span<UInt8>) {
    guard let span = try? UTF8Span(validating: bytes) else { return nil }  // the one error there is: not UTF-8
    self.init(copying: span)
  }
}

extension [UInt8] {
  mutating func appendUTF8(_ scalar: Unicode.Scalar) {
    append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
  }
}
