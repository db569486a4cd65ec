import CLinux
public import Linux
public import SentryABI

/// A guest process's memory as the sentry reaches it: copied in and out by the host's kernel (process_vm_readv(2)), so a bad
/// pointer is EFAULT and never a fault of the sentry. The guest may change what it names at any moment: each word is read once.
public struct GuestMemory: Sendable {
  /// The process in the sentry's pid namespace. A test may name its own.
  public let process: Int32
  public init(process: Int32) { self.process = process }

  /// Copies as much as there is, up to the first page that is not mapped.
  /// - Returns: the bytes copied, more than 0 unless `bytes` is empty.
  /// - Throws: EFAULT where not even the first byte is there; ESRCH where the process is gone.
  public func read(_ address: GuestAddress, into bytes: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    try unsafe move(Int(SYS_process_vm_readv), address, bytes.baseAddress, bytes.count)
  }

  /// As `read`, the other way.
  public func write(_ address: GuestAddress, from bytes: UnsafeRawBufferPointer) throws(Errno) -> Int {
    try unsafe move(
      Int(SYS_process_vm_writev), address, UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
  }

  private func move(_ call: Int, _ address: GuestAddress, _ near: UnsafeMutableRawPointer?, _ count: Int)
    throws(Errno) -> Int
  {
    if count == 0 { return 0 }
    var local = unsafe iovec(iov_base: near, iov_len: count)
    var remote = unsafe iovec(iov_base: UnsafeMutableRawPointer(bitPattern: UInt(address.bits)), iov_len: count)
    // SAFETY: `near` holds `count` bytes by the callers' buffers; the far side is checked by the kernel.
    let result = unsafe withUnsafeMutablePointer(to: &local) { local in
      unsafe withUnsafeMutablePointer(to: &remote) { remote in
        systemCall(
          call, word(process), UInt(bitPattern: local), 1, UInt(bitPattern: remote), 1, 0)
      }
    }
    if result < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
    if result == 0 { throw .badAddress }
    return result
  }

  /// One value, whole.
  @inlinable
  public func load<Value: BitwiseCopyable>(_ address: GuestAddress, as type: Value.Type = Value.self) throws(Errno)
    -> Value
  {
    let size = MemoryLayout<Value>.size
    return try unsafe withUnsafeTemporaryAllocation(
      byteCount: size, alignment: MemoryLayout<Value>.alignment
    ) { (bytes) throws(Errno) -> Value in
      guard try unsafe read(address, into: bytes) == size else { throw .badAddress }
      // SAFETY: all `size` bytes were written, and every bit pattern is a value of such a type as callers use (integers, C structs).
      return unsafe bytes.load(as: Value.self)
    }
  }

  @inlinable
  public func store<Value: BitwiseCopyable>(_ value: Value, at address: GuestAddress) throws(Errno) {
    var copy = value
    let count = try unsafe withUnsafeBytes(of: &copy) { (bytes) throws(Errno) -> Int in
      try unsafe write(address, from: bytes)
    }
    if count != MemoryLayout<Value>.size { throw .badAddress }
  }

  /// Parts of a value, one after the other: other threads of the guest see none before those that come before it (x86-64 keeps the order
  /// of stores).
  /// - Parameter parts: at most eight, within the value; `address` is where the whole of it would begin.
  public func store<Value: BitwiseCopyable>(_ value: Value, at address: GuestAddress, parts: [Range<Int>])
    throws(Errno)
  {
    var copy = value
    var wanted = 0
    let stored = unsafe withUnsafeBytes(of: &copy) { bytes in
      unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2 * parts.count) { vectors in
        for (index, part) in parts.enumerated() {
          wanted += part.count
          // SAFETY: slicing traps outside of the value; the vectors are filled before the kernel reads them.
          let near = unsafe UnsafeMutableRawPointer(mutating: UnsafeRawBufferPointer(rebasing: bytes[part]).baseAddress)
          let far = unsafe UnsafeMutableRawPointer(
            bitPattern: UInt(truncatingIfNeeded: address.advanced(by: part.lowerBound).bits))
          unsafe vectors.initializeElement(at: index, to: iovec(iov_base: near, iov_len: part.count))
          unsafe vectors.initializeElement(at: parts.count + index, to: iovec(iov_base: far, iov_len: part.count))
        }
        let start = UInt(bitPattern: vectors.baseAddress)
        let (count, size) = unsafe (UInt(parts.count), UInt(MemoryLayout<iovec>.stride))
        return systemCall(
          Int(SYS_process_vm_writev), word(process), start, count, start + count * size, count,
          0)
      }
    }
    if stored < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -stored)) }
    if stored != wanted { throw .badAddress }
  }

  /// Bytes, all of them.
  /// - Parameter count: at most what a caller has bounded.
  public func bytes(_ address: GuestAddress, count: Int) throws(Errno) -> [UInt8] {
    var failure: Errno?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      do throws(Errno) {
        filled = try unsafe read(address, into: UnsafeMutableRawBufferPointer(buffer))
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    guard bytes.count == count else { throw .badAddress }
    return bytes
  }

  public func store(_ bytes: [UInt8], at address: GuestAddress) throws(Errno) {
    let count = try unsafe bytes.span.withUnsafeBytes { (bytes) throws(Errno) -> Int in
      try unsafe write(address, from: bytes)
    }
    if count != bytes.count { throw .badAddress }
  }

  /// A NUL-terminated string without its NUL, read page by page.
  /// - Parameter limit: bytes with the NUL (PATH_MAX is 4096).
  /// - Throws: ENAMETOOLONG where there is no NUL within the limit.
  public func string(_ address: GuestAddress, limit: Int = 4096) throws(Errno) -> [UInt8] {
    var found: [UInt8] = []
    var at = address
    // Most are short: so much is read at first, and what there is of it.
    let start = try unsafe withUnsafeTemporaryAllocation(byteCount: 256, alignment: 8) {
      (bytes) throws(Errno) -> (text: [UInt8], isWhole: Bool) in
      let room = min(limit, 256, 4096 - Int(at.bits & 4095))
      let count = try unsafe read(at, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<room]))
      // SAFETY: `count` bytes were read into the allocation.
      let text = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<count])
      if let end = unsafe text.firstIndex(of: 0) {
        return unsafe ([UInt8](UnsafeRawBufferPointer(rebasing: text[..<end])), true)
      }
      return unsafe ([UInt8](text), false)
    }
    if start.isWhole { return start.text }
    found = start.text
    at = at.advanced(by: found.count)
    while found.count < limit {
      // Never past the end of a page: the next one may not be there.
      let piece = min(limit - found.count, 4096 - Int(at.bits & 4095))
      let bytes = try bytes(at, count: piece)
      if let end = bytes.firstIndex(of: 0) {
        found += bytes[..<end]
        return found
      }
      found += bytes
      at = at.advanced(by: piece)
    }
    throw .nameTooLong
  }
}
