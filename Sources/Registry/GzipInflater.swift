#if !ISAL
  import CZlib
  import Formats

  /// The members of a gzip file one after the other, through zlib: where there was no ISA-L when this was built. Checksums and lengths of
  /// members are verified.
  @safe final class GzipInflater {
    /// Which library it is.
    static let library = "zlib"

    private let stream: UnsafeMutablePointer<z_stream>
    /// Whether a member has been begun and not ended.
    private(set) var isInside = false

    init() throws(FormatError) {
      let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
      unsafe stream.initialize(to: z_stream())
      // 15 bits of window, 16 more for a gzip header (zlib.h, inflateInit2).
      guard unsafe inflateInit2_(stream, 31, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
        unsafe stream.deallocate()
        throw FormatError("zlib could not be started")
      }
      unsafe self.stream = stream
    }

    deinit {
      unsafe inflateEnd(stream)
      unsafe stream.deallocate()
    }

    /// The next byte is a member's first.
    func begin() {
      unsafe inflateReset(stream)
      isInside = true
    }

    /// Goes on with the member; `used` moves over what was taken of the input. Returns how many bytes were put at the output's beginning.
    func step(
      _ input: Span<UInt8>, _ used: inout Int, into output: InflationBuffer
    ) throws(FormatError) -> Int {
      var produced = 0
      var status = Z_OK
      // SAFETY: zlib reads within the span and writes within the output's piece, whose sizes it is told; it does not write to its input.
      unsafe input.withUnsafeBufferPointer { source in
        let count = min(source.count - used, 1 << 30)
        if let base = source.baseAddress { unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: base + used) }
        unsafe stream.pointee.avail_in = UInt32(count)
        unsafe stream.pointee.next_out = output.piece.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_out = UInt32(InflationBuffer.size)
        status = unsafe inflate(stream, Z_NO_FLUSH)
        used += count - Int(unsafe stream.pointee.avail_in)
        produced = InflationBuffer.size - Int(unsafe stream.pointee.avail_out)
      }
      if status == Z_STREAM_END { isInside = false }
      // Z_BUF_ERROR: there was nothing to do.
      guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
        throw FormatError("the layer's gzip data is damaged")
      }
      return produced
    }
  }
#endif
