/// A device beside the first one.
public struct EROFSDevice: Sendable, Equatable {
  public var blocks: UInt64
  /// Where its first block is seen among the image's; 0 where only chunks name it.
  public var mappedBlock: UInt64
  /// 64 bytes that mean something to whoever wrote them.
  public var tag: [UInt8]
}

/// What an image says of itself (`struct erofs_super_block`), held against what this reader knows.
public struct EROFSSuperblock: Sendable {
  /// A block has two to the power of this many bytes, 9 to 16.
  public let blockBits: UInt8
  public let blocks: UInt64
  public let inodes: UInt64
  public let rootID: UInt64
  public let metadataBlock: UInt64
  public let attributeBlock: UInt64
  /// The time of inodes without one of their own.
  public let seconds: Int64
  public let nanoseconds: UInt32
  public let hasChecksum: Bool
  public internal(set) var devices: [EROFSDevice] = []
  let deviceTable: UInt64
  let deviceCount: Int

  public var blockSize: UInt64 { 1 << UInt64(blockBits) }

  /// - Parameter bytes: the superblock's 128.
  init(_ bytes: Span<UInt8>) throws(FormatError) {
    func wrong(_ problem: String) -> FormatError {
      FormatError("the EROFS image " + problem, at: .offset(EROFSFormat.superblockOffset))
    }
    guard bytes.littleEndian(0, UInt32.self) == EROFSFormat.magic else { throw wrong("does not begin as one") }
    blockBits = bytes[12]
    guard (9...16).contains(blockBits) else { throw wrong("has blocks of 2^\(blockBits) bytes; 2^9 to 2^16 are known") }
    guard bytes[90] == 0 else { throw wrong("has directory blocks of a size of their own; not supported") }
    let features = bytes.littleEndian(80, UInt32.self)
    let unknown: [(UInt32, String)] = [
      (0x2, "compression configurations"), (0x10, "compressed tails"), (0x20, "fragments or deduplicated compression"),
      (0x40, "long prefixes of attribute names"), (0x80, "48-bit block addresses"), (0x100, "a metadata box"),
    ]
    for (bit, name) in unknown where features & bit != 0 { throw wrong("uses \(name); not supported") }
    // Bit 0 is about how compressed data is padded: images without any have it too.
    guard features & ~(0x1 | EROFSFormat.Incompatible.chunks | EROFSFormat.Incompatible.deviceTable) == 0 else {
      throw wrong("uses features that are not known (0x\(String(features, radix: 16)))")
    }
    hasChecksum = bytes.littleEndian(8, UInt32.self) & EROFSFormat.Compatible.checksum != 0
    rootID = UInt64(bytes.littleEndian(14, UInt16.self))
    inodes = bytes.littleEndian(16, UInt64.self)
    seconds = Int64(bitPattern: bytes.littleEndian(24, UInt64.self))
    nanoseconds = bytes.littleEndian(32, UInt32.self)
    blocks = UInt64(bytes.littleEndian(36, UInt32.self))
    metadataBlock = UInt64(bytes.littleEndian(40, UInt32.self))
    attributeBlock = UInt64(bytes.littleEndian(44, UInt32.self))
    deviceCount = features & EROFSFormat.Incompatible.deviceTable == 0 ? 0 : Int(bytes.littleEndian(86, UInt16.self))
    deviceTable = UInt64(bytes.littleEndian(88, UInt16.self)) * UInt64(EROFSFormat.deviceSlot)
  }

  /// The device and the place on it of a byte that an inode names by the image's own numbers.
  func locate(_ offset: UInt64) -> (device: Int, offset: UInt64) {
    for (index, device) in devices.enumerated() where device.mappedBlock != 0 {
      let start = device.mappedBlock << UInt64(blockBits)
      if offset >= start, offset - start < device.blocks << UInt64(blockBits) { return (index + 1, offset - start) }
    }
    return (0, offset)
  }
}
