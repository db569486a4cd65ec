/// struct cmsghdr and what follows it (cmsg(3)), on 64-bit machines.
public struct ControlMessage: Equatable, Sendable {
  public var level: Int32
  public var type: Int32
  public var data: [UInt8]
  public init(level: Int32, type: Int32, data: [UInt8]) {
    self.level = level
    self.type = type
    self.data = data
  }
  public static let header = 16

  /// Those in a control buffer, up to the first that is not well formed.
  public static func list(_ bytes: [UInt8]) -> [ControlMessage] {
    var found: [ControlMessage] = []
    var at = 0
    while bytes.count - at >= header {
      guard let length = Int(exactly: bytes.little64(at)), length >= header, length <= bytes.count - at else { break }
      found.append(
        ControlMessage(
          level: Int32(bitPattern: bytes.little32(at + 8)), type: Int32(bitPattern: bytes.little32(at + 12)),
          data: Array(bytes[(at + header)..<(at + length)])))
      at += (length + 7) & ~7
    }
    return found
  }

  /// Whether the bytes are control messages to their end, as sendmsg(2) wants them.
  public static func isWellFormed(_ bytes: [UInt8]) -> Bool {
    var at = 0
    while at < bytes.count {
      // Less than a header at the end is passed over (CMSG_NXTHDR).
      if bytes.count - at < header { return true }
      guard let length = Int(exactly: bytes.little64(at)), length >= header,
        length <= bytes.count - at
      else { return false }
      at += (length + 7) & ~7
    }
    return true
  }

  /// - Parameter limit: bytes of room; what has none is cut off.
  /// - Returns: whether all of it had room.
  public func append(to bytes: inout [UInt8], limit: Int) -> Bool {
    guard limit - bytes.count >= Self.header else { return false }
    let taken = min(data.count, limit - bytes.count - Self.header)
    bytes.append(little: UInt64(Self.header + taken))
    bytes.append(little: UInt32(bitPattern: level))
    bytes.append(little: UInt32(bitPattern: type))
    bytes += data.prefix(taken)
    while bytes.count % 8 != 0, bytes.count < limit { bytes.append(0) }
    return taken == data.count
  }
}
