/// Reads what `LayerStreamEncoder` wrote, in chunks of any size, and believes none of it: the process at the other end
/// parsed a stranger's bytes and may have been taken over by them.
///
/// Every record is held against `LayerLimits` and against the ones before it; contents are ranges of the caller's chunk,
/// never copied. A stream is good only if `finish()` returns its end.
public struct LayerStreamDecoder: ~Copyable, Sendable {
  public enum Event: Sendable {
    case entry(LayerRecord)
    /// The next bytes of the last file: which of the chunk.
    case data(Range<Int>)
    /// The next so many bytes of the last file are zeros that need no room.
    case hole(Int64)
    /// The chunk is used up.
    case needsInput
  }

  /// What the worker says it did: to be held against what the caller saw and wants.
  public struct End: Sendable, Equatable {
    /// The SHA-256 of the uncompressed tar.
    public let digest: Digest
    public let entryCount: Int
    /// Bytes of contents, holes not counted.
    public let totalBytes: Int64
  }

  private enum State {
    case magic, head
    case body(LayerStreamEncoder.RecordType, Int)
    case data(Int)
    case ended(End)
  }

  public let limits: LayerLimits
  private var state = State.magic
  private var buffer: [UInt8] = []
  private var offset: Int64 = 0
  private var entryCount = 0
  private var totalBytes: Int64 = 0
  private var remaining: Int64 = 0

  public init(limits: LayerLimits = LayerLimits()) { self.limits = limits }

  /// The next event from a chunk; `position` moves over what was read of it.
  /// - Throws: `FormatError` for what no honest worker writes, and, with the worker's own words, where it gave up.
  public mutating func next(_ chunk: Span<UInt8>, at position: inout Int) throws(FormatError) -> Event {
    while true {
      switch state {
      case .magic:
        guard fill(LayerStreamEncoder.magic.count, chunk, &position) else { return .needsInput }
        guard buffer == LayerStreamEncoder.magic else { throw broken("does not begin as one") }
        buffer.removeAll(keepingCapacity: true)
        state = .head
      case .head:
        guard fill(5, chunk, &position) else { return .needsInput }
        try takeHead()
      case .body(let type, let length):
        guard fill(length, chunk, &position) else { return .needsInput }
        if let event = try takeBody(type) { return event }
      case .data(let left):
        if left == 0 {
          state = .head
          continue
        }
        guard position < chunk.count else { return .needsInput }
        let count = min(left, chunk.count - position)
        let range = position..<position + count
        advance(count, &position)
        state = .data(left - count)
        return .data(range)
      case .ended:
        guard position == chunk.count else { throw broken("goes on after its end") }
        return .needsInput
      }
    }
  }

  /// Says that the pipe is at its end, and gives what the stream ended with.
  public func finish() throws(FormatError) -> End {
    guard case .ended(let end) = state else { throw broken("was cut short") }
    return end
  }

  // MARK: Steps

  private mutating func advance(_ count: Int, _ position: inout Int) {
    position += count
    offset += Int64(count)
  }

  private mutating func fill(_ count: Int, _ chunk: Span<UInt8>, _ position: inout Int) -> Bool {
    let taken = min(count - buffer.count, chunk.count - position)
    buffer.append(contentsOf: position..<position + taken, of: chunk)
    advance(taken, &position)
    return buffer.count == count
  }

  private mutating func takeHead() throws(FormatError) {
    guard let type = LayerStreamEncoder.RecordType(rawValue: buffer[0]) else {
      throw broken("has a record of the unknown type \(buffer[0])")
    }
    let length = buffer[1...].reversed().reduce(0) { $0 << 8 | Int($1) }
    buffer.removeAll(keepingCapacity: true)
    let allowed: ClosedRange<Int>
    switch type {
    case .entry: allowed = 47...LayerStreamEncoder.maximumEntry(limits)
    case .data: allowed = 1...LayerStreamEncoder.maximumData
    case .hole: allowed = 8...8
    case .end: allowed = 48...48
    case .failure: allowed = 0...1024
    }
    guard allowed.contains(length) else { throw broken("has a record of the impossible length \(length)") }
    guard type == .data else {
      state = .body(type, length)
      return
    }
    guard Int64(length) <= remaining else { throw broken("gives a file more contents than its size") }
    guard Int64(length) <= limits.totalBytes - totalBytes else {
      throw FormatError("the layer has more than \(limits.totalBytes) bytes of contents")
    }
    remaining -= Int64(length)
    totalBytes += Int64(length)
    state = .data(length)
  }

