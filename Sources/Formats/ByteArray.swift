extension [UInt8] {
  /// Appends a part of a span in one copy.
  mutating func append(contentsOf range: Range<Int>, of bytes: Span<UInt8>) {
    guard !range.isEmpty else { return }
    // SAFETY: the pointer does not leave the closure, and `extracting` has checked the range.
    unsafe bytes.extracting(range).withUnsafeBufferPointer { source in unsafe append(contentsOf: source) }
  }

  @inline(__always)
  mutating func appendLittleEndian(_ number: some FixedWidthInteger) {
    var rest = number
    for _ in 0..<(number.bitWidth / 8) {
      append(UInt8(truncatingIfNeeded: rest))
      rest >>= 8
    }
  }
}
