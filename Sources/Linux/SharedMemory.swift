import CLinux

/// Memory that this process shares with children that it clones later, or that is a file's; unmapped with the value (mmap(2)).
@safe public final class SharedMemory {
  public let bytes: UnsafeMutableRawBufferPointer

  /// Zeroed memory without a file.
  public convenience init(size: Int) throws(SystemError) {
    try self.init(size, UInt(MAP_SHARED) | UInt(MAP_ANONYMOUS), -1)
  }

  /// A file's first bytes, read and written. What lies beyond the file's end is mapped and must not be touched (SIGBUS).
  public convenience init(file: Int32, size: Int) throws(SystemError) {
    try self.init(size, UInt(MAP_SHARED), file)
  }

  private init(_ size: Int, _ flags: UInt, _ file: Int32) throws(SystemError) {
    let access = UInt(PROT_READ) | UInt(PROT_WRITE)
    let result = systemCall(Int(SYS_mmap), 0, UInt(size), access, flags, word(file), 0)
    let address = try checked("mmap", "", result)
    // SAFETY: so many bytes were mapped there, which belong to this value.
    unsafe bytes = UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer(bitPattern: address), count: size)
  }

  /// The first byte.
  public var start: UnsafeMutableRawPointer {
    guard let start = unsafe bytes.baseAddress else { preconditionFailure("memory that is mapped has an address") }
    return unsafe start
  }

  /// Gives the first bytes' pages up; those of a file stay in it and come back when they are touched (madvise(2), MADV_DONTNEED).
  public func release(_ count: Int) {
    // It only costs memory where it fails.
    _ = systemCall(Int(SYS_madvise), UInt(bitPattern: unsafe bytes.baseAddress), UInt(count), UInt(MADV_DONTNEED))
  }

  deinit {
    _ = systemCall(Int(SYS_munmap), UInt(bitPattern: unsafe bytes.baseAddress), UInt(unsafe bytes.count))
  }
}
