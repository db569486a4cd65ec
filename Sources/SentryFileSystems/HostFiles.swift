import CLinux
public import Linux

/// The sentry's own files on the host: raw calls with the bare error, for guests get nothing else.
public enum HostFiles {
  /// An open /proc/self/fd, through which a file is opened once more with other rights.
  private nonisolated(unsafe) static var opened: Int32 = -1

  /// Keeps what is needed of /proc before the sentry loses it, and takes the process's umask away.
  /// - Parameter processes: the root of a procfs; nil is the one at /proc, from whose folders there is a way to all of it.
  public static func prepare(processes: Int32? = nil) throws(SystemError) {
    // SAFETY: the sentry has one thread; tests that race here open it twice at worst.
    if unsafe opened >= 0 { return }
    let result = (processes == nil ? "/proc/self/fd" : "self/fd").withPathAddress {
      systemCall(Int(SYS_openat), word(processes ?? AT_FDCWD), $0, UInt(O_PATH | O_DIRECTORY | O_CLOEXEC))
    }
    unsafe opened = Int32(try checked("open", "/proc/self/fd", result))
    try HostRandom.prepare()
    // Files that guests make have the modes that guests ask for.
    _ = systemCall(Int(SYS_umask), 0)
  }

  static func table() throws(Errno) -> Int32 {
    if unsafe opened < 0 {
      do throws(SystemError) { try prepare() } catch { throw error.errno }
    }
    return unsafe opened
  }

  /// The same file with other flags: O_RDONLY of a memory file, O_RDWR of an O_PATH one.
  static func reopen(_ descriptor: Int32, _ flags: Int32) throws(Errno) -> FileDescriptor {
    let folder = try table()
    let result = String(descriptor).withPathAddress {
      systemCall(Int(SYS_openat), word(folder), $0, UInt(flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK))
    }
    return FileDescriptor(owning: Int32(truncatingIfNeeded: try answer(result)))
  }

  /// A raw result, or its error.
  @discardableResult
  static func answer(_ result: Int) throws(Errno) -> Int {
    if result < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
    return result
  }

  /// A name as a call takes it: at most 255 bytes and a NUL.
  @discardableResult
  static func withName<R>(_ name: [UInt8], _ body: (UInt) throws(Errno) -> R) throws(Errno) -> R {
    // SAFETY: the address is used by one system call inside `body`, while the allocation lives; it holds the name and a NUL.
    return try unsafe withUnsafeTemporaryAllocation(byteCount: name.count + 1, alignment: 1) {
      (bytes) throws(Errno) -> R in
      unsafe bytes.copyBytes(from: name)
      unsafe bytes[name.count] = 0
      return try body(UInt(bitPattern: bytes.baseAddress))
    }
  }

  /// A name in a directory; close-on-exec.
  static func open(_ directory: Int32, _ name: [UInt8], _ flags: Int32) throws(Errno) -> FileDescriptor {
    let result = try withName(name) { (name) throws(Errno) in
      try answer(systemCall(Int(SYS_openat), word(directory), name, UInt(flags | O_CLOEXEC)))
    }
    return FileDescriptor(owning: Int32(truncatingIfNeeded: result))
  }

  static func read(_ descriptor: Int32, _ bytes: UnsafeMutableRawBufferPointer, at offset: Int64) throws(Errno) -> Int {
    // SAFETY: the kernel fills at most the buffer.
    try answer(
      systemCall(
        Int(SYS_pread64), word(descriptor), UInt(bitPattern: bytes.baseAddress), UInt(bytes.count),
        UInt(bitPattern: Int(offset))))
  }

  static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(Errno) -> Int {
    // SAFETY: the kernel reads at most the buffer.
    try answer(
      systemCall(
        Int(SYS_pwrite64), word(descriptor), UInt(bitPattern: bytes.baseAddress), UInt(bytes.count),
        UInt(bitPattern: Int(offset))))
  }

  static func status(_ descriptor: Int32) throws(Errno) -> stat {
    var status = stat()
    // SAFETY: fstat fills one struct stat.
    try answer(
      unsafe withUnsafeMutablePointer(to: &status) {
        systemCall(Int(SYS_fstat), word(descriptor), UInt(bitPattern: $0))
      })
    return status
  }

  /// lseek(2) on a descriptor whose position nobody uses: SEEK_DATA and SEEK_HOLE.
  static func seek(_ descriptor: Int32, _ offset: Int64, _ whence: Int32) throws(Errno) -> Int64 {
    Int64(try answer(systemCall(Int(SYS_lseek), word(descriptor), UInt(bitPattern: Int(offset)), word(whence))))
  }

  static func truncate(_ descriptor: Int32, _ size: Int64) throws(Errno) {
    try answer(systemCall(Int(SYS_ftruncate), word(descriptor), UInt(bitPattern: Int(size))))
  }

  static func allocate(_ descriptor: Int32, _ mode: Int32, _ offset: Int64, _ length: Int64) throws(Errno) {
    try answer(
      systemCall(
        Int(SYS_fallocate), word(descriptor), word(mode), UInt(bitPattern: Int(offset)),
        UInt(bitPattern: Int(length))))
  }
}
