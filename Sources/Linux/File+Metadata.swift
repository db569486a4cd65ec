import CLinux

/// Metadata and extent of an open file.
extension File {
  /// fchmod(2).
  public static func changeMode(_ descriptor: Int32, _ mode: UInt32) throws(SystemError) {
    try checked("fchmod", "\(descriptor)", systemCall(Int(SYS_fchmod), word(descriptor), UInt(mode)))
  }

  /// Sets access and modification time to the same moment (utimensat(2)).
  public static func changeTime(_ descriptor: Int32, seconds: Int64, nanoseconds: UInt32) throws(SystemError) {
    let time = timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
    let times = (time, time)
    // SAFETY: two timespecs in order live across the call.
    let result = unsafe withUnsafePointer(to: times) { pointer in
      systemCall(Int(SYS_utimensat), word(descriptor), 0, UInt(bitPattern: pointer), 0)
    }
    try checked("utimensat", "\(descriptor)", result)
  }

  /// ftruncate(2).
  public static func setSize(_ descriptor: Int32, _ size: UInt64) throws(SystemError) {
    try checked("ftruncate", "\(descriptor)", systemCall(Int(SYS_ftruncate), word(descriptor), UInt(size)))
  }

  /// Where the first `size` bytes of a file hold data and not holes, in order (lseek(2), SEEK_DATA); all of it where the file system
  /// does not know.
  /// - Returns: nil where there are more than `limit` pieces.
  public static func dataRanges(_ descriptor: Int32, size: Int64, limit: Int) throws(SystemError) -> [Range<Int64>]? {
    let (data, hole): (UInt, UInt) = (3, 4)
    var ranges: [Range<Int64>] = []
    var offset: Int64 = 0
    while offset < size {
      let start = systemCall(Int(SYS_lseek), word(descriptor), UInt(offset), data)
      if start == -Int(ENXIO) { break }
      if start == -Int(EINVAL) || start == -Int(EOPNOTSUPP) { return [0..<size] }
      let first = Int64(try checked("lseek", "\(descriptor)", start))
      // The file may change meanwhile: what makes no sense any more ends the list.
      guard first >= offset, first < size else { break }
      let end = systemCall(Int(SYS_lseek), word(descriptor), UInt(first), hole)
      if end == -Int(ENXIO) { break }
      let last = min(Int64(try checked("lseek", "\(descriptor)", end)), size)
      guard last > first else { break }
      guard ranges.count < limit else { return nil }
      ranges.append(first..<last)
      offset = last
    }
    return ranges
  }
}
