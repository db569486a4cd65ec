import Formats
import Linux

/// A file that a worker's tables go on in when they have outgrown memory: mapped before the worker is confined, for afterwards it may
/// not. The file has no name and is nobody else's.
final class SpillFile: PageSpill {
  /// Bytes of address space; a layer of 2,000,000 entries, or an image of several such ones, has less.
  static let size = 2 << 30

  private let memory: SharedMemory
  private let file: Int32
  private var used = 0

  /// - Parameter file: empty, of this process for as long as the value lives.
  init(_ file: Int32) throws(SystemError) {
    self.file = file
    memory = try SharedMemory(file: file, size: Self.size)
  }

  func take(_ bytes: Int) throws(FormatError) -> UnsafeMutableRawPointer {
    guard used + bytes <= Self.size else {
      throw FormatError("the layer's names and numbers need more than \(Self.size) bytes")
    }
    let start = used
    used += (bytes + 63) & ~63
    // Written and not only made longer: a full disk is an error here, and would be the end of the process at the first touch (SIGBUS).
    let zeros = [UInt8](repeating: 0, count: 64 << 10)
    do throws(SystemError) {
      var position = start
      while position < used {
        let count = min(used - position, zeros.count)
        try File.writeAll(file, zeros.span.extracting(0..<count), at: UInt64(position))
        position += count
      }
    } catch { throw FormatError("no room for a layer with so many entries: \(error.errno)") }
    // SAFETY: within the mapping, which is as large as `size`; given out once.
    return unsafe memory.start + start
  }

  func relax() { memory.release(used) }
}
