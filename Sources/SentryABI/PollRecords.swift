/// struct pollfd (poll(2)).
public struct PollRecord: Equatable, Sendable, BitwiseCopyable {
  public static let size = 8
  public var descriptor: Int32
  public var events: UInt16
  public var returned: UInt16

  /// - Parameter at: where it begins; the eight bytes are there.
  public init(_ bytes: [UInt8], at start: Int) {
    descriptor = Int32(bitPattern: bytes.little32(start))
    events = bytes.little16(start + 4)
    returned = 0
  }
}

extension [UInt8] {
  public func little16(_ at: Int) -> UInt16 { UInt16(self[at]) | UInt16(self[at + 1]) << 8 }
  public func little32(_ at: Int) -> UInt32 { UInt32(little16(at)) | UInt32(little16(at + 2)) << 16 }
  public func little64(_ at: Int) -> UInt64 { UInt64(little32(at)) | UInt64(little32(at + 4)) << 32 }

  public mutating func append(little value: UInt16) { append(bytesOf: value.littleEndian) }
  public mutating func append(little value: UInt32) { append(bytesOf: value.littleEndian) }
  public mutating func append(little value: UInt64) { append(bytesOf: value.littleEndian) }

  @inline(__always)
  private mutating func append<Number: FixedWidthInteger & BitwiseCopyable>(bytesOf value: Number) {
    // SAFETY: the bytes of an integer, copied while it lives.
    unsafe Swift.withUnsafeBytes(of: value) { unsafe append(contentsOf: $0) }
  }
}

/// The bits of an fd_set (select(2)), as many as were asked for.
public struct DescriptorSet: Equatable, Sendable {
  public var bytes: [UInt8]
  public init(_ bytes: [UInt8]) { self.bytes = bytes }
  public init(like other: DescriptorSet) { bytes = [UInt8](repeating: 0, count: other.bytes.count) }
  /// Whole words, as Linux copies them.
  public static func size(_ descriptors: Int32) -> Int { (Int(descriptors) + 63) / 64 * 8 }
  public subscript(number: Int) -> Bool {
    get { bytes[number >> 3] & 1 << UInt8(number & 7) != 0 }
    set {
      if newValue {
        bytes[number >> 3] |= 1 << UInt8(number & 7)
      } else {
        bytes[number >> 3] &= ~(1 << UInt8(number & 7))
      }
    }
  }
}
