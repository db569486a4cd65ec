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

extension File {
  /// Reads once from `offset` on, at most the buffer's size, the file's own position untouched; how many bytes came (pread(2)).
  public static func read(
    _ descriptor: Int32, into buffer: inout MutableSpan<UInt8>, at offset: Int64
  ) throws(SystemError) -> Int {
    // SAFETY: the kernel writes within the buffer's bounds.
    let result = unsafe buffer.withUnsafeMutableBytes { bytes in
      let address = UInt(bitPattern: bytes.baseAddress)
      let count = UInt(bytes.count)
      return retrying { systemCall(Int(SYS_pread64), word(descriptor), address, count, UInt(offset)) }
    }
    return try checked("pread", "\(descriptor)", result)
  }

  /// Lets the kernel begin to write a part of a file to the disk, and does not wait for it (sync_file_range(2)). Where it cannot the
  /// next `sync` has more to do.
  public static func beginWriting(_ descriptor: Int32, from offset: Int64, count: Int64) {
    // SYNC_FILE_RANGE_WRITE of linux/fs.h.
    _ = systemCall(Int(SYS_sync_file_range), word(descriptor), UInt(offset), UInt(count), 2)
  }

  /// Lets a pipe hold so many bytes, or what it may (fcntl(2), F_SETPIPE_SZ): a pipe that stays as it is works too.
  public static func setPipeSize(_ descriptor: Int32, _ bytes: Int) {
    // F_SETPIPE_SZ of linux/fcntl.h.
    _ = systemCall(Int(SYS_fcntl), word(descriptor), 1031, UInt(bytes))
  }
}