  private mutating func takeBody(_ type: LayerStreamEncoder.RecordType) throws(FormatError) -> Event? {
    defer { buffer.removeAll(keepingCapacity: true) }
    state = .head
    switch type {
    case .entry:
      guard remaining == 0 else { throw broken("leaves a file without \(remaining) of its bytes") }
      guard entryCount < limits.entries else {
        throw FormatError("the layer has more than \(limits.entries) entries")
      }
      let record = try entry()
      try record.check(limits)
      entryCount += 1
      remaining = record.size
      return .entry(record)
    case .hole:
      var fields = LayerFields(buffer.span)
      guard let length = fields.integer(Int64.self), length > 0, length <= remaining else {
        throw broken("gives a file more contents than its size")
      }
      remaining -= length
      return .hole(length)
    case .end:
      guard remaining == 0 else { throw broken("leaves a file without \(remaining) of its bytes") }
      var fields = LayerFields(buffer.span)
      guard let hash = fields.bytes(32), let digest = Digest(bytes: hash.span),
        let entries = fields.integer(UInt64.self),
        let total = fields.integer(UInt64.self)
      else { throw broken("has a broken end") }
      guard entries == UInt64(entryCount), total == UInt64(totalBytes) else {
        throw broken(
          "does not add up: it counts \(entries) entries and \(total) bytes where \(entryCount) and \(totalBytes) came")
      }
      state = .ended(End(digest: digest, entryCount: entryCount, totalBytes: totalBytes))
      return nil
    case .failure:
      throw FormatError(Self.cleaned(buffer))
    case .data: return nil  // Never a body: its bytes are passed on as they come.
    }
  }

  private func entry() throws(FormatError) -> LayerRecord {
    var fields = LayerFields(buffer.span)
    guard let rawKind = fields.integer(UInt8.self), let kind = LayerRecord.Kind(rawValue: rawKind),
      let mode = fields.integer(UInt32.self), let uid = fields.integer(UInt32.self),
      let gid = fields.integer(UInt32.self),
      let modified = fields.integer(Int64.self), let nanoseconds = fields.integer(UInt32.self),
      let size = fields.integer(Int64.self), let major = fields.integer(UInt32.self),
      let minor = fields.integer(UInt32.self), let path = fields.counted16(), let target = fields.counted16(),
      let count = fields.integer(UInt16.self), Int(count) <= limits.attributes
    else { throw broken("has a broken entry") }
    var record = LayerRecord(kind: kind, path: path)
    record.target = target
    record.mode = mode
    record.uid = uid
    record.gid = gid
    record.modified = modified
    record.modifiedNanoseconds = nanoseconds
    record.size = size
    record.deviceMajor = major
    record.deviceMinor = minor
    for _ in 0..<count {
      guard let name = fields.counted16(), let length = fields.integer(UInt32.self), length <= 65_536,
        let value = fields.bytes(Int(length))
      else { throw broken("has a broken entry") }
      record.attributes.append(TarEntry.Attribute(name: name, value: value))
    }
    guard fields.isAtEnd else { throw broken("has an entry with something after it") }
    return record
  }

  private func broken(_ problem: String) -> FormatError {
    FormatError("the layer stream " + problem, at: .offset(Int(offset)))
  }

  /// The worker's words on one line, with nothing in them that a terminal acts on.
  private static func cleaned(_ message: [UInt8]) -> String {
    var text = ""
    for scalar in String(decoding: message, as: UTF8.self).unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: text += "?"
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text.isEmpty ? "the layer's worker failed and did not say why" : text
  }
}

/// Takes fields off a record one after the other; nil once there is not enough left.
private struct LayerFields: ~Escapable {
  private let span: Span<UInt8>
  private var offset = 0

  @_lifetime(copy span)
  init(_ span: Span<UInt8>) { self.span = span }

  var isAtEnd: Bool { offset == span.count }

  mutating func integer<Number: FixedWidthInteger>(_ type: Number.Type) -> Number? {
    let count = Number.bitWidth / 8
    guard span.count - offset >= count else { return nil }
    var value: UInt64 = 0
    for index in 0..<count { value |= UInt64(span[offset + index]) << UInt64(8 * index) }
    offset += count
    return Number(truncatingIfNeeded: value)
  }

  mutating func bytes(_ count: Int) -> [UInt8]? {
    guard span.count - offset >= count else { return nil }
    var taken: [UInt8] = []
    taken.append(contentsOf: offset..<offset + count, of: span)
    offset += count
    return taken
  }

  mutating func counted16() -> [UInt8]? {
    guard let count = integer(UInt16.self) else { return nil }
    return bytes(Int(count))
  }
}
