import CZstd
import Formats

/// Undoes gzip (RFC 1952, any number of members) or zstd (RFC 8878, any number of frames), or passes plain bytes on, whichever
/// the first bytes are: what a media type says of a blob is not believed. Memory is bounded: 32 KiB of window for gzip, 128 MiB at
/// most for zstd (`windowLogMax` 27, as RFC 8878 recommends decoders to bound it).
struct Inflater: ~Copyable {
  @safe private enum Kind {
    case undecided
    case plain
    case gzip(GzipInflater)
    case zstd(OpaquePointer)
  }

  private var kind = Kind.undecided
  private var first: [UInt8] = []
  /// Whether a frame of zstd has been begun and not ended.
  private var isInside = false
  private let output: InflationBuffer
  /// Bytes of the blob seen so far.
  private var taken: Int64 = 0

  /// What a blob may inflate to whatever its size, and how many bytes for each of its own beyond that. Layers of real images stay below
  /// 20; gzip can give 1,032 for one, zstd thousands.
  static let free: Int64 = 1 << 30
  static let ratio: Int64 = 200

  init(into output: InflationBuffer = InflationBuffer()) { self.output = output }

  deinit {
    if case .zstd(let context) = kind { _ = unsafe ZSTD_freeDCtx(context) }
  }

  /// Takes the next bytes of the blob and hands on what they inflate to, in pieces of at most 256 KiB.
  mutating func take(
    _ input: Span<UInt8>, _ give: (Span<UInt8>) throws(FormatError) -> Void
  ) throws(FormatError) {
    if case .undecided = kind {
      // Four bytes tell; a shorter blob is decided at its end.
      for index in input.indices { first.append(input[index]) }
      guard first.count >= 4 else { return }
      let bytes = first
      first = []
      try decide(bytes)
      return try feed(bytes.span, give)
    }
    try feed(input, give)
  }

  /// Says that no more bytes come.
  mutating func finish(_ give: (Span<UInt8>) throws(FormatError) -> Void) throws(FormatError) {
    if case .undecided = kind, !first.isEmpty {
      let bytes = first
      try decide(bytes)
      try feed(bytes.span, give)
    }
    var isCut = isInside
    if case .gzip(let members) = kind { isCut = members.isInside }
    if isCut { throw FormatError("the compressed layer is cut short") }
  }

  private mutating func decide(_ bytes: [UInt8]) throws(FormatError) {
    if bytes.starts(with: [0x1F, 0x8B]) {
      kind = .gzip(try GzipInflater())
    } else if bytes.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) || Self.isSkippableFrame(bytes) {
      guard let context = unsafe ZSTD_createDCtx() else { throw FormatError("zstd could not be started") }
      _ = unsafe ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27)
      unsafe kind = .zstd(context)
    } else if bytes.starts(with: [0x42, 0x5A, 0x68]) || bytes.starts(with: [0xFD, 0x37, 0x7A, 0x58]) {
      throw FormatError("the layer is compressed with bzip2 or xz, which OCI does not have; use gzip, zstd or none")
    } else {
      kind = .plain
    }
  }

  /// 0x184D2A50 to 5F in little endian: metadata that zstd:chunked puts in between.
  private static func isSkippableFrame(_ bytes: [UInt8]) -> Bool {
    bytes.count >= 4 && bytes[0] & 0xF0 == 0x50 && bytes[1...3].elementsEqual([0x2A, 0x4D, 0x18])
  }

  private mutating func feed(
    _ input: Span<UInt8>, _ give: (Span<UInt8>) throws(FormatError) -> Void
  ) throws(FormatError) {
    taken += Int64(input.count)
    switch kind {
    case .undecided: return
    case .plain: try feedPlain(input, give)
    case .gzip(let members): try feedGzip(members, input, give)
    case .zstd(let context): try unsafe feedZstd(context, input, give)
    }
    guard output.handed <= Self.free || output.handed / Self.ratio <= taken else {
      throw FormatError("the layer inflates to more than \(Self.ratio) times its size: refused as a bomb")
    }
  }

  private func feedPlain(
    _ input: Span<UInt8>, _ give: (Span<UInt8>) throws(FormatError) -> Void
  ) throws(FormatError) {
    var used = 0
    while used < input.count {
      let count = min(input.count - used, InflationBuffer.size)
      output.copy(input.extracting(used..<used + count))
      try output.hand(count, give)
      used += count
    }
  }

  private mutating func feedGzip(
    _ members: GzipInflater, _ input: Span<UInt8>, _ give: (Span<UInt8>) throws(FormatError) -> Void
  ) throws(FormatError) {
    var used = 0
    while true {
      if !members.isInside {
        // Between members: zeros fill up, anything else must begin another one.
        while used < input.count, input[used] == 0 { used += 1 }
        if used == input.count { return }
        members.begin()
      }
      let before = used
      let produced = try members.step(input, &used, into: output)
      try output.hand(produced, give)
      if used == input.count && produced < InflationBuffer.size { return }
      guard produced > 0 || used > before || !members.isInside else {
        throw FormatError("the layer's gzip data is damaged")
      }
    }
  }

  private mutating func feedZstd(
    _ context: OpaquePointer, _ input: Span<UInt8>, _ give: (Span<UInt8>) throws(FormatError) -> Void
  ) throws(FormatError) {
    var used = 0
    while true {
      var produced = 0
      var status = 0
      // SAFETY: zstd reads within the span and writes within the output's piece, whose sizes it is told.
      unsafe input.withUnsafeBytes { source in
        var from = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: used)
        var into = unsafe ZSTD_outBuffer(dst: output.piece.baseAddress, size: output.piece.count, pos: 0)
        status = unsafe ZSTD_decompressStream(context, &into, &from)
        used = unsafe from.pos
        produced = unsafe into.pos
      }
      guard ZSTD_isError(status) == 0 else {
        throw FormatError("the layer's zstd data is damaged, or its window is larger than 128 MiB")
      }
      isInside = status != 0
      try output.hand(produced, give)
      if used == input.count && produced < InflationBuffer.size { return }
    }
  }
}
