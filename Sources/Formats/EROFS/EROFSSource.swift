/// Where an image's bytes are: a file, a device, memory.
public protocol EROFSSource {
  /// Bytes that there are.
  var size: UInt64 { get }
  /// Fills all of `bytes` from an offset on; readers ask for nothing beyond `size`.
  /// - Throws: `FormatError` where they cannot be had.
  func read(at offset: UInt64, into bytes: inout MutableSpan<UInt8>) throws(FormatError)
}

/// An image in memory.
public struct EROFSBytes: EROFSSource, Sendable {
  private let bytes: [UInt8]
  public init(_ bytes: [UInt8]) { self.bytes = bytes }
  public var size: UInt64 { UInt64(bytes.count) }

  public func read(at offset: UInt64, into target: inout MutableSpan<UInt8>) throws(FormatError) {
    guard offset <= size, UInt64(target.count) <= size - offset else {
      throw FormatError("the image has no bytes at \(offset)")
    }
    for index in 0..<target.count { target[index] = bytes[Int(offset) + index] }
  }
}

/// The parts of an image that were read last, in windows of 16 kB. Every read is held against the image's size.
struct EROFSCache<Source: EROFSSource> {
  private static var windowBits: UInt64 { 14 }
  private static var windows: Int { 8 }

  let source: Source
  private var numbers = [UInt64](repeating: .max, count: windows)
  private var contents = [[UInt8]](repeating: [], count: windows)

  init(_ source: Source) { self.source = source }

  /// Gives the room back.
  mutating func removeAll() {
    numbers = [UInt64](repeating: .max, count: Self.windows)
    contents = [[UInt8]](repeating: [], count: Self.windows)
  }

  /// Appends so many bytes of the image.
  mutating func read(
    _ offset: UInt64, _ count: UInt64, _ what: @autoclosure () -> String, into output: inout [UInt8]
  ) throws(FormatError) {
    guard offset <= source.size, count <= source.size - offset else {
      throw FormatError("the image is cut short: \(what()) would be at \(offset)", at: .offset(Int(clamping: offset)))
    }
    var (position, left) = (offset, count)
    while left > 0 {
      let number = position >> Self.windowBits
      let slot = try window(number)
      let bytes = contents[slot]
      let start = Int(position - number << Self.windowBits)
      let taken = min(Int(clamping: left), bytes.count - start)
      // The source's size is what it was: the window reaches to its own end or to the image's.
      guard taken > 0 else { throw FormatError("the image is cut short: \(what()) would be at \(offset)") }
      output.append(contentsOf: start..<start + taken, of: bytes.span)
      position += UInt64(taken)
      left -= UInt64(taken)
    }
  }

  /// The little-endian number of two bytes that an even offset has.
  mutating func word(_ offset: UInt64, _ what: @autoclosure () -> String) throws(FormatError) -> UInt16 {
    guard offset % 2 == 0, offset < source.size, source.size - offset >= 2 else {
      throw FormatError("the image is cut short: \(what()) would be at \(offset)", at: .offset(Int(clamping: offset)))
    }
    let number = offset >> Self.windowBits
    let slot = try window(number)
    let start = Int(offset - number << Self.windowBits)
    return UInt16(contents[slot][start]) | UInt16(contents[slot][start + 1]) << 8
  }

  private mutating func window(_ number: UInt64) throws(FormatError) -> Int {
    let slot = Int(number % UInt64(Self.windows))
    if numbers[slot] == number { return slot }
    let start = number << Self.windowBits
    let count = Int(min(1 << Self.windowBits, source.size - start))
    numbers[slot] = .max
    var bytes: [UInt8] = []
    swap(&bytes, &contents[slot])
    if bytes.count != count { bytes = [UInt8](repeating: 0, count: count) }
    var span = bytes.mutableSpan
    try source.read(at: start, into: &span)
    contents[slot] = bytes
    numbers[slot] = number
    return slot
  }
}

extension Span<UInt8> {
  /// A little-endian number; the caller has made sure that its bytes are there.
  @inline(__always)
  func littleEndian<Number: FixedWidthInteger & UnsignedInteger>(_ offset: Int, _ type: Number.Type) -> Number {
    var number: Number = 0
    for index in 0..<Number.bitWidth / 8 {
      number |= Number(truncatingIfNeeded: self[offset + index]) << Number(8 * index)
    }
    return number
  }
}
