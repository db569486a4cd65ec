public import CLinux

/// Waiting for many descriptors at once (poll(2)).
public enum Poll {
  /// Sleeps until an entry is ready or so many nanoseconds passed (nil: no bound), and fills in `revents`; the number of ready
  /// entries. An entry with a negative descriptor is passed over. A signal that is not blocked ends the wait with 0.
  public static func wait(_ entries: inout [pollfd], nanoseconds: UInt64?) throws(SystemError) -> Int {
    var timeout = timespec()
    if let nanoseconds {
      timeout = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }
    let count = UInt(entries.count)
    // SAFETY: the kernel reads and fills `count` entries and reads one timespec, all alive across the call.
    let result = unsafe entries.withUnsafeMutableBufferPointer { buffer in
      unsafe withUnsafeMutablePointer(to: &timeout) { timeout in
        systemCall(
          Int(SYS_ppoll), UInt(bitPattern: buffer.baseAddress), count,
          nanoseconds == nil ? 0 : UInt(bitPattern: timeout), 0)
      }
    }
    if result == -Int(EINTR) {
      for index in entries.indices { entries[index].revents = 0 }
      return 0
    }
    return try checked("ppoll", "", result)
  }
}
