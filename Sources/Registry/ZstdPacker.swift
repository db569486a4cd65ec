import CZstd
import Formats

/// Compresses a stream into one zstd frame (RFC 8878), always the same bytes for the same ones in the same version of the library.
@safe struct ZstdPacker: ~Copyable {
  private let context: OpaquePointer?
  private var output = [UInt8](repeating: 0, count: 64 << 10)

  init(level: Int32 = 3) {
    unsafe context = ZSTD_createCCtx()
    if let context = unsafe context { _ = unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level) }
  }

  deinit {
    _ = unsafe ZSTD_freeCCtx(context)
  }

  mutating func take(
    _ input: Span<UInt8>, isLast: Bool, _ give: (Span<UInt8>) throws(FormatError) -> Void
  ) throws(FormatError) {
    guard let context = unsafe context else { throw FormatError("zstd could not be started") }
    var used = 0
    while true {
      var produced = 0
      var status = 0
      // SAFETY: zstd reads within the span and writes within the output buffer, whose sizes it is told.
      unsafe input.withUnsafeBytes { source in
        unsafe output.withUnsafeMutableBytes { target in
          var from = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: used)
          var into = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
          status = unsafe ZSTD_compressStream2(context, &into, &from, isLast ? ZSTD_e_end : ZSTD_e_continue)
          used = unsafe from.pos
          produced = unsafe into.pos
        }
      }
      guard ZSTD_isError(status) == 0 else { throw FormatError("zstd failed") }
      if produced > 0 { try give(output.span.extracting(0..<produced)) }
      if isLast ? status == 0 : used == input.count { return }
    }
  }
}
