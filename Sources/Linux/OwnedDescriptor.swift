/// A descriptor that several parts of a program know, closed once: by `close`, or with the last of them.
public final class OwnedDescriptor {
  public private(set) var rawValue: Int32
  public init(_ descriptor: consuming FileDescriptor) { rawValue = descriptor.release() }
  public func close() {
    if rawValue >= 0 { _ = FileDescriptor(owning: rawValue) }
    rawValue = -1
  }
  deinit { close() }

  /// Two connected sockets; the far end's number is above those that a child gives away.
  public static func pair(packets: Bool) throws(SystemError) -> (near: OwnedDescriptor, far: OwnedDescriptor) {
    let ends = try DescriptorPair.sockets(sequencedPackets: packets).release()
    let near = OwnedDescriptor(FileDescriptor(owning: ends.first))
    let low = FileDescriptor(owning: ends.second)
    return (near, OwnedDescriptor(try low.duplicate(atLeast: 64)))
  }
}
