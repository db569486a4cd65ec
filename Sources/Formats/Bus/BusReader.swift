/// Values out of a message's bytes ("Marshaling"). Every length is checked against what is there, padding is zero, and nothing is
/// deeper than signatures may be.
struct BusReader {
  let bytes: [UInt8]
  let isBigEndian: Bool
  private(set) var position: Int
  let end: Int

  /// `end` is at most the number of bytes.
  init(_ bytes: [UInt8], isBigEndian: Bool, from position: Int, to end: Int) {
    self.bytes = bytes
    self.isBigEndian = isBigEndian
    self.position = position
    self.end = min(end, bytes.count)
  }

  var isAtEnd: Bool { position == end }

  func failure(_ problem: String) -> FormatError { FormatError(problem, at: .offset(position)) }

  /// To the next multiple, over zeros.
  mutating func align(_ alignment: Int) throws(FormatError) {
    while position % alignment != 0 {
      guard position < end else { throw failure("the message ends within padding") }
      guard bytes[position] == 0 else { throw failure("padding is not zero") }
      position += 1
    }
  }

  private mutating func take(_ count: Int) throws(FormatError) -> ArraySlice<UInt8> {
    guard count <= end - position else { throw failure("\(count) bytes are wanted, \(end - position) are left") }
    let slice = bytes[position..<(position + count)]
    position += count
    return slice
  }

  mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws(FormatError) -> Number {
    let size = Number.bitWidth / 8
    try align(size)
    var bits: UInt64 = 0
    let slice = try take(size)
    if isBigEndian {
      for byte in slice { bits = bits << 8 | UInt64(byte) }
    } else {
      for byte in slice.reversed() { bits = bits << 8 | UInt64(byte) }
    }
    return Number(truncatingIfNeeded: bits)
  }

  private mutating func text(_ count: Int) throws(FormatError) -> String {
    let slice = try take(count)
    guard try take(1).first == 0 else { throw failure("a string does not end with NUL") }
    guard !slice.contains(0) else { throw failure("a string has a NUL in it") }
    guard let text = String(validating: slice, as: UTF8.self) else { throw failure("a string is not UTF-8") }
    return text
  }

  mutating func signature() throws(FormatError) -> [UInt8] {
    let letters = Array(try text(Int(try number(UInt8.self))).utf8)
    try BusSignature.check(letters)
    return letters
  }

  /// All values of a body, and nothing after them.
  mutating func values(_ signature: [UInt8]) throws(FormatError) -> [BusValue] {
    var values: [BusValue] = []
    var index = 0
    while index < signature.count { values.append(try value(signature, &index, depth: 0)) }
    guard isAtEnd else { throw failure("\(end - position) bytes are left after the last value") }
    return values
  }

  /// The value whose type begins at `index` of a signature that was checked; moves the index behind it.
  mutating func value(_ signature: [UInt8], _ index: inout Int, depth: Int) throws(FormatError) -> BusValue {
    guard depth <= BusSignature.deepest else { throw failure("values are nested deeper than \(BusSignature.deepest)") }
    guard index < signature.count else { throw failure("the signature ends too early") }
    let letter = signature[index]
    if letter == UInt8(ascii: "a") { return try array(signature, &index, depth: depth) }
    index += 1
    switch letter {
    case UInt8(ascii: "y"): return .byte(try number(UInt8.self))
    case UInt8(ascii: "b"):
      let number = try number(UInt32.self)
      guard number <= 1 else { throw failure("a boolean is \(number)") }
      return .boolean(number == 1)
    case UInt8(ascii: "n"): return .int16(try number(Int16.self))
    case UInt8(ascii: "q"): return .uint16(try number(UInt16.self))
    case UInt8(ascii: "i"): return .int32(try number(Int32.self))
    case UInt8(ascii: "u"): return .uint32(try number(UInt32.self))
    case UInt8(ascii: "x"): return .int64(try number(Int64.self))
    case UInt8(ascii: "t"): return .uint64(try number(UInt64.self))
    case UInt8(ascii: "d"): return .double(bits: try number(UInt64.self))
    case UInt8(ascii: "h"): return .descriptor(try number(UInt32.self))
    case UInt8(ascii: "s"): return .string(try text(Int(try number(UInt32.self))))
    case UInt8(ascii: "o"):
      let path = try text(Int(try number(UInt32.self)))
      guard BusSignature.isObjectPath(path) else {
        throw FormatError("is not an object's path", offending: path, at: .offset(position))
      }
      return .objectPath(path)
    case UInt8(ascii: "g"): return .signature(String(decoding: try self.signature(), as: UTF8.self))
    case UInt8(ascii: "v"):
      let inner = try self.signature()
      var start = 0
      guard !inner.isEmpty, try BusSignature.end(of: inner, from: 0) == inner.count else {
        throw failure("a variant does not hold one value")
      }
      return .variant(try value(inner, &start, depth: depth + 1))
    case UInt8(ascii: "("):
      try align(8)
      var fields: [BusValue] = []
      while index < signature.count, signature[index] != UInt8(ascii: ")") {
        fields.append(try value(signature, &index, depth: depth + 1))
      }
      index += 1
      return .structure(fields)
    case UInt8(ascii: "{"):
      try align(8)
      let key = try value(signature, &index, depth: depth + 1)
      let held = try value(signature, &index, depth: depth + 1)
      index += 1
      return .entry(key, held)
    default: throw failure("a signature has a letter that is none")
    }
  }

  private mutating func array(_ signature: [UInt8], _ index: inout Int, depth: Int) throws(FormatError) -> BusValue {
    let first = index + 1
    let close = try BusSignature.end(of: signature, from: index)
    let length = Int(try number(UInt32.self))
    try align(BusSignature.alignment(signature[first]))
    guard length <= end - position else {
      throw failure("an array of \(length) bytes, where \(end - position) are left")
    }
    let last = position + length
    var elements: [BusValue] = []
    // Every element takes a byte at least, so this ends.
    while position < last {
      var start = first
      elements.append(try value(signature, &start, depth: depth + 1))
    }
    guard position == last else { throw failure("an array's last element goes beyond it") }
    index = close
    return .array(of: String(decoding: signature[first..<close], as: UTF8.self), elements)
  }
}
