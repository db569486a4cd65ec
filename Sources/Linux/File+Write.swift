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
