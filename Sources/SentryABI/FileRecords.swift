/// What the stat family stores, in neutral words; encoded as x86-64 lays it out.
public struct StatusRecord: Equatable, Sendable, BitwiseCopyable {
  public var device: UInt64 = 0
  public var inode: UInt64 = 0
  public var links: UInt32 = 1
  /// Type and permissions.
  public var mode: UInt32 = 0
  public var user: UInt32 = 0
  public var group: UInt32 = 0
  public var special: UInt64 = 0
  public var size: Int64 = 0
  public var blockSize: UInt32 = 4096
  public var blocks: UInt64 = 0
  public var accessed = TimeSpec(seconds: 0, nanoseconds: 0)
  public var modified = TimeSpec(seconds: 0, nanoseconds: 0)
  public var changed = TimeSpec(seconds: 0, nanoseconds: 0)
  public var born = TimeSpec(seconds: 0, nanoseconds: 0)
  public init() {}

  /// struct stat (arch/x86/include/uapi/asm/stat.h): 144 bytes, in its order and without gaps.
  public struct KernelStatus: Sendable, BitwiseCopyable {
    public var device: UInt64
    public var inode: UInt64
    public var links: UInt64
    public var mode: UInt32
    public var user: UInt32
    public var group: UInt32
    private var padding: UInt32 = 0
    public var special: UInt64
    public var size: Int64
    public var blockSize: UInt64
    public var blocks: UInt64
    public var accessed: TimeSpec
    public var modified: TimeSpec
    public var changed: TimeSpec
    private var reserved: (UInt64, UInt64, UInt64) = (0, 0, 0)

    init(_ record: StatusRecord) {
      device = record.device
      inode = record.inode
      links = UInt64(record.links)
      mode = record.mode
      user = record.user
      group = record.group
      special = record.special
      size = record.size
      blockSize = UInt64(record.blockSize)
      blocks = record.blocks
      accessed = record.accessed
      modified = record.modified
      changed = record.changed
    }
  }
  public var kernelStatus: KernelStatus { KernelStatus(self) }
  public var stat: [UInt8] {
    // SAFETY: a struct without gaps, copied while it lives.
    unsafe withUnsafeBytes(of: kernelStatus) { unsafe [UInt8]($0) }
  }

  /// STATX_BASIC_STATS and STATX_BTIME (linux/stat.h).
  public static let statxMask: UInt32 = 0xfff

  /// struct statx, 256 bytes.
  /// - Parameter mount: its id, told with STATX_MNT_ID; nil leaves it out.
  /// - Parameter isMountRoot: STATX_ATTR_MOUNT_ROOT.
  public func statx(mount: UInt64?, isMountRoot: Bool) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(256)
    bytes.append(little: Self.statxMask | (mount == nil ? 0 : 0x1000))
    bytes.append(little: blockSize)
    bytes.append(little: UInt64(isMountRoot ? 0x2000 : 0))
    bytes.append(little: links)
    bytes.append(little: user)
    bytes.append(little: group)
    bytes.append(little: UInt16(truncatingIfNeeded: mode))
    bytes.append(little: UInt16(0))
    bytes.append(little: inode)
    bytes.append(little: UInt64(bitPattern: size))
    bytes.append(little: blocks)
    bytes.append(little: UInt64(0x2000))
    for time in [accessed, born, changed, modified] {
      bytes.append(little: UInt64(bitPattern: time.seconds))
      bytes.append(little: UInt32(truncatingIfNeeded: time.nanoseconds))
      bytes.append(little: UInt32(0))
    }
    for number in [special, device] {
      bytes.append(little: UInt32(truncatingIfNeeded: number >> 8 & 0xfff | number >> 32 & 0xffff_f000))
      bytes.append(little: UInt32(truncatingIfNeeded: number & 0xff | number >> 12 & 0xffff_ff00))
    }
    bytes.append(little: mount ?? 0)
    bytes.append(contentsOf: repeatElement(0, count: 256 - bytes.count))
    return bytes
  }
}

/// struct linux_dirent64 and its older brother (getdents(2)).
public struct DirectoryRecords {
  public private(set) var bytes: [UInt8] = []
  private let room: Int
  private let isOld: Bool
  /// Whether an entry found no room.
  public private(set) var isFull = false

  /// - Parameter isOld: getdents(2), whose type stands in an entry's last byte.
  public init(room: Int, isOld: Bool = false) {
    self.room = room
    self.isOld = isOld
    // As much as C libraries ask for, in one piece.
    bytes.reserveCapacity(min(room, 32768))
  }

  /// - Returns: false where there is no room.
  public mutating func add(inode: UInt64, next: Int64, kind: UInt8, name: [UInt8]) -> Bool {
    let length = (name.count + 20 + 7) & ~7
    guard length <= room - bytes.count else {
      isFull = true
      return false
    }
    let end = bytes.count + length
    bytes.append(little: inode)
    bytes.append(little: UInt64(bitPattern: next))
    bytes.append(little: UInt16(truncatingIfNeeded: length))
    if !isOld { bytes.append(kind) }
    bytes += name
    bytes.append(contentsOf: repeatElement(0, count: end - bytes.count))
    if isOld { bytes[end - 1] = kind }
    return true
  }
}

/// struct flock (fcntl_locking(2)), 32 bytes.
public struct LockRecord: Equatable, Sendable, BitwiseCopyable {
  public static let size = 32
  public static let read: Int16 = 0
  public static let write: Int16 = 1
  public static let unlock: Int16 = 2
  public var type: Int16
  public var whence: Int16
  public var start: Int64
  public var length: Int64
  public var process: Int32

  public init(_ bytes: [UInt8]) {
    type = Int16(bitPattern: bytes.little16(0))
    whence = Int16(bitPattern: bytes.little16(2))
    start = Int64(bitPattern: bytes.little64(8))
    length = Int64(bitPattern: bytes.little64(16))
    process = Int32(bitPattern: bytes.little32(24))
  }

  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(little: UInt16(bitPattern: type))
    bytes.append(little: UInt16(bitPattern: whence))
    bytes.append(little: UInt32(0))
    bytes.append(little: UInt64(bitPattern: start))
    bytes.append(little: UInt64(bitPattern: length))
    bytes.append(little: UInt32(bitPattern: process))
    bytes.append(little: UInt32(0))
    return bytes
  }
}
