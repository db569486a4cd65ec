import CZlib
import CZstd
import Formats

/// Undoes gzip (RFC 1952, any number of members) or zstd (RFC 8878, any number of frames), or passes plain bytes on, whichever
/// the first bytes are: what a media type says of a blob is not believed. Memory is bounded: 32 KiB of window for gzip, 128 MiB at
/// most for zstd (`windowLogMax` 27, as RFC 8878 recommends decoders to bound it).
struct Inflater: ~Copyable {
  @safe private enum Kind {
    case undecided
    case plain
    case gzip(UnsafeMutablePointer<z_stream>)
    case zstd(OpaquePointer)
  }

  private var kind = Kind.undecided
  private var first: [UInt8] = []
  /// Whether a member or frame has been begun and not ended.
  private var isInside = false
  private var output: [UInt8]
  static let outputSize = 256 << 10

  init() { output = [UInt8](repeating: 0, count: Self.outputSize) }

  deinit {
    switch kind {
    case .gzip(let stream):
      unsafe inflateEnd(stream)
      unsafe stream.deallocate()
    case .zstd(let context): _ = unsafe ZSTD_freeDCtx(context)
    default: break
    }
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
    if isInside { throw FormatError("the compressed layer is cut short") }
  }

  private mutating func decide(_ bytes: [UInt8]) throws(FormatError) {
    if bytes.starts(with: [0x1F, 0x8B]) {
      let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
      unsafe stream.initialize(to: z_stream())
      // 15 bits of window, 16 more for a gzip header (zlib.h, inflateInit2).
      guard unsafe inflateInit2_(stream, 31, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
        unsafe stream.deallocate()
        throw FormatError("zlib could not be started")
      }
      unsafe kind = .gzip(stream)
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
    switch kind {
    case .undecided: return
    case .plain: if !input.isEmpty { try give(input) }
    case .gzip(let stream): try unsafe feedGzip(stream, input, give)
    case .zstd(let context): try unsafe feedZstd(context, input, give)
    }
  }

  private mutating func feedGzip(
    _ stream: UnsafeMutablePointer<z_stream>, _ input: Span<UInt8>, _ give: (Span<UInt8>) throws(FormatError) -> Void
  ) throws(FormatError) {
    var used = 0
    while used < input.count {
      if !isInside {
        // Between members: zeros fill up, anything else must begin another one.
        if input[used] == 0 {
          used += 1
          continue
        }
        unsafe inflateReset(stream)
        isInside = true
      }
      var produced = 0
      var status = Z_OK
      // SAFETY: zlib reads within the span and writes within the output buffer, whose sizes it is told.
      unsafe input.withUnsafeBufferPointer { source in
        unsafe output.withUnsafeMutableBufferPointer { target in
          unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress! + used)
          unsafe stream.pointee.avail_in = UInt32(min(source.count - used, 1 << 30))
          unsafe stream.pointee.next_out = target.baseAddress
          unsafe stream.pointee.avail_out = UInt32(target.count)
          let before = unsafe stream.pointee.avail_in
          status = unsafe inflate(stream, Z_NO_FLUSH)
          used += Int(unsafe before - stream.pointee.avail_in)
          produced = target.count - Int(unsafe stream.pointee.avail_out)
        }
      }
      guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
        throw FormatError("the layer's gzip data is damaged")
      }
      if produced > 0 { try give(output.span.extracting(0..<produced)) }
      if status == Z_STREAM_END { isInside = false }
      if status == Z_BUF_ERROR && produced == 0 && used < input.count {
        throw FormatError("the layer's gzip data is damaged")
      }
    }
    // What one call's output had no room for.
    while isInside, try unsafe drainGzip(stream, give) {}
  }

  private mutating func drainGzip(
    _ stream: UnsafeMutablePointer<z_stream>, _ give: (Span<UInt8>) throws(FormatError) -> Void
  ) throws(FormatError) -> Bool {
    var produced = 0
    var status = Z_OK
    // SAFETY: no input; zlib writes within the output buffer.
    unsafe output.withUnsafeMutableBufferPointer { target in
      unsafe stream.pointee.avail_in = 0
      unsafe stream.pointee.next_out = target.baseAddress
      unsafe stream.pointee.avail_out = UInt32(target.count)
      status = unsafe inflate(stream, Z_NO_FLUSH)
      produced = target.count - Int(unsafe stream.pointee.avail_out)
    }
    if status == Z_STREAM_END { isInside = false }
    guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
      throw FormatError("the layer's gzip data is damaged")
    }
    if produced > 0 { try give(output.span.extracting(0..<produced)) }
    return produced == Self.outputSize
  }

  private mutating func feedZstd(
    _ context: OpaquePointer, _ input: Span<UInt8>, _ give: (Span<UInt8>) throws(FormatError) -> Void
  ) throws(FormatError) {
    var used = 0
    while true {
      var produced = 0
      var status = 0
      // SAFETY: zstd reads within the span and writes within the output buffer, whose sizes it is told.
      unsafe input.withUnsafeBytes { source in
        unsafe output.withUnsafeMutableBytes { target in
          var from = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: used)
          var into = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
          status = unsafe ZSTD_decompressStream(context, &into, &from)
          used = unsafe from.pos
          produced = unsafe into.pos
        }
      }
      guard ZSTD_isError(status) == 0 else {
        throw FormatError("the layer's zstd data is damaged, or its window is larger than 128 MiB")
      }
      isInside = status != 0
      if produced > 0 { try give(output.span.extracting(0..<produced)) }
      if used == input.count && produced < Self.outputSize { return }
    }
  }
}
