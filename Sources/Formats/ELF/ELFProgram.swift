/// What an executable for x86-64 wants to have mapped (elf(5), the psABI): the kernel's load_elf_binary() without the mapping.
///
/// Whoever made the file is not trusted: every number is bounded here, so that sums of them below 2^62 hold.
public struct ELFProgram: Sendable, Equatable {
  public struct Segment: Sendable, Equatable {
    public var address: UInt64
    public var offset: UInt64
    public var fileSize: UInt64
    /// Not less than `fileSize`.
    public var memorySize: UInt64
    /// PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4 (mmap(2)).
    public var protection: UInt32
  }
  /// ET_EXEC: at the addresses that it names; ET_DYN: anywhere.
  public var isFixed: Bool
  public var entry: UInt64
  /// PT_LOAD, ascending in address, at least one.
  public var segments: [Segment]
  /// The largest p_align of them, a power of two from 4096 to 1 GiB.
  public var alignment: UInt64
  /// Where the program headers lie in memory (AT_PHDR); nil where no segment holds them.
  public var headersAddress: UInt64?
  public var headerCount: Int
  /// Where PT_INTERP's path lies in the file, without its NUL.
  public var interpreter: Range<UInt64>?
  /// No PT_GNU_STACK, or one with PF_X.
  public var wantsExecutableStack: Bool

  /// First byte of the first page and end of the last page.
  public var span: Range<UInt64> {
    let first = (segments.first?.address ?? 0) & ~(Self.page - 1)
    let end = segments.reduce(first) { max($0, $1.address + $1.memorySize) }
    return first..<(end + Self.page - 1) & ~(Self.page - 1)
  }

  static let page: UInt64 = 4096
  /// Of user addresses, with the topmost page left out (TASK_SIZE_MAX).
  static let addressLimit: UInt64 = 0x7fff_ffff_f000
  public static let headerSize = 64
  static let programHeaderSize = 56

  /// Where the program headers lie in the file, told by its first 64 bytes.
  /// - Throws: what makes the file no executable of this machine.
  public static func programHeaders(_ header: Span<UInt8>) throws(FormatError) -> Range<UInt64> {
    guard header.count >= headerSize, header[0] == 0x7f, header[1] == 0x45, header[2] == 0x4c, header[3] == 0x46 else {
      throw FormatError("is not an ELF file")
    }
    guard header[4] == 2, header[5] == 1, header.littleEndian(18, UInt16.self) == 62 else {
      throw FormatError("is an ELF file of another architecture than x86-64", at: .offset(4))
    }
    let type = header.littleEndian(16, UInt16.self)
    guard type == 2 || type == 3 else {
      throw FormatError("is neither an executable nor a shared object", at: .offset(16))
    }
    let count = header.littleEndian(56, UInt16.self)
    guard header.littleEndian(54, UInt16.self) == UInt16(programHeaderSize), count > 0, count <= 1170 else {
      // The kernel takes 64 kB of them.
      throw FormatError("has program headers of a wrong size", at: .offset(54))
    }
    let offset = header.littleEndian(32, UInt64.self)
    guard offset < 1 << 62 else { throw FormatError("has its program headers too far away", at: .offset(32)) }
    return offset..<offset + UInt64(count) * UInt64(programHeaderSize)
  }

  /// - Parameters:
  ///   - header: the file's first 64 bytes.
  ///   - table: the bytes that `programHeaders` named.
  public init(_ header: Span<UInt8>, table: Span<UInt8>) throws(FormatError) {
    let place = try Self.programHeaders(header)
    guard table.count == Int(place.upperBound - place.lowerBound) else {
      throw FormatError("ends within its program headers", at: .offset(32))
    }
    isFixed = header.littleEndian(16, UInt16.self) == 2
    entry = header.littleEndian(24, UInt64.self)
    headerCount = table.count / Self.programHeaderSize
    segments = []
    alignment = Self.page
    headersAddress = nil
    interpreter = nil
    wantsExecutableStack = true
    for index in 0..<headerCount { try add(table, index * Self.programHeaderSize, place.lowerBound) }
    guard !segments.isEmpty else { throw FormatError("has nothing to load") }
    guard segments.contains(where: { $0.address <= entry && entry - $0.address < $0.memorySize }) else {
      throw FormatError("begins outside of what it loads", at: .offset(24))
    }
  }

  private mutating func add(_ table: Span<UInt8>, _ at: Int, _ tableOffset: UInt64) throws(FormatError) {
    let flags = table.littleEndian(at + 4, UInt32.self)
    let offset = table.littleEndian(at + 8, UInt64.self)
    let address = table.littleEndian(at + 16, UInt64.self)
    let fileSize = table.littleEndian(at + 32, UInt64.self)
    let memorySize = table.littleEndian(at + 40, UInt64.self)
    switch table.littleEndian(at, UInt32.self) {
    case 1:
      if memorySize == 0 { return }
      guard fileSize <= memorySize, address < Self.addressLimit, memorySize < Self.addressLimit - address,
        offset < 1 << 62, fileSize < 1 << 62, (offset ^ address) & (Self.page - 1) == 0
      else { throw FormatError("has a segment that cannot be mapped", at: .offset(at)) }
      if let last = segments.last, address < last.address + last.memorySize {
        throw FormatError("has segments out of order", at: .offset(at))
      }
      segments.append(
        Segment(
          address: address, offset: offset, fileSize: fileSize, memorySize: memorySize,
          protection: (flags & 4) >> 2 | flags & 2 | (flags & 1) << 2))
      let aligned = table.littleEndian(at + 48, UInt64.self)
      if aligned.nonzeroBitCount == 1, aligned > alignment { alignment = min(aligned, 1 << 30) }
      if headersAddress == nil, offset <= tableOffset, tableOffset - offset < fileSize {
        headersAddress = address + (tableOffset - offset)
      }
    case 3:
      guard interpreter == nil else { return }
      guard (2...4096).contains(fileSize), offset < 1 << 62 else {
        throw FormatError("has an interpreter's name of a wrong length", at: .offset(at))
      }
      interpreter = offset..<offset + fileSize - 1
    case 0x6474_e551:
      wantsExecutableStack = flags & 1 != 0
    default:
      break
    }
  }
}
