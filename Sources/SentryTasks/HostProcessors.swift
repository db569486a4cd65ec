import CLinux
import Linux

/// The processors that the sandbox may use.
public enum HostProcessors {
  /// As sched_getaffinity(2) gives them: whole words of 64.
  public static func allowed() -> [UInt8] {
    var mask = [UInt8](repeating: 0, count: 1024)
    let filled = unsafe mask.withUnsafeMutableBytes { bytes in
      // SAFETY: the call fills at most the 1024 bytes it is told of.
      systemCall(Int(SYS_sched_getaffinity), 0, 1024, UInt(bitPattern: bytes.baseAddress))
    }
    return [UInt8](mask.prefix(max(8, filled)))
  }

  public static func current() -> UInt32 {
    var processor: UInt32 = 0
    // SAFETY: getcpu fills one word.
    _ = unsafe withUnsafeMutablePointer(to: &processor) {
      systemCall(Int(SYS_getcpu), UInt(bitPattern: $0), 0, 0)
    }
    return processor
  }

  /// How many.
  public static var count: Int { allowed().reduce(0) { $0 + $1.nonzeroBitCount } }
}
