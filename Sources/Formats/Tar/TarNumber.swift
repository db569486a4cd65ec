/// Numbers of tar headers: octal text (POSIX ustar) or, with the first byte's high bit set, two's complement in base 256
/// (GNU tar manual, "Extensions to the archive format").
enum TarNumber {
  /// Nil where the field is not a number or 64 bits do not hold it. An empty field is 0.
  static func parse(_ field: Span<UInt8>) -> Int64? {
    guard !field.isEmpty else { return 0 }
    return field[0] & 0x80 != 0 ? binary(field) : octal(field)
  }

  private static func binary(_ field: Span<UInt8>) -> Int64? {
    // The high bit is the marker, the next one the sign.
    let isNegative = field[0] & 0x40 != 0
    var value: Int64 = isNegative ? -1 : 0
    for index in 0..<field.count {
      var byte = field[index]
      if index == 0 { byte = isNegative ? byte | 0x80 : byte & 0x7F }
      // Eight more bits fit only if the top nine are all sign.
      let top = value >> 55
      guard top == 0 || top == -1 else { return nil }
      value = value << 8 | Int64(byte)
    }
    return value
  }

  private static func octal(_ field: Span<UInt8>) -> Int64? {
    var index = 0
    while index < field.count, field[index] == 0x20 || field[index] == 0 { index += 1 }
    var value: Int64 = 0
    while index < field.count, (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(field[index]) {
      guard value < 1 << 60 else { return nil }
      value = value << 3 | Int64(field[index] - UInt8(ascii: "0"))
      index += 1
    }
    while index < field.count, field[index] == 0x20 { index += 1 }
    return index == field.count || field[index] == 0 ? value : nil
  }

  /// A whole number in decimal digits, as PAX records have it; nil for anything else.
  static func decimal(_ text: ArraySlice<UInt8>) -> Int64? {
    guard !text.isEmpty else { return nil }
    var value: Int64 = 0
    for byte in text {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
      if overflow || carry { return nil }
      value = sum
    }
    return value
  }

  /// A time in decimal seconds, `-1.5`; digits below a nanosecond are cut towards the past.
  static func time(_ text: ArraySlice<UInt8>) -> (seconds: Int64, nanoseconds: UInt32)? {
    var rest = text
    let isNegative = rest.first == UInt8(ascii: "-")
    if isNegative { rest = rest.dropFirst() }
    let point = rest.firstIndex(of: UInt8(ascii: ".")) ?? rest.endIndex
    guard let whole = decimal(rest[..<point]) else { return nil }
    var nanoseconds: Int64 = 0
    var isInexact = false
    if point < rest.endIndex {
      let fraction = rest[(point + 1)...]
      for (place, byte) in fraction.enumerated() {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
        if place < 9 { nanoseconds = nanoseconds * 10 + Int64(byte - UInt8(ascii: "0")) }
        if place >= 9, byte != UInt8(ascii: "0") { isInexact = true }
      }
      for _ in min(fraction.count, 9)..<9 { nanoseconds *= 10 }
    }
    if !isNegative { return (whole, UInt32(nanoseconds)) }
    if isInexact { nanoseconds += 1 }
    return nanoseconds == 0 ? (-whole, 0) : (-whole - 1, UInt32(1_000_000_000 - nanoseconds))
  }
}
