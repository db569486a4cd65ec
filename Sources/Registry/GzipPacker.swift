import CZlib
import Formats

/// Compresses a stream into one gzip member without name and time (RFC 1952), always the same bytes for the same ones in the same
/// version of the library.
@safe struct GzipPacker: ~Copyable {
  private let stream: UnsafeMutablePointer<z_stream>
  private let isStarted: Bool
  private var output = [UInt8](repeating: 0, count: 64 << 10)

  init(level: Int32 = 6) {
    unsafe stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    // 15 bits of window, 16 more for a gzip header (zlib.h, deflateInit2); 8 is the default of memory.
    isStarted =
      unsafe deflateInit2_(
        stream, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
  }

  deinit {
    if isStarted { unsafe deflateEnd(stream) }
    unsafe stream.deallocate()
  }

  mutating func take(
    _ input: Span<UInt8>, isLast: Bool, _ give: (Span<UInt8>) throws(FormatError) -> Void
  ) throws(FormatError) {
    guard isStarted else { throw FormatError("zlib could not be started") }
    var used = 0
    while true {
      var produced = 0
      var status = Z_OK
      // SAFETY: zlib reads within the span and writes within the output buffer, whose sizes it is told.
      unsafe input.withUnsafeBufferPointer { source in
        unsafe output.withUnsafeMutableBufferPointer { target in
          let count = min(source.count - used, 1 << 30)
          if let base = source.baseAddress {
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: base + used)
          }
          unsafe stream.pointee.avail_in = UInt32(count)
          unsafe stream.pointee.next_out = target.baseAddress
          unsafe stream.pointee.avail_out = UInt32(target.count)
          status = unsafe deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
          used += count - Int(unsafe stream.pointee.avail_in)
          produced = target.count - Int(unsafe stream.pointee.avail_out)
        }
      }
      guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else { throw FormatError("zlib failed") }
      if produced > 0 { try give(output.span.extracting(0..<produced)) }
      if isLast ? status == Z_STREAM_END : used == input.count && produced < output.count { return }
    }
  }
}
