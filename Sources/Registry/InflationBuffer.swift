import Formats

/// Where inflated bytes are put: a piece, handed on, then the next one.
@safe class InflationBuffer {
  /// Bytes of a piece.
  static let size = 256 << 10

  /// What is written next.
  var piece: UnsafeMutableRawBufferPointer
  /// Bytes handed on so far.
  private(set) final var handed: Int64 = 0
  private let own: UnsafeMutableRawBufferPointer?

  /// One piece of this process's own, used again and again.
  init() {
    // SAFETY: freed with this value; zeroed, so that it is never read uninitialised.
    unsafe own = .allocate(byteCount: Self.size, alignment: 64)
    unsafe own?.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe piece = own ?? UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  /// The first piece is somebody else's, who sees to it that it lasts.
  init(first piece: UnsafeMutableRawBufferPointer) {
    unsafe own = nil
    unsafe self.piece = piece
  }

  deinit { unsafe own?.deallocate() }

  /// The piece begins with so many bytes to be read; they stay as they are until `advance`.
  func publish(_ count: Int) throws(FormatError) {}

  /// What was published was read here: another piece may be written.
  func advance() throws(FormatError) {}

  /// Puts bytes at the piece's beginning; they must fit.
  final func copy(_ bytes: Span<UInt8>) {
    precondition(bytes.count <= Self.size, "more than a piece")
    // SAFETY: both have so many bytes, and they are not the same memory.
    unsafe bytes.withUnsafeBytes { source in unsafe piece.copyMemory(from: source) }
  }

  /// Hands on the bytes that the piece begins with, and goes on to the next.
  final func hand(_ count: Int, _ give: (Span<UInt8>) throws(FormatError) -> Void) throws(FormatError) {
    guard count > 0 else { return }
    handed += Int64(count)
    try publish(count)
    // SAFETY: initialised memory of at least `count` bytes, which nobody writes before `advance`.
    let bytes = unsafe UnsafeBufferPointer(
      start: UnsafePointer(piece.baseAddress?.assumingMemoryBound(to: UInt8.self)), count: count)
    try give(unsafe Span(_unsafeElements: bytes))
    try advance()
  }
}
