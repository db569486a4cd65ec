/// A register word that a guest chose. Nothing done with it can trap: a Swift integer trap would let a guest end the sentry.
public struct GuestWord: Equatable, Hashable, Sendable, BitwiseCopyable {
  public let bits: UInt64
  @inlinable public init(_ bits: UInt64) { self.bits = bits }

  /// As C's `int`: the low half, whatever the high one holds.
  @inlinable public var int32: Int32 { Int32(truncatingIfNeeded: bits) }
  /// As C's `unsigned int`.
  @inlinable public var uint32: UInt32 { UInt32(truncatingIfNeeded: bits) }
  /// As C's `long`.
  @inlinable public var int64: Int64 { Int64(bitPattern: bits) }
  @inlinable public var address: GuestAddress { GuestAddress(bits) }
  /// As `size_t` where it fits in an Int; nil for what no buffer can have (Linux then says EINVAL or EFAULT).
  @inlinable public var size: Int? { Int(exactly: bits) }
}

/// An address in a guest's memory. Sums wrap, as a pointer's do.
public struct GuestAddress: Equatable, Hashable, Sendable, BitwiseCopyable {
  public let bits: UInt64
  @inlinable public init(_ bits: UInt64) { self.bits = bits }
  @inlinable public var isNull: Bool { bits == 0 }
  @inlinable public func advanced(by bytes: Int) -> GuestAddress {
    GuestAddress(bits &+ UInt64(bitPattern: Int64(bytes)))
  }
}
