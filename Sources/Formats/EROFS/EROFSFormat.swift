/// Numbers of the EROFS on-disk format (the kernel's fs/erofs/erofs_fs.h; "Core on-disk format" of the EROFS documentation).
enum EROFSFormat {
  static let magic: UInt32 = 0xE0F5_E1E2
  static let superblockOffset = 1024
  static let superblockSize = 128
  /// What our images have; readers take others.
  static let blockBits: UInt8 = 12
  static let blockSize = 4096
  /// Inode numbers count slots of 32 bytes from the metadata's first block.
  static let slotSize = 32
  static let compactInode = 32
  static let extendedInode = 64
  static let direntSize = 12
  static let deviceSlot = 128
  /// A block address that stands for zeros.
  static let nullBlock = UInt32.max
  static let attributeHeader = 12
  static let attributeEntry = 4

  /// Features that a reader may ignore.
  enum Compatible {
    static let checksum: UInt32 = 0x1
    static let modificationTimes: UInt32 = 0x2
  }

  /// Features that a reader must know.
  enum Incompatible {
    static let chunks: UInt32 = 0x4
    static let deviceTable: UInt32 = 0x8
  }

  enum DataLayout: UInt16 {
    case plain = 0
    case compressedFull = 1
    case inline = 2
    case compressedCompact = 3
    case chunks = 4
  }

  /// Bits of a chunk format: how many blocks (a power of two), whether entries have 8 bytes and a device.
  enum Chunk {
    static let blockBitsMask: UInt16 = 0x1F
    static let indexes: UInt16 = 0x20
    static let wideAddresses: UInt16 = 0x40
  }

  /// What each attribute's name begins with; the rest is stored (EROFS_XATTR_INDEX_*).
  enum AttributePrefix: UInt8, CaseIterable {
    case user = 1
    case accessACL, defaultACL, trusted, lustre, security

    var text: String {
      switch self {
      case .user: "user."
      case .accessACL: "system.posix_acl_access"
      case .defaultACL: "system.posix_acl_default"
      case .trusted: "trusted."
      case .lustre: "lustre."
      case .security: "security."
      }
    }
  }

  /// CRC-32C without the last inversion, as the kernel's crc32c(): over a superblock and what follows it in its block.
  static func crc32c(_ bytes: Span<UInt8>, from start: UInt32 = .max) -> UInt32 {
    var crc = start
    for index in 0..<bytes.count {
      crc ^= UInt32(bytes[index])
      for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0x82F6_3B78 }
    }
    return crc
  }
}

/// What a file is, in the numbers of directory entries.
public enum EROFSKind: UInt8, Sendable, Equatable {
  case file = 1
  case directory, characterDevice, blockDevice, fifo, socket, symbolicLink

  /// From the type bits of a mode (inode(7), S_IFMT); nil for what Linux does not have.
  public init?(mode: UInt16) {
    switch mode & 0o170000 {
    case 0o100000: self = .file
    case 0o040000: self = .directory
    case 0o020000: self = .characterDevice
    case 0o060000: self = .blockDevice
    case 0o010000: self = .fifo
    case 0o140000: self = .socket
    case 0o120000: self = .symbolicLink
    default: return nil
    }
  }

  var modeBits: UInt16 {
    switch self {
    case .file: 0o100000
    case .directory: 0o040000
    case .characterDevice: 0o020000
    case .blockDevice: 0o060000
    case .fifo: 0o010000
    case .socket: 0o140000
    case .symbolicLink: 0o120000
    }
  }
}
