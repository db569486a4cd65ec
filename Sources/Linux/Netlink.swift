/// A route-netlink request under construction (netlink(7), rtnetlink(7)): a header, a fixed struct, attributes.
public struct NetlinkMessage: Sendable {
  package private(set) var bytes: [UInt8]

  /// `flags` are NLM_F_*; NLM_F_REQUEST is always set. `body` is the fixed struct that follows the header.
  public init(type: UInt16, flags: UInt16, body: [UInt8]) {
    bytes = []
    append(UInt32(0))
    append(type)
    append(flags | 0x1)
    append(UInt32(1))
    append(UInt32(0))
    bytes += body
    pad()
  }

  private mutating func append<Number: FixedWidthInteger>(_ number: Number) {
    bytes += NetlinkMessage.raw(number)
  }

  private mutating func pad() {
    while bytes.count % 4 != 0 { bytes.append(0) }
  }

  /// The bytes of a number as this machine keeps them, which is what the kernel reads.
  public static func raw<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    let little = number.littleEndian
    return (0..<(Number.bitWidth / 8)).map { UInt8(truncatingIfNeeded: little >> ($0 * 8)) }
  }

  public mutating func attribute(_ type: UInt16, _ payload: [UInt8]) {
    append(UInt16(4 + payload.count))
    append(type)
    bytes += payload
    pad()
  }

  public mutating func attribute<Number: FixedWidthInteger>(_ type: UInt16, _ number: Number) {
    attribute(type, NetlinkMessage.raw(number))
  }

  /// A NUL-terminated name.
  public mutating func attribute(_ type: UInt16, _ name: String) {
    attribute(type, Array(name.utf8) + [0])
  }

  /// An attribute that holds attributes, after `prefix` bytes of a fixed struct.
  public mutating func nested(_ type: UInt16, prefix: [UInt8] = [], _ body: (inout NetlinkMessage) -> Void) {
    let nestedFlag: UInt16 = 0x8000
    let start = bytes.count
    append(UInt16(0))
    append(prefix.isEmpty ? type | nestedFlag : type)
    bytes += prefix
    body(&self)
    let length = NetlinkMessage.raw(UInt16(bytes.count - start))
    bytes.replaceSubrange(start..<(start + 2), with: length)
  }

  /// The message with its length filled in.
  package var finished: [UInt8] {
    var copy = bytes
    copy.replaceSubrange(0..<4, with: NetlinkMessage.raw(UInt32(copy.count)))
    return copy
  }
}
