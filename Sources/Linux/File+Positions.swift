import CLinux

extension File {
  /// Writes every byte from `offset` on, the file's own position untouched (pwrite(2)).
  public static func writeAll(_ descriptor: Int32, _ bytes: [UInt8], at offset: UInt64) throws(SystemError) {
    try writeAll(descriptor, bytes.span, at: offset)
  }

  /// Writes every byte from `offset` on, the file's own position untouched (pwrite(2)).
  public static func writeAll(_ descriptor: Int32, _ bytes: Span<UInt8>, at offset: UInt64) throws(SystemError) {
    // SAFETY: the kernel reads within the span's bounds.
    let failure = unsafe bytes.withUnsafeBytes { buffer in
      var done = 0
      while done < buffer.count {
        let address = UInt(bitPattern: buffer.baseAddress) + UInt(done)
        let count = UInt(buffer.count - done)
        let position = UInt(offset) + UInt(done)
        let result = retrying { systemCall(Int(SYS_pwrite64), word(descriptor), address, count, position) }
        if result < 0 { return result }
        done += result
      }
      return 0
    }
    try checked("pwrite", "\(descriptor)", failure)
  }

  /// Back to the first byte (lseek(2)).
  public static func rewind(_ descriptor: Int32) throws(SystemError) {
    try checked("lseek", "\(descriptor)", systemCall(Int(SYS_lseek), word(descriptor), 0, 0))
  }
}
