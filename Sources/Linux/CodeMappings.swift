import CLinux

/// The memory of this process that holds code and constants mapped from files, for one that mostly waits.
public struct CodeMappings: Sendable {
  private let ranges: [(start: UInt, length: UInt)]

  /// Reads /proc/self/maps once; later calls touch no more of the program than they must.
  public init() throws(SystemError) {
    var ranges: [(start: UInt, length: UInt)] = []
    for line in try File.text("/proc/self/maps").split(separator: "\n") {
      let fields = line.split(separator: " ", omittingEmptySubsequences: true)
      guard fields.count >= 6, fields[4] != "0" else { continue }
      // A read-only mapping elsewhere in a program may be relocated data that was protected afterwards; the one with the ELF
      // header was never writable.
      guard fields[1] == "r-xp" || (fields[1] == "r--p" && UInt64(fields[2], radix: 16) == 0) else { continue }
      let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
      guard ends.count == 2, ends[0] < ends[1] else { continue }
      ranges.append((ends[0], ends[1] - ends[0]))
    }
    self.ranges = ranges
  }

  /// Gives the pages back: what is needed again comes from the page cache with one minor fault per 64 KiB. They were never
  /// written to, so nothing is lost (madvise(2), MADV_DONTNEED).
  public func release() {
    for range in ranges { _ = systemCall(Int(SYS_madvise), range.start, range.length, UInt(MADV_DONTNEED)) }
  }

  /// The same for the executable alone, without a look at /proc, at the end of a part of a command that the rest of it does not run again:
  /// the most memory that the command had is then that of its largest part.
  public static func releaseOwn() { immure_release_image() }
}
