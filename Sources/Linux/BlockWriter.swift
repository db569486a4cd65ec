import CLinux

/// Appends to a file in whole blocks, whatever pieces the bytes come in. A file system keeps what one call wrote in pages as large as that
/// call and its place allow (large folios): writing it and removing it cost less the larger they are.
///
///     var writer = BlockWriter(file)
///     try writer.append(piece.span)
///     try writer.flush()
public struct BlockWriter: ~Copyable {
  /// Measured: of 256 kB the kernel's pages are as large as it makes them; of 1 MB they cost more to come by.
  public static let usualBlock = 256 << 10

  private let descriptor: Int32
  private let size: Int
  private var block: [UInt8]
  private var filled = 0

  /// - Parameters:
  ///   - descriptor: at a multiple of `block`, which nobody moves meanwhile; stays the caller's.
  ///   - block: bytes of a write.
  public init(_ descriptor: Int32, block: Int = BlockWriter.usualBlock) {
    precondition(block > 0)
    self.descriptor = descriptor
    size = block
    self.block = [UInt8](repeating: 0, count: block)
  }

  /// Takes all of it; less than a block is written with what comes later, or by `flush`.
  /// - Throws: write(2)'s errors. What the file then has is a beginning of what was appended.
  public mutating func append(_ bytes: Span<UInt8>) throws(SystemError) {
    var position = 0
    while position < bytes.count {
      let left = bytes.count - position
      if filled == 0 && left >= size {
        let whole = left - left % size
        try File.writeAll(descriptor, bytes.extracting(position..<(position + whole)))
        position += whole
        continue
      }
      let count = min(left, size - filled)
      copy(bytes.extracting(position..<(position + count)))
      position += count
      if filled == size { try flush() }
    }
  }

  /// Writes what is left. Whatever is appended later no longer comes in whole blocks of the file.
  public mutating func flush() throws(SystemError) {
    if filled == 0 { return }
    try File.writeAll(descriptor, block.span.extracting(0..<filled))
    filled = 0
  }

  private mutating func copy(_ bytes: Span<UInt8>) {
    let filled = filled
    var room = block.mutableSpan
    // SAFETY: `append` gives no more than is free behind `filled`; both are of one kind, and apart from each other.
    unsafe room.withUnsafeMutableBytes { target in
      unsafe bytes.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[filled...]).copyMemory(from: source)
      }
    }
    self.filled += bytes.count
  }
}
