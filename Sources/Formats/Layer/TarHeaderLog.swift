/// What a layer's image does not have of the tar it was made of: headers, padding, order. With the image it gives the tar again, bit
/// for bit, and so its digest.
///
/// The log: the eight bytes `ImTarLg1`, then pieces of the tar in order. A piece is a number (LEB128) whose lowest two bits say
/// what it is and whose others how long: 0 literal bytes, which follow; 1 bytes of the image, from an offset that follows as a
/// number, its distance to where the last such piece ended, rounded up to 4096 (zigzag); 2 zeros; 3 the end, where the number is the tar's
/// size. To be compressed by whoever keeps it.
public struct TarHeaderLog: Sendable {
  static let magic = Array("ImTarLg1".utf8)

  enum Piece: UInt8 { case literal, copy, zeros, end }

  /// What is to be kept; the caller takes it and calls `removeAll`.
  public private(set) var bytes: [UInt8] = magic
  /// Bytes of the tar so far.
  public private(set) var tarSize: UInt64 = 0

  private var pending: [UInt8] = []
  private var zeros = 0
  private var copyOffset: UInt64 = 0
  private var copyLength: UInt64 = 0
  private var expected: UInt64 = 0
  /// Shorter runs of zeros stay among the literal bytes.
  private static let shortestZeros = 24
  private static let longestLiteral = 64 << 10

  public init() {}

  /// Forgets the bytes that were kept; the room stays.
  public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  /// The next bytes of the tar, which the image does not have.
  public mutating func literal(_ contents: Span<UInt8>) {
    if contents.isEmpty { return }
    endCopy()
    tarSize += UInt64(contents.count)
    var index = 0
    while index < contents.count {
      if contents[index] == 0 {
        zeros += 1
        index += 1
        continue
      }
      endZeros()
      let start = index
      while index < contents.count, contents[index] != 0 { index += 1 }
      pending.append(contentsOf: start..<index, of: contents)
      if pending.count >= Self.longestLiteral { endLiteral() }
    }
  }

  /// The next bytes of the tar are these of the image.
  public mutating func copy(from offset: UInt64, count: UInt64) {
    if count == 0 { return }
    tarSize += count
    if copyLength > 0, offset == copyOffset + copyLength {
      copyLength += count
      return
    }
    endCopy()
    endZeros()
    endLiteral()
    (copyOffset, copyLength) = (offset, count)
  }

  /// The tar is at its end.
  public mutating func finish() {
    endCopy()
    endZeros()
    endLiteral()
    append(tarSize, .end)
  }

  private mutating func endZeros() {
    guard zeros > 0 else { return }
    if zeros < Self.shortestZeros {
      pending.append(contentsOf: repeatElement(0, count: zeros))
    } else {
      endLiteral()
      append(UInt64(zeros), .zeros)
    }
    zeros = 0
  }

  private mutating func endLiteral() {
    guard !pending.isEmpty else { return }
    append(UInt64(pending.count), .literal)
    bytes += pending
    pending.removeAll(keepingCapacity: true)
  }

  private mutating func endCopy() {
    guard copyLength > 0 else { return }
    append(copyLength, .copy)
    let distance = Int64(bitPattern: copyOffset &- expected)
    append(UInt64(bitPattern: distance << 1 ^ distance >> 63))
    expected = (copyOffset + copyLength + 4095) & ~4095
    copyLength = 0
  }

  private mutating func append(_ length: UInt64, _ piece: Piece) { append(length << 2 | UInt64(piece.rawValue)) }

