public import Linux

/// Options of a file system in memory, as tmpfs(5) spells them.
public struct TemporaryOptions {
  /// In bytes; nil where none says.
  public private(set) var size: UInt64?
  public private(set) var permissions: UInt32 = 0o1777
  public private(set) var user: UInt32 = 0
  public private(set) var group: UInt32 = 0

  public init() {}

  /// - Parameter option: one of them, `name=value`.
  /// - Throws: EINVAL.
  public mutating func take(_ option: [UInt8]) throws(Errno) {
    guard let equals = option.firstIndex(of: UInt8(ascii: "=")) else { throw .invalid }
    let value = option[(equals + 1)...]
    switch String(decoding: option[..<equals], as: UTF8.self) {
    case "size": size = try Self.bytes(value)
    case "mode": permissions = try Self.number(value, 8) & 0o7777
    case "uid": user = try Self.number(value, 10)
    case "gid": group = try Self.number(value, 10)
    // Bounded with the bytes.
    case "nr_inodes", "nr_blocks": _ = try Self.bytes(value)
    default: throw .invalid
    }
  }

  private static func number(_ text: ArraySlice<UInt8>, _ radix: Int) throws(Errno) -> UInt32 {
    guard let value = UInt32(String(decoding: text, as: UTF8.self), radix: radix) else { throw .invalid }
    return value
  }

  private static func bytes(_ text: ArraySlice<UInt8>) throws(Errno) -> UInt64 {
    let unit: UInt64? =
      switch text.last {
      case UInt8(ascii: "k"), UInt8(ascii: "K"): 1 << 10
      case UInt8(ascii: "m"), UInt8(ascii: "M"): 1 << 20
      case UInt8(ascii: "g"), UInt8(ascii: "G"): 1 << 30
      default: nil
      }
    let digits = unit == nil ? text : text.dropLast()
    guard let number = UInt64(String(decoding: digits, as: UTF8.self)) else { throw .invalid }
    let (product, overflows) = number.multipliedReportingOverflow(by: unit ?? 1)
    if overflows { throw .invalid }
    return product
  }
}
