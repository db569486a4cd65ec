/// A push parser for tar archives: ustar, old GNU, PAX (POSIX.1-2001) and v7, with sparse files, in chunks of any size.
///
///     var reader = TarReader()
///     while let chunk = read() {
///       var position = 0
///       loop: while true {
///         switch try reader.next(chunk, at: &position) {
///         case .entry(let entry): …
///         case .data(let offset, let range): … chunk[range] belongs at offset of the last entry …
///         case .end, .needsInput: if position == chunk.count { break loop }
///         }
///       }
///     }
///     try reader.finish()
///
/// Data is never copied: events give ranges of the caller's chunk. Never traps, whatever the bytes; what is bounded, and
/// by how much, is `TarLimits`. Member kinds that mean nothing to a file system (volume labels, multi-volume parts,
/// incremental dumps) are refused by name.
public struct TarReader: ~Copyable, Sendable {
  public enum Event: Sendable {
    case entry(TarEntry)
    /// Bytes of the last entry: where in the file, and which of the chunk. Offsets only grow; gaps are holes.
    case data(at: Int64, Range<Int>)
    /// The two zero blocks that end an archive have been read; what follows them is ignored.
    case end
    /// The chunk is used up.
    case needsInput
  }

  enum State: Sendable {
    case header
    case metadata(MetadataKind)
    case oldSparseMap
    case sparseMap
    case data
    case padding
    case ended
  }

  enum MetadataKind: Sendable { case pax, paxGlobal, longName, longLink }

  struct Segment: Sendable {
    var offset: Int64
    var length: Int64
  }

  public let limits: TarLimits
  /// Bytes of the archive that were read so far.
  public private(set) var offset: Int64 = 0
  /// Members that were yielded so far.
  public private(set) var entryCount = 0

  var state = State.header
  var block: [UInt8] = []
  var headerOffset: Int64 = 0
  private var headerCount = 0
  private var sawZeroBlock = false

  /// The body of an extended header, and what is still to come of it.
  private var metadata: [UInt8] = []
  private var metadataRemaining = 0
  private var padding = 0

  var globals: [(key: String, value: [UInt8])] = []
  var globalSize = 0
  /// Extended headers apply to the next member only.
  var pending = TarExtension()
  var hasPending = false

  /// The member under way: stored bytes still to come, its pieces, and how much of the present piece was yielded.
  var entry: TarEntry?
  var memberPath: [UInt8] = []
  var memberSize: Int64 = 0
  var remaining: Int64 = 0
  var storedPadding = 0
  var segments: [Segment] = []
  var segmentIndex = 0
  var segmentUsed: Int64 = 0
  var mapNumbers: [Int64] = []
  var mapDigits: Int64?

  public init(limits: TarLimits = TarLimits()) {
    self.limits = limits
    block.reserveCapacity(512)
  }

  /// The next event from a chunk; `position` moves over what was read of it.
  public mutating func next(_ chunk: Span<UInt8>, at position: inout Int) throws(FormatError) -> Event {
    while true {
      switch state {
      case .header:
        if block.isEmpty { headerOffset = offset }
        guard fillBlock(chunk, &position) else { return .needsInput }
        if let event = try takeHeader() { return event }
      case .metadata(let kind):
        let count = min(metadataRemaining, chunk.count - position)
        metadata.append(contentsOf: position..<position + count, of: chunk)
        metadataRemaining -= count
        advance(count, &position)
        guard metadataRemaining == 0 else { return .needsInput }
        try takeMetadata(kind, metadata)
        metadata.removeAll(keepingCapacity: true)
        state = .padding
      case .oldSparseMap:
        guard fillBlock(chunk, &position) else { return .needsInput }
        if try takeOldSparseExtension() { return try begin() }
      case .sparseMap:
        guard fillBlock(chunk, &position) else { return .needsInput }
        try takeSparseMapBlock()
      case .data:
        if remaining == 0 {
          padding = storedPadding
          state = .padding
          continue
        }
        guard position < chunk.count else { return .needsInput }
        return takeData(chunk.count - position, &position)
      case .padding:
        let count = min(padding, chunk.count - position)
        padding -= count
        advance(count, &position)
        guard padding == 0 else { return .needsInput }
        state = .header
      case .ended:
        advance(chunk.count - position, &position)
        return .needsInput
      }
    }
  }

