extension TOMLParser {
  /// A boolean, number, date or time: told apart by its text.
  mutating func scalar() throws(FormatError) -> TOMLValue {
    let start = offset
    skipWord()
    // A space may part a date from its time.
    if offset - start == 10, current == 0x20, isDate(start..<offset), offset + 3 < bytes.count,
      Self.isDigit(bytes[offset + 1]), Self.isDigit(bytes[offset + 2]), bytes[offset + 3] == UInt8(ascii: ":")
    {
      offset += 1
      skipWord()
    }
    let range = start..<offset
    guard !range.isEmpty else { throw unexpected("where a value should be") }
    let word = text(range)
    switch word {
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "inf", "+inf": return .double(.infinity)
    case "-inf": return .double(-.infinity)
    case "nan", "+nan", "-nan": return .double(.nan)
    default: break
    }
    if isTime(range) { return .dateTime(word) }
    if range.count >= 10, isDate(start..<start + 10) {
      guard range.count == 10 || isDateTime(range) else { throw failure("is not a date and time", range) }
      return .dateTime(word)
    }
    if let value = try prefixedInteger(range) { return .integer(value) }
    return try number(range)
  }

  private mutating func skipWord() {
    while let byte = current,
      Self.isBare(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":")
    {
      offset += 1
    }
  }

  // MARK: Numbers

  /// `0x`, `0o` and `0b`; nil where there is no such prefix.
  private func prefixedInteger(_ range: Range<Int>) throws(FormatError) -> Int64? {
    guard range.count >= 2, bytes[range.lowerBound] == UInt8(ascii: "0") else { return nil }
    let radix: Int64
    switch bytes[range.lowerBound + 1] {
    case UInt8(ascii: "x"): radix = 16
    case UInt8(ascii: "o"): radix = 8
    case UInt8(ascii: "b"): radix = 2
    default: return nil
    }
    let digits = range.lowerBound + 2..<range.upperBound
    guard hasDigits(digits, where: { $0.hexDigit.map { $0 < radix } ?? false }) else {
      throw failure("is not an integer of base \(radix)", range)
    }
    return try integer(digits, radix: radix, negative: false, whole: range)
  }

  private func number(_ range: Range<Int>) throws(FormatError) -> TOMLValue {
    var start = range.lowerBound
    let sign = bytes[start]
    if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { start += 1 }
    var end = start
    while end < range.upperBound, Self.isDigit(bytes[end]) || bytes[end] == UInt8(ascii: "_") { end += 1 }
    guard hasDigits(start..<end, where: Self.isDigit) else { throw notAValue(range) }
    if bytes[start] == UInt8(ascii: "0"), end - start > 1 { throw failure("is a number with leading zeros", range) }
    if end == range.upperBound {
      return .integer(try integer(start..<end, radix: 10, negative: sign == UInt8(ascii: "-"), whole: range))
    }

    if bytes[end] == UInt8(ascii: ".") {
      let fraction = end + 1
      end = fraction
      while end < range.upperBound, Self.isDigit(bytes[end]) || bytes[end] == UInt8(ascii: "_") { end += 1 }
      guard hasDigits(fraction..<end, where: Self.isDigit) else { throw notAValue(range) }
    }
    if end < range.upperBound, bytes[end] | 0x20 == UInt8(ascii: "e") {
      end += 1
      if end < range.upperBound, bytes[end] == UInt8(ascii: "+") || bytes[end] == UInt8(ascii: "-") { end += 1 }
      guard hasDigits(end..<range.upperBound, where: Self.isDigit) else { throw notAValue(range) }
      end = range.upperBound
    }
    guard end == range.upperBound else { throw notAValue(range) }
    var plain: [UInt8] = []
    for index in range where bytes[index] != UInt8(ascii: "_") { plain.append(bytes[index]) }
    guard let value = Double(String(decoding: plain, as: UTF8.self)) else { throw notAValue(range) }
    return .double(value)
  }

  /// Digits with single underscores between them, at least one.
  private func hasDigits(_ range: Range<Int>, where isDigit: (UInt8) -> Bool) -> Bool {
    var wantsDigit = true
    for index in range {
      if isDigit(bytes[index]) {
        wantsDigit = false
      } else {
        guard bytes[index] == UInt8(ascii: "_"), !wantsDigit else { return false }
        wantsDigit = true
      }
    }
    return !wantsDigit
  }

  private func integer(
    _ digits: Range<Int>, radix: Int64, negative: Bool, whole: Range<Int>
  ) throws(FormatError) -> Int64 {
    var value: Int64 = 0
    for index in digits {
      guard let digit = bytes[index].hexDigit else { continue }  // an underscore
      let (product, overflow) = value.multipliedReportingOverflow(by: radix)
      let (sum, carry) = product.addingReportingOverflow(negative ? -Int64(digit) : Int64(digit))
      guard !overflow, !carry else { throw failure("is not an integer of 64 bits", whole) }
      value = sum
    }
    return value
  }

  private func notAValue(_ range: Range<Int>) -> FormatError {
    failure("is not a value; text stands in quotes", range)
  }

  // MARK: Dates and times (RFC 3339)

  static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

  /// The number that exactly these digits write, or nil.
  private func digits(_ start: Int, _ count: Int) -> Int? {
    guard start >= 0, start + count <= bytes.count else { return nil }
    var value = 0
    for index in start..<start + count {
      guard Self.isDigit(bytes[index]) else { return nil }
      value = value * 10 + Int(bytes[index] - UInt8(ascii: "0"))
    }
    return value
  }

  private func isDate(_ range: Range<Int>) -> Bool {
    let start = range.lowerBound
    guard range.count == 10, let year = digits(start, 4), bytes[start + 4] == UInt8(ascii: "-"),
      let month = digits(start + 5, 2), bytes[start + 7] == UInt8(ascii: "-"), let day = digits(start + 8, 2),
      (1...12).contains(month)
    else { return false }
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return (1...lengths[month - 1]).contains(day)
  }

  private func isTime(_ range: Range<Int>) -> Bool {
    let start = range.lowerBound
    guard range.count >= 8, let hour = digits(start, 2), hour < 24, bytes[start + 2] == UInt8(ascii: ":"),
      let minute = digits(start + 3, 2), minute < 60, bytes[start + 5] == UInt8(ascii: ":"),
      let second = digits(start + 6, 2), second < 60
    else { return false }
    if range.count == 8 { return true }
    guard range.count > 9, bytes[start + 8] == UInt8(ascii: ".") else { return false }
    for index in start + 9..<range.upperBound where !Self.isDigit(bytes[index]) { return false }
    return true
  }

  private func isDateTime(_ range: Range<Int>) -> Bool {
    let separator = bytes[range.lowerBound + 10]
    guard separator | 0x20 == UInt8(ascii: "t") || separator == 0x20 else { return false }
    let start = range.lowerBound + 11
    var end = range.upperBound
    if end > start, bytes[end - 1] | 0x20 == UInt8(ascii: "z") {
      end -= 1
    } else if end - start > 6, bytes[end - 6] == UInt8(ascii: "+") || bytes[end - 6] == UInt8(ascii: "-") {
      guard let hour = digits(end - 5, 2), hour < 24, bytes[end - 3] == UInt8(ascii: ":"),
        let minute = digits(end - 2, 2), minute < 60
      else { return false }
      end -= 6
    }
    return end >= start && isTime(start..<end)
  }
}
