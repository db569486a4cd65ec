#if ISAL
  import CIsal
  import Formats

  /// The members of a gzip file one after the other, through ISA-L (igzip_lib.h): more than twice as fast as zlib. Checksums and lengths of
  /// members are verified.
  @safe final class GzipInflater {
    /// Which library it is.
    static let library = "ISA-L"

    private let state: UnsafeMutablePointer<inflate_state>
    /// Whether a member has been begun and not ended.
    private(set) var isInside = false

    init() throws(FormatError) {
      // SAFETY: zeroed, as `inflate_state` leaves its tables to the first block's header.
      let raw = unsafe UnsafeMutableRawPointer.allocate(
        byteCount: MemoryLayout<inflate_state>.size, alignment: MemoryLayout<inflate_state>.alignment)
      unsafe raw.initializeMemory(as: UInt8.self, repeating: 0, count: MemoryLayout<inflate_state>.size)
      unsafe state = raw.assumingMemoryBound(to: inflate_state.self)
      unsafe isal_inflate_init(state)
    }

    deinit { unsafe state.deallocate() }

    /// The next byte is a member's first.
    func begin() {
      unsafe isal_inflate_reset(state)
      unsafe state.pointee.crc_flag = UInt32(ISAL_GZIP)
      isInside = true
    }

    /// Goes on with the member; `used` moves over what was taken of the input. Returns how many bytes were put at the output's beginning.
    func step(
      _ input: Span<UInt8>, _ used: inout Int, into output: InflationBuffer
    ) throws(FormatError) -> Int {
      var produced = 0
      var status: Int32 = 0
      // SAFETY: the library reads within the span and writes within the output's piece, whose sizes it is told; it does not write to its input.
      unsafe input.withUnsafeBufferPointer { source in
        let count = min(source.count - used, 1 << 30)
        if let base = source.baseAddress { unsafe state.pointee.next_in = UnsafeMutablePointer(mutating: base + used) }
        unsafe state.pointee.avail_in = UInt32(count)
        unsafe state.pointee.next_out = output.piece.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe state.pointee.avail_out = UInt32(InflationBuffer.size)
        status = unsafe isal_inflate(state)
        used += count - Int(unsafe state.pointee.avail_in)
        produced = InflationBuffer.size - Int(unsafe state.pointee.avail_out)
      }
      guard status == ISAL_DECOMP_OK else { throw FormatError("the layer's gzip data is damaged") }
      if unsafe state.pointee.block_state == ISAL_BLOCK_FINISH { isInside = false }
      return produced
    }
  }
#endif