  /// Says that no more bytes come. An archive may lack its two zero blocks and the zeros that fill its last member's last block,
  /// but not a byte of a member.
  public mutating func finish() throws(FormatError) {
    switch state {
    case .ended: return
    case .header where block.isEmpty && !hasPending: return
    // umoci 0.4 leaves the last member's padding out; Go's reader, so every other tool, takes that.
    case .padding where !hasPending, .data where remaining == 0: return
    case .header where block.isEmpty:
      throw FormatError("the archive ends after an extended header that no member follows", at: .offset(Int(offset)))
    case .header, .metadata, .oldSparseMap:
      throw FormatError("the archive is cut short inside a header", at: .offset(Int(headerOffset)))
    case .sparseMap, .data, .padding:
      throw failure("is cut short: the archive ends inside this member")
    }
  }

  // MARK: Steps

  private mutating func advance(_ count: Int, _ position: inout Int) {
    position += count
    offset += Int64(count)
  }

  private mutating func fillBlock(_ chunk: Span<UInt8>, _ position: inout Int) -> Bool {
    if block.count == 512 { block.removeAll(keepingCapacity: true) }
    let count = min(512 - block.count, chunk.count - position)
    block.append(contentsOf: position..<position + count, of: chunk)
    advance(count, &position)
    return block.count == 512
  }

  /// Deals with a full header block: an event, or nil where another state goes on.
  private mutating func takeHeader() throws(FormatError) -> Event? {
    defer { block.removeAll(keepingCapacity: true) }
    if block.allSatisfy({ $0 == 0 }) {
      if hasPending {
        throw FormatError("an extended header that no member follows", at: .offset(Int(headerOffset)))
      }
      if sawZeroBlock {
        state = .ended
        return .end
      }
      sawZeroBlock = true
      return nil
    }
    if sawZeroBlock {
      throw FormatError("a lone zero block stands between members of the archive", at: .offset(Int(headerOffset)))
    }
    headerCount += 1
    guard headerCount <= limits.entries else {
      throw FormatError("the archive has more than \(limits.entries) members", at: .offset(Int(headerOffset)))
    }
    try checkSum()
    switch block[156] {
    case UInt8(ascii: "x"): try beginMetadata(.pax)
    case UInt8(ascii: "g"): try beginMetadata(.paxGlobal)
    case UInt8(ascii: "L"): try beginMetadata(.longName)
    case UInt8(ascii: "K"): try beginMetadata(.longLink)
    default: return try takeMember() ? try begin() : nil
    }
    return nil
  }

  private mutating func beginMetadata(_ kind: MetadataKind) throws(FormatError) {
    let size = try number(124..<136, "size")
    guard (0...Int64(limits.metadata)).contains(size) else {
      throw FormatError(
        "is the size of an extended header; it may have \(limits.metadata) bytes", offending: String(size),
        at: .offset(Int(headerOffset)))
    }
    metadataRemaining = Int(size)
    padding = (512 - Int(size) % 512) % 512
    if kind != .paxGlobal { hasPending = true }
    state = .metadata(kind)
  }

  /// Yields the member that was prepared; its data follows.
  private mutating func begin() throws(FormatError) -> Event {
    guard let entry else { return .needsInput }
    self.entry = nil
    pending = TarExtension()
    hasPending = false
    entryCount += 1
    return .entry(entry)
  }

  private mutating func takeData(_ available: Int, _ position: inout Int) -> Event {
    while segmentUsed == segments[segmentIndex].length {
      segmentIndex += 1
      segmentUsed = 0
    }
    let segment = segments[segmentIndex]
    let count = Int(min(segment.length - segmentUsed, Int64(available)))
    let event = Event.data(at: segment.offset + segmentUsed, position..<position + count)
    segmentUsed += Int64(count)
    remaining -= Int64(count)
    advance(count, &position)
    return event
  }

  // MARK: Errors

  /// An error about the member whose header was read last.
  func failure(_ problem: String, _ path: [UInt8]? = nil) -> FormatError {
    let path = path ?? memberPath
    return FormatError(
      problem, offending: String(decoding: path.prefix(256), as: UTF8.self), at: .offset(Int(headerOffset)))
  }

  /// A text field up to its first NUL.
  func field(_ range: Range<Int>) -> [UInt8] {
    guard block.count >= range.upperBound else { return [] }
    return Array(block[range].prefix { $0 != 0 })
  }

  func number(_ range: Range<Int>, _ what: String) throws(FormatError) -> Int64 {
    guard let value = TarNumber.parse(block.span.extracting(range)) else {
      throw FormatError(
        "is not a number (\(what) of \(FormatError.presentable(String(decoding: field(0..<100), as: UTF8.self))))",
        offending: String(decoding: block[range], as: UTF8.self), at: .offset(Int(headerOffset)))
    }
    return value
  }
}
