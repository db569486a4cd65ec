public import Linux
public import SentryABI

/// The guest's side of a transfer: one range or the ranges of an iovec, filled or emptied from the front.
public struct GuestBuffer: Sendable {
  public struct Range: Sendable {
    public var address: GuestAddress
    public var count: Int
    public init(address: GuestAddress, count: Int) {
      self.address = address
      self.count = count
    }
  }
  public let memory: GuestMemory
  /// Most transfers have one range: it costs no array.
  private let first: Range
  private let others: [Range]
  private var index = 0
  private var offset = 0
  /// Whether the guest named it by an iovec, of which none or only empty ranges are no transfer at all.
  public private(set) var isVector = false
  /// Bytes still to be moved.
  public private(set) var remaining: Int
  /// Bytes moved so far.
  public private(set) var moved = 0

  /// - Parameter count: at most 0x7fff_f000, as Linux bounds every transfer (MAX_RW_COUNT, linux/fs.h); more is cut.
  public init(_ memory: GuestMemory, _ address: GuestAddress, count: Int) {
    self.init(memory, Range(address: address, count: count), [])
  }

  public init(_ memory: GuestMemory, _ ranges: [Range]) {
    self.init(memory, ranges.first ?? Range(address: GuestAddress(0), count: 0), Array(ranges.dropFirst()))
  }

  private init(_ memory: GuestMemory, _ first: Range, _ others: [Range]) {
    self.memory = memory
    self.first = first
    self.others = others
    var sum = min(first.count, 0x7fff_f000)
    for range in others { sum = min(sum + min(range.count, 0x7fff_f000), 0x7fff_f000) }
    remaining = sum
  }

  /// The range that the next bytes are of.
  private var range: Range { index == 0 ? first : others[index - 1] }

  /// Reads the iovec that a readv(2) names.
  /// - Parameter count: number of ranges; more than 1024 or a negative length is EINVAL.
  public init(_ memory: GuestMemory, vector: GuestAddress, count: Int32) throws(Errno) {
    guard count >= 0, count <= 1024 else { throw .invalid }
    let words = try memory.bytes(vector, count: Int(count) * 16)
    var ranges: [Range] = []
    for index in 0..<Int(count) {
      let address = Self.word(words, 16 * index)
      guard let size = Int(exactly: Self.word(words, 16 * index + 8)) else { throw .invalid }
      ranges.append(Range(address: GuestAddress(address), count: size))
    }
    self.init(memory, ranges)
    isVector = true
  }

  private static func word(_ bytes: [UInt8], _ at: Int) -> UInt64 {
    var word: UInt64 = 0
    for index in 0..<8 { word |= UInt64(bytes[at + index]) << UInt64(8 * index) }
    return word
  }

  /// Passes over bytes that an earlier look moved.
  public mutating func skip(_ bytes: Int) {
    var left = min(bytes, remaining)
    remaining -= left
    moved += left
    while left > 0 {
      let piece = min(left, range.count - offset)
      offset += piece
      left -= piece
      if left > 0 {
        index += 1
        offset = 0
      }
    }
  }

  /// Moves at most so many bytes more.
  public mutating func cut(to count: Int) { remaining = min(remaining, max(0, count)) }

  /// Gives bytes to the guest.
  /// - Returns: how many it took: fewer where the buffer is full.
  /// - Throws: EFAULT where not even the first one could be stored; what was moved before stays moved.
  public mutating func put(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Int {
    try move(bytes.count) { (memory, range, done) throws(Errno) in
      // SAFETY: `move` asks for ranges within `bytes` only; so in all that follow.
      try unsafe memory.write(range.address, from: UnsafeRawBufferPointer(rebasing: bytes[done..<done + range.count]))
    }
  }

  public mutating func put(_ bytes: [UInt8]) throws(Errno) -> Int {
    try unsafe bytes.span.withUnsafeBytes { (bytes) throws(Errno) -> Int in try unsafe put(bytes) }
  }

  /// Takes bytes from the guest, as many as `bytes` holds or the buffer has.
  public mutating func take(into bytes: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    try move(bytes.count) { (memory, range, done) throws(Errno) in
      try unsafe memory.read(
        range.address, into: UnsafeMutableRawBufferPointer(rebasing: bytes[done..<done + range.count]))
    }
  }

  /// - Parameter limit: bytes at most.
  public mutating func take(_ limit: Int) throws(Errno) -> [UInt8] {
    let count = min(limit, remaining)
    var failure: Errno?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      do throws(Errno) {
        filled = try unsafe take(into: UnsafeMutableRawBufferPointer(buffer))
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  private mutating func move(
    _ limit: Int, _ copy: (GuestMemory, Range, Int) throws(Errno) -> Int
  ) throws(Errno) -> Int {
    var done = 0
    while done < limit, remaining > 0 {
      while offset == range.count {
        index += 1
        offset = 0
      }
      let range = self.range
      let piece = min(range.count - offset, limit - done, remaining)
      let count: Int
      do throws(Errno) {
        count = try copy(memory, Range(address: range.address.advanced(by: offset), count: piece), done)
      } catch {
        if done > 0 { break }
        throw error
      }
      offset += count
      done += count
      remaining -= count
      moved += count
      if count < piece { break }
    }
    return done
  }
}
