import CLinux
import Formats
import Linux

/// An open file as EROFS is read from it: by pread(2) only, which a confined worker may call.
struct ImageFile: EROFSSource {
  let descriptor: Int32
  let size: UInt64

  /// - Parameter descriptor: stays the caller's.
  init(_ descriptor: Int32) throws(SystemError) {
    self.descriptor = descriptor
    let end = try checked("lseek", "\(descriptor)", systemCall(Int(SYS_lseek), word(descriptor), 0, UInt(SEEK_END)))
    size = UInt64(end)
  }

  func read(at offset: UInt64, into bytes: inout MutableSpan<UInt8>) throws(FormatError) {
    guard offset <= size, UInt64(bytes.count) <= size - offset else {
      throw FormatError("the image ends before it should", source: "EROFS image")
    }
    // SAFETY: the kernel writes within the span's bounds.
    try check(unsafe bytes.withUnsafeMutableBytes { buffer in unsafe fill(buffer, from: offset) })
  }

  /// Fills the first `count` bytes of a buffer, which has as many.
  func read(at offset: UInt64, count: Int, into bytes: inout [UInt8]) throws(FormatError) {
    precondition(count <= bytes.count)
    guard offset <= size, UInt64(count) <= size - offset else {
      throw FormatError("the image ends before it should", source: "EROFS image")
    }
    // SAFETY: the kernel writes within the array's first `count` bytes.
    try check(
      unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe fill(UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count]), from: offset)
      })
  }

  /// - Returns: 0, or a negated errno.
  private func fill(_ buffer: UnsafeMutableRawBufferPointer, from offset: UInt64) -> Int {
    var done = 0
    while done < buffer.count {
      let address = UInt(bitPattern: buffer.baseAddress) + UInt(done)
      let position = UInt(offset) + UInt(done)
      let result = retrying {
        systemCall(Int(SYS_pread64), word(descriptor), address, UInt(buffer.count - done), position)
      }
      if result <= 0 { return result == 0 ? -Int(EIO) : result }
      done += result
    }
    return 0
  }

  private func check(_ failure: Int) throws(FormatError) {
    if failure != 0 { throw FormatError("cannot be read (\(Errno(rawValue: Int32(-failure))))", source: "EROFS image") }
  }
}
