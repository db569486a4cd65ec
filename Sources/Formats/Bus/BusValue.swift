/// A value as it travels over D-Bus (D-Bus Specification, "Type System"). What an array holds is told by a signature, for an empty one says
/// nothing by itself.
public indirect enum BusValue: Sendable, Equatable {
  case byte(UInt8)
  case boolean(Bool)
  case int16(Int16)
  case uint16(UInt16)
  case int32(Int32)
  case uint32(UInt32)
  case int64(Int64)
  case uint64(UInt64)
  /// The bits of an IEEE 754 double: equal bits are equal values, those that are no number too.
  case double(bits: UInt64)
  /// The place of a descriptor among those that came with the message.
  case descriptor(UInt32)
  case string(String)
  case objectPath(String)
  case signature(String)
  case array(of: String, [BusValue])
  case structure([BusValue])
  /// Of a dictionary, which is an array of these.
  case entry(BusValue, BusValue)
  case variant(BusValue)

  /// The type's letters ("Type System", summary of types).
  public var typeSignature: String {
    switch self {
    case .byte: "y"
    case .boolean: "b"
    case .int16: "n"
    case .uint16: "q"
    case .int32: "i"
    case .uint32: "u"
    case .int64: "x"
    case .uint64: "t"
    case .double: "d"
    case .descriptor: "h"
    case .string: "s"
    case .objectPath: "o"
    case .signature: "g"
    case .array(let element, _): "a" + element
    case .structure(let fields): "(" + fields.map(\.typeSignature).joined() + ")"
    case .entry(let key, let value): "{" + key.typeSignature + value.typeSignature + "}"
    case .variant: "v"
    }
  }

  /// A row of `(sv)` structures, as systemd takes properties.
  public static func properties(_ list: [(name: String, value: BusValue)]) -> BusValue {
    .array(of: "(sv)", list.map { .structure([.string($0.name), .variant($0.value)]) })
  }
}

/// Signatures ("Valid Signatures"): at most 255 letters, containers at most 64 deep.
enum BusSignature {
  static let deepest = 64
  static let basic = Array("ybnqiuxtdhsog".utf8)

  /// Where the complete type that begins at `start` ends.
  static func end(of signature: [UInt8], from start: Int, depth: Int = 0) throws(FormatError) -> Int {
    func wrong() -> FormatError {
      FormatError("is not a signature", offending: String(decoding: signature, as: UTF8.self), at: .offset(start))
    }
    guard start < signature.count, depth <= deepest else { throw wrong() }
    switch signature[start] {
    case UInt8(ascii: "a"):
      guard start + 1 < signature.count, signature[start + 1] == UInt8(ascii: "{") else {
        return try end(of: signature, from: start + 1, depth: depth + 1)
      }
      guard start + 2 < signature.count, basic.contains(signature[start + 2]) else { throw wrong() }
      let close = try end(of: signature, from: start + 3, depth: depth + 1)
      guard close < signature.count, signature[close] == UInt8(ascii: "}") else { throw wrong() }
      return close + 1
    case UInt8(ascii: "("):
      var next = start + 1
      repeat {
        next = try end(of: signature, from: next, depth: depth + 1)
        guard next < signature.count else { throw wrong() }
      } while signature[next] != UInt8(ascii: ")")
      return next + 1
    case UInt8(ascii: "v"): return start + 1
    case let letter where basic.contains(letter): return start + 1
    default: throw wrong()
    }
  }

  /// Any number of complete types.
  static func check(_ signature: [UInt8]) throws(FormatError) {
    guard signature.count <= 255 else { throw FormatError("a signature of \(signature.count) bytes: at most 255") }
    var next = 0
    while next < signature.count { next = try end(of: signature, from: next) }
  }

  /// What a value of the type that begins with that letter is aligned to.
  static func alignment(_ letter: UInt8) -> Int {
    switch letter {
    case UInt8(ascii: "n"), UInt8(ascii: "q"): 2
    case UInt8(ascii: "y"), UInt8(ascii: "g"), UInt8(ascii: "v"): 1
    case UInt8(ascii: "x"), UInt8(ascii: "t"), UInt8(ascii: "d"), UInt8(ascii: "("), UInt8(ascii: "{"): 8
    default: 4
    }
  }

  /// "/", or names of letters, digits and "_" between slashes ("Valid Object Paths").
  static func isObjectPath(_ text: String) -> Bool {
    if text == "/" { return true }
    let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard parts.count > 1, parts[0].isEmpty else { return false }
    return parts.dropFirst().allSatisfy { part in
      !part.isEmpty
        && part.allSatisfy { byte in
          (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || byte == 95
        }
    }
  }
}
