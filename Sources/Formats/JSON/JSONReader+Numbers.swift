extension JSONReader {
  /// Reads a number: exact where it is an integer of 64 bits, else the nearest double. Refuses what overflows a double.
  public mutating func number() throws(FormatError) -> JSONValue {
    let start = offset
    let shape = try scanNumber()
    let digits = shape.start..<offset
    if shape.isInteger {
      if let value = integer(in: digits) { return value }
    }
    return .double(try double(in: digits, from: start))
  }

  /// Reads an integer of the type asked for; refuses fractions, exponents and what does not fit.
  public mutating func integer<Number: FixedWidthInteger>(
    _ type: Number.Type = Number.self
  ) throws(FormatError) -> Number {
    let shape = try scanNumber()
    let digits = shape.start..<offset
    guard shape.isInteger else { throw failure("is not an integer", digits) }
    let value: Number? =
      switch integer(in: digits) {
      case .integer(let number): Number(exactly: number)
      case .unsigned(let number): Number(exactly: number)
      default: nil
      }
    guard let value else { throw failure("is not between \(Number.min) and \(Number.max)", digits) }
    return value
  }

  mutating func skipNumber() throws(FormatError) {
    let shape = try scanNumber()
    if !shape.isInteger || offset - shape.start > 300 { _ = try double(in: shape.start..<offset, from: shape.start) }
  }

  /// Moves over a number (RFC 8259 section 6): an optional minus, no leading zeros, optional fraction and exponent.
  private mutating func scanNumber() throws(FormatError) -> (start: Int, isInteger: Bool) {
    guard try peek() == .number else { throw unexpected("where a number should be") }
    let start = offset
    var isInteger = true
    if bytes[offset] == UInt8(ascii: "-") { offset += 1 }
    let first = offset
    guard scanDigits() > 0 else { throw failure("is not a number", wordRange(at: start)) }
    if bytes[first] == UInt8(ascii: "0"), offset - first > 1 {
      throw failure("is a number with leading zeros", wordRange(at: start))
    }
    if offset < bytes.count, bytes[offset] == UInt8(ascii: ".") {
      isInteger = false
      offset += 1
      guard scanDigits() > 0 else { throw failure("is not a number", wordRange(at: start)) }
    }
    if offset < bytes.count, bytes[offset] | 0x20 == UInt8(ascii: "e") {
      isInteger = false
      offset += 1
      if offset < bytes.count, bytes[offset] == UInt8(ascii: "+") || bytes[offset] == UInt8(ascii: "-") { offset += 1 }
      guard scanDigits() > 0 else { throw failure("is not a number", wordRange(at: start)) }
    }
    return (start, isInteger)
  }

  private mutating func scanDigits() -> Int {
    let start = offset
    while offset < bytes.count, bytes[offset] &- UInt8(ascii: "0") < 10 { offset += 1 }
    return offset - start
  }

  /// Nil where 64 bits do not hold it.
  private func integer(in range: Range<Int>) -> JSONValue? {
    let negative = bytes[range.lowerBound] == UInt8(ascii: "-")
    var magnitude: UInt64 = 0
    for index in (negative ? range.lowerBound + 1 : range.lowerBound)..<range.upperBound {
      let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(bytes[index] &- UInt8(ascii: "0")))
      if overflow || carry { return nil }
      magnitude = sum
    }
    if !negative { return JSONValue(magnitude) }
    if magnitude == Int64.min.magnitude { return .integer(.min) }
    return Int64(exactly: magnitude).map { .integer(-$0) }
  }

  private func double(in range: Range<Int>, from start: Int) throws(FormatError) -> Double {
    guard let text = String(validating: bytes.extracting(range)), let value = Double(text), value.isFinite else {
      throw failure("is a number too large for a double", range)
    }
    return value
  }
}
