import CLinux

/// Waiting for one descriptor (poll(2)).
public enum Readiness {
  /// What of POLL* holds at this moment, error and hangup among it; 0 where nothing does.
  public static func now(_ descriptor: Int32, _ events: Int32) -> Int32 {
    var entry = pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: events), revents: 0)
    var none = timespec()
    // SAFETY: as below.
    let result = unsafe withUnsafeMutablePointer(to: &entry) { entry in
      unsafe withUnsafeMutablePointer(to: &none) { none in
        systemCall(Int(SYS_ppoll), UInt(bitPattern: entry), 1, UInt(bitPattern: none), 0)
      }
    }
    return result > 0 ? Int32(UInt16(bitPattern: entry.revents)) : 0
  }

  /// True when the descriptor can be read or has hung up; false when so many milliseconds passed first (nil: no bound).
  public static func wait(_ descriptor: Int32, milliseconds: UInt64?) throws(SystemError) -> Bool {
    let deadline = milliseconds.map { Clock.monotonicNanoseconds() + min($0, 1 << 40) * 1_000_000 }
    while true {
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      var timeout = timespec()
      if let deadline {
        let now = Clock.monotonicNanoseconds()
        let left = deadline > now ? deadline - now : 0
        timeout = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
      }
      // SAFETY: ppoll reads one pollfd and one timespec, both alive across the call.
      let result = unsafe withUnsafeMutablePointer(to: &entry) { entry in
        unsafe withUnsafeMutablePointer(to: &timeout) { timeout in
          systemCall(
            Int(SYS_ppoll), UInt(bitPattern: entry), 1, deadline == nil ? 0 : UInt(bitPattern: timeout), 0)
        }
      }
      if result == -Int(EINTR) { continue }
      return try checked("ppoll", "\(descriptor)", result) > 0
    }
  }

  /// Waits until one of these can be read or has hung up, and says which: the first of those that are ready.
  public static func first(of descriptors: [Int32]) throws(SystemError) -> Int32 {
    var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    while true {
      // SAFETY: ppoll reads and fills the array's entries, alive across the call; no time-out and no mask are given.
      let result = unsafe entries.withUnsafeMutableBufferPointer { entries in
        systemCall(Int(SYS_ppoll), UInt(bitPattern: entries.baseAddress), UInt(entries.count), 0, 0)
      }
      if result == -Int(EINTR) { continue }
      try checked("ppoll", "", result)
      if let ready = entries.first(where: { $0.revents != 0 }) { return ready.fd }
    }
  }
}
