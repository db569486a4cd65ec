import CLinux
import Linux

/// The memory of a tracee, read with process_vm_readv(2): hostile in content and address, so every read is bounded and may fail.
struct TraceeMemory {
  let pid: Int32

  /// Exactly so many bytes, or nil where they are not all there.
  func bytes(_ address: UInt64, _ count: Int) -> [UInt8]? {
    guard let read = upTo(address, count), read.count == count else { return nil }
    return read
  }

  /// A little-endian word of 4 or 8 bytes.
  func word(_ address: UInt64, size: Int) -> UInt64? {
    guard let bytes = bytes(address, size) else { return nil }
    var value: UInt64 = 0
    for byte in bytes.reversed() { value = value << 8 | UInt64(byte) }
    return value
  }

  /// The bytes before the first zero; nil where there is none within `limit`, as for a path of PATH_MAX (ENAMETOOLONG to the program).
  func string(_ address: UInt64, limit: Int = 4096) -> [UInt8]? {
    var found: [UInt8] = []
    var address = address
    while found.count < limit {
      // Never across a page: what lies behind it may not be mapped.
      let room = min(4096 - Int(address & 4095), limit - found.count)
      guard let chunk = upTo(address, min(room, found.isEmpty ? 256 : 4096)), !chunk.isEmpty else { return nil }
      if let end = chunk.firstIndex(of: 0) { return found + chunk[..<end] }
      found += chunk
      let (next, overflow) = address.addingReportingOverflow(UInt64(chunk.count))
      if overflow { return nil }
      address = next
    }
    return nil
  }

  private func upTo(_ address: UInt64, _ count: Int) -> [UInt8]? {
    guard count > 0, let start = UInt(exactly: address) else { return nil }
    var failed = false
    // SAFETY: the kernel fills at most `count` bytes of the uninitialized storage and returns how many; both iovecs live across
    // the call. The remote address is checked by the kernel.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { storage, filled in
      var local = (UInt(bitPattern: storage.baseAddress), UInt(count))
      var remote = (start, UInt(count))
      let result = unsafe withUnsafeMutablePointer(to: &local) { local in
        unsafe withUnsafeMutablePointer(to: &remote) { remote in
          systemCall(
            Int(SYS_process_vm_readv), Linux.word(pid), UInt(bitPattern: local), 1, UInt(bitPattern: remote), 1, 0)
        }
      }
      if result < 0 { failed = true } else { filled = result }
    }
    return failed ? nil : bytes
  }
}