  private mutating func append(_ number: UInt64) {
    var rest = number
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

/// Reads a `TarHeaderLog`, in chunks of any size, and says piece by piece what the tar is made of.
///
/// Never traps, whatever the bytes; a piece of the image is always within the image.
public struct TarHeaderLogReader: ~Copyable, Sendable {
  public enum Piece: Sendable, Equatable {
    /// These bytes of the chunk.
    case literal(Range<Int>)
    /// Bytes of the image.
    case copy(offset: UInt64, length: UInt64)
    case zeros(UInt64)
    /// The chunk is used up.
    case needsInput
  }

  private enum State {
    case magic, piece
    case copy(UInt64)
    case literal(UInt64)
    case ended
  }

  public let imageSize: UInt64
  /// Bytes of the tar that were told of so far.
  public private(set) var tarSize: UInt64 = 0
  private var state = State.magic
  private var offset = 0
  private var matched = 0
  private var number: UInt64 = 0
  private var shift: UInt64 = 0
  private var expected: UInt64 = 0

  /// - Parameter imageSize: bytes of the image that the log belongs to.
  public init(imageSize: UInt64) { self.imageSize = imageSize }

  /// The next piece from a chunk of the log; `position` moves over what was read of it.
  public mutating func next(_ chunk: Span<UInt8>, at position: inout Int) throws(FormatError) -> Piece {
    while position < chunk.count {
      switch state {
      case .magic:
        guard chunk[position] == TarHeaderLog.magic[matched] else { throw broken("does not begin as one") }
        step(&position)
        matched += 1
        if matched == TarHeaderLog.magic.count { state = .piece }
      case .piece:
        guard let value = try take(chunk, &position) else { continue }
        if let piece = try begin(value) { return piece }
      case .copy(let length):
        guard let value = try take(chunk, &position) else { continue }
        state = .piece
        return try copy(value, length)
      case .literal(let left):
        let count = Int(min(left, UInt64(chunk.count - position)))
        let range = position..<position + count
        position += count
        offset += count
        state = left == UInt64(count) ? .piece : .literal(left - UInt64(count))
        return .literal(range)
      case .ended: throw broken("goes on after its end")
      }
    }
    return .needsInput
  }

  /// Says that the log is at its end.
  public func finish() throws(FormatError) {
    guard case .ended = state else { throw broken("is cut short") }
  }

  private mutating func step(_ position: inout Int) {
    position += 1
    offset += 1
  }

  /// A number, once its last byte is there.
  private mutating func take(_ chunk: Span<UInt8>, _ position: inout Int) throws(FormatError) -> UInt64? {
    let byte = chunk[position]
    step(&position)
    guard shift < 63 || shift == 63 && byte <= 1 else { throw broken("has a number too large") }
    number |= UInt64(byte & 0x7F) << shift
    shift += 7
    if byte & 0x80 != 0 { return nil }
    defer { (number, shift) = (0, 0) }
    return number
  }

  private mutating func begin(_ value: UInt64) throws(FormatError) -> Piece? {
    let length = value >> 2
    switch value & 3 {
    case 0:
      try count(length)
      state = .literal(length)
      return nil
    case 1:
      try count(length)
      state = .copy(length)
      return nil
    case 2:
      try count(length)
      return .zeros(length)
    default:
      guard length == tarSize else { throw broken("is of a tar of \(length) bytes and has \(tarSize)") }
      state = .ended
      return nil
    }
  }

  private mutating func count(_ length: UInt64) throws(FormatError) {
    guard length > 0, length < 1 << 60, tarSize < 1 << 61 else { throw broken("has a piece of an impossible length") }
    tarSize += length
  }

  private mutating func copy(_ value: UInt64, _ length: UInt64) throws(FormatError) -> Piece {
    let distance = value >> 1 ^ (value & 1 == 0 ? 0 : UInt64.max)
    let start = expected &+ distance
    guard start <= imageSize, length <= imageSize - start else {
      throw broken("names bytes \(start) to \(start &+ length) of an image that has \(imageSize)")
    }
    expected = (start + length + 4095) & ~4095
    return .copy(offset: start, length: length)
  }

  private func broken(_ problem: String) -> FormatError {
    FormatError("the log of tar headers " + problem, at: .offset(offset))
  }
}
