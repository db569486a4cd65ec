import CLinux

extension File {
  /// Writes once; how many bytes went (write(2)). EAGAIN on a full non-blocking descriptor.
  public static func write(_ descriptor: Int32, _ bytes: Span<UInt8>) throws(SystemError) -> Int {
    // SAFETY: the kernel reads within the span's bounds.
    let result = unsafe bytes.withUnsafeBytes { buffer in
      let address = UInt(bitPattern: buffer.baseAddress)
      let count = UInt(buffer.count)
      return retrying { systemCall(Int(SYS_write), word(descriptor), address, count) }
    }
    return try checked("write", "\(descriptor)", result)
  }
}

extension File {
  /// Reads at most `limit` bytes once from `offset` on, the file's own position untouched (pread(2)).
  public static func read(_ descriptor: Int32, atMost limit: Int, at offset: Int) throws(SystemError) -> [UInt8] {
    var failure = 0
    // SAFETY: the kernel fills at most `limit` bytes and returns how many.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { storage, count in
      let address = UInt(bitPattern: storage.baseAddress)
      let result = retrying {
        systemCall(Int(SYS_pread64), word(descriptor), address, UInt(limit), UInt(offset))
      }
      if result < 0 { failure = result } else { count = result }
    }
    try checked("pread", "\(descriptor)", failure)
    return bytes
  }
}
