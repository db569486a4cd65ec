package import Walls

/// One message between a monitor and a client at its socket: a byte that says which, the payload's length in four bytes
/// little-endian, the payload.
package enum AttachFrame: Equatable {
  // From the client; the first is `hello`.
  /// `owner`: the client is the `run` that made the box, whose end is the box's.
  case hello(owner: Bool)
  case input([UInt8])
  case inputEnd
  case resize(rows: UInt16, columns: UInt16)
  case signal(Int32)
  case detach
  // From the monitor; the first is `welcome`.
  case welcome(terminal: Bool, input: Bool)
  case output([UInt8])
  case error([UInt8])
  /// `run`'s exit status, and the limit that ended the box.
  case ended(code: Int32, limit: LimitHit?)

  package static let payloadLimit = 64 << 10
  static let headerSize = 5

  package func encoded() -> [UInt8] {
    switch self {
    case .hello(let owner): AttachFrame.frame(1, [owner ? 1 : 0])
    case .input(let bytes): AttachFrame.frame(2, bytes)
    case .inputEnd: AttachFrame.frame(3, [])
    case .resize(let rows, let columns):
      AttachFrame.frame(
        4, [UInt8(rows & 0xff), UInt8(rows >> 8), UInt8(columns & 0xff), UInt8(columns >> 8)])
    case .signal(let number): AttachFrame.frame(5, [UInt8(truncatingIfNeeded: number)])
    case .detach: AttachFrame.frame(6, [])
    case .welcome(let terminal, let input): AttachFrame.frame(17, [(terminal ? 1 : 0) | (input ? 2 : 0)])
    case .output(let bytes): AttachFrame.frame(18, bytes)
    case .error(let bytes): AttachFrame.frame(19, bytes)
    case .ended(let code, let limit):
      AttachFrame.frame(20, [UInt8(truncatingIfNeeded: code)] + Array((limit?.rawValue ?? "").utf8))
    }
  }

  private static func frame(_ kind: UInt8, _ payload: [UInt8]) -> [UInt8] {
    let count = UInt32(payload.count)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(headerSize + payload.count)
    bytes.append(kind)
    for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: count >> shift)) }
    bytes += payload
    return bytes
  }

  fileprivate init?(kind: UInt8, payload: [UInt8]) {
    switch (kind, payload.count) {
    case (1, 1): self = .hello(owner: payload[0] & 1 != 0)
    case (2, _): self = .input(payload)
    case (3, 0): self = .inputEnd
    case (4, 4):
      self = .resize(
        rows: UInt16(payload[0]) | UInt16(payload[1]) << 8, columns: UInt16(payload[2]) | UInt16(payload[3]) << 8)
    case (5, 1) where payload[0] >= 1 && payload[0] <= 64: self = .signal(Int32(payload[0]))
    case (6, 0): self = .detach
    case (17, 1): self = .welcome(terminal: payload[0] & 1 != 0, input: payload[0] & 2 != 0)
    case (18, _): self = .output(payload)
    case (19, _): self = .error(payload)
    case (20, 1...):
      let name = String(decoding: payload[1...], as: UTF8.self)
      let limit = LimitHit(rawValue: name)
      if limit == nil && !name.isEmpty { return nil }
      self = .ended(code: Int32(payload[0]), limit: limit)
    default: return nil
    }
  }
}

/// Cuts a stream of bytes from a stranger into frames.
package struct AttachFrameReader {
  package init() {}

  private var bytes: [UInt8] = []
  private var start = 0
  /// What came is not the protocol: the connection is of no more use.
  package private(set) var isBroken = false

  package mutating func append(_ more: [UInt8]) {
    if start == bytes.count {
      bytes = more
      start = 0
    } else {
      bytes += more
    }
  }

  /// The next whole frame; nil when more must come first, or when broken.
  package mutating func next() -> AttachFrame? {
    guard !isBroken, bytes.count - start >= AttachFrame.headerSize else { return nil }
    var length = 0
    for index in 0..<4 { length |= Int(bytes[start + 1 + index]) << (8 * index) }
    guard length <= AttachFrame.payloadLimit else {
      isBroken = true
      return nil
    }
    let end = start + AttachFrame.headerSize + length
    guard bytes.count >= end else { return nil }
    let frame = AttachFrame(kind: bytes[start], payload: Array(bytes[(start + AttachFrame.headerSize)..<end]))
    start = end
    if start == bytes.count {
      bytes = []
      start = 0
    }
    if frame == nil { isBroken = true }
    return frame
  }
}

/// Frames that wait for a socket with room.
struct AttachOutbox {
  private var bytes: [UInt8] = []
  private var start = 0

  var count: Int { bytes.count - start }
  var isEmpty: Bool { count == 0 }

  mutating func append(_ frame: AttachFrame) {
    if isEmpty {
      bytes = frame.encoded()
      start = 0
    } else {
      bytes += frame.encoded()
    }
  }

  /// Hands bytes to `send` until it takes no more; it returns how many it took.
  mutating func flush<Failure>(_ send: (Span<UInt8>) throws(Failure) -> Int) throws(Failure) {
    while !isEmpty {
      let sent = try send(bytes.span.extracting(start..<bytes.count))
      if sent == 0 { break }
      start += sent
    }
    if isEmpty {
      bytes = []
      start = 0
    } else if start > 256 << 10 {
      bytes.removeFirst(start)
      start = 0
    }
  }
}
