public import CLinux

/// Flags of openat2's `resolve` (openat2(2)).
public struct ResolveFlags: OptionSet, Sendable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public static let noMountCrossing = ResolveFlags(rawValue: 0x01)
  public static let noMagicLinks = ResolveFlags(rawValue: 0x02)
  public static let noSymlinks = ResolveFlags(rawValue: 0x04)
  public static let beneath = ResolveFlags(rawValue: 0x08)
  public static let inRoot = ResolveFlags(rawValue: 0x10)
}

/// Opening, reading and naming files. Every call is one system call; descriptors are close-on-exec.
/// `directory` is an open directory or `File.currentDirectory`.
public enum File {
  public static let currentDirectory: Int32 = AT_FDCWD
  /// Flags that open a folder and nothing else.
  public static let directoryOnly: Int32 = O_RDONLY | O_DIRECTORY

  public static func open(
    _ path: String, _ flags: Int32, mode: UInt32 = 0, at directory: Int32 = currentDirectory
  ) throws(SystemError) -> FileDescriptor {
    let result = path.withPathAddress { address in
      retrying { systemCall(Int(SYS_openat), word(directory), address, word(flags | O_CLOEXEC), UInt(mode)) }
    }
    return FileDescriptor(owning: Int32(try checked("open", path, result)))
  }

  /// Opens `path` under `directory` without ever leaving it as `resolve` says (openat2(2), Linux 5.6).
  /// EAGAIN (a rename raced) is tried again.
  public static func open(
    _ path: String, _ flags: Int32, mode: UInt32 = 0, at directory: Int32, resolve: ResolveFlags
  ) throws(SystemError) -> FileDescriptor {
    var how = open_how()
    how.flags = UInt64(UInt32(bitPattern: flags | O_CLOEXEC))
    how.mode = UInt64(mode)
    how.resolve = resolve.rawValue
    let result = path.withPathAddress { address in
      // SAFETY: `how` lives across the call, its size is passed along.
      unsafe withUnsafePointer(to: &how) { pointer in
        while true {
          let result = systemCall(
            Int(IMMURE_SYS_openat2), word(directory), address, UInt(bitPattern: pointer),
            UInt(MemoryLayout<open_how>.size))
          if result != -Int(EAGAIN) && result != -Int(EINTR) { return result }
        }
      }
    }
    return FileDescriptor(owning: Int32(try checked("openat2", path, result)))
  }

  /// Reads up to the span's length; 0 at the end of the file.
  public static func read(_ descriptor: Int32, into buffer: inout MutableSpan<UInt8>) throws(SystemError) -> Int {
    // SAFETY: the kernel writes at most `count` bytes into the span's storage.
    let result = unsafe buffer.withUnsafeMutableBytes { bytes in
      unsafe retryingRead(descriptor, bytes)
    }
    return try checked("read", "\(descriptor)", result)
  }

  private static func retryingRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawBufferPointer) -> Int {
    let address = UInt(bitPattern: bytes.baseAddress)
    let count = UInt(bytes.count)
    return retrying { systemCall(Int(SYS_read), word(descriptor), address, count) }
  }

  /// Reads at most `limit` bytes once (empty at the end of the file).
  public static func read(_ descriptor: Int32, atMost limit: Int) throws(SystemError) -> [UInt8] {
    var failure = 0
    // SAFETY: the kernel fills at most `limit` bytes of the uninitialized storage; the count it reports is recorded.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { storage, count in
      let result = unsafe retryingRead(descriptor, UnsafeMutableRawBufferPointer(storage))
      if result < 0 { failure = result } else { count = result }
    }
    try checked("read", "\(descriptor)", failure)
    return bytes
  }

  /// Reads to the end of the file; more than `limit` bytes are EFBIG.
  public static func readAll(_ descriptor: Int32, limit: Int = 64 << 20) throws(SystemError) -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let chunk = try read(descriptor, atMost: 64 << 10)
      if chunk.isEmpty { return all }
      all.append(contentsOf: chunk)
      if all.count > limit { throw SystemError("read", "\(descriptor)", Errno(rawValue: EFBIG)) }
    }
  }

  /// The whole file at `path`.
  public static func contents(
    _ path: String, at directory: Int32 = currentDirectory, limit: Int = 64 << 20
  ) throws(SystemError) -> [UInt8] {
    let file = try open(path, O_RDONLY, at: directory)
    do { return try readAll(file.rawValue, limit: limit) } catch { throw SystemError("read", path, error.errno) }
  }

  /// The whole file as text; bytes that are not UTF-8 become U+FFFD.
  public static func text(_ path: String, at directory: Int32 = currentDirectory) throws(SystemError) -> String {
    String(decoding: try contents(path, at: directory), as: UTF8.self)
  }

  /// Writes every byte.
  public static func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) throws(SystemError) {
    try writeAll(descriptor, bytes.span)
  }

  /// Writes every byte.
  public static func writeAll(_ descriptor: Int32, _ bytes: Span<UInt8>) throws(SystemError) {
    // SAFETY: the kernel reads within the span's bounds.
    let failure = unsafe bytes.withUnsafeBytes { buffer in
      var offset = 0
      while offset < buffer.count {
        let address = UInt(bitPattern: buffer.baseAddress) + UInt(offset)
        let count = UInt(buffer.count - offset)
        let result = retrying { systemCall(Int(SYS_write), word(descriptor), address, count) }
        if result < 0 { return result }
        offset += result
      }
      return 0
    }
    try checked("write", "\(descriptor)", failure)
  }

  /// Writes a string's UTF-8 bytes.
  public static func writeAll(_ descriptor: Int32, _ text: String) throws(SystemError) {
    try writeAll(descriptor, Array(text.utf8))
  }

  /// Writes `bytes` to an existing file such as one of procfs or a cgroup, in one write.
  public static func writeExisting(
    _ path: String, _ text: String, at directory: Int32 = currentDirectory
  ) throws(SystemError) {
    let file = try open(path, O_WRONLY, at: directory)
    do { try writeAll(file.rawValue, text) } catch { throw SystemError("write", path, error.errno) }
  }

  /// Replaces `name` in `directory` so that a reader sees the old bytes or the new ones, also after kill -9 (rename(2)).
  public static func replaceAtomically(
    _ name: String, _ bytes: [UInt8], mode: UInt32 = 0o600, at directory: Int32, sync: Bool = false
  ) throws(SystemError) {
    let temporary = ".\(name).\(Process.id)"
    do {
      let file = try open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: mode, at: directory)
      try writeAll(file.rawValue, bytes)
      if sync { try checked("fsync", name, systemCall(Int(SYS_fsync), word(file.rawValue))) }
    } catch {
      // The half-written temporary is of no use; the error that matters is the one below.
      try? remove(temporary, at: directory)
      throw SystemError(error.call, name, error.errno)
    }
    try rename(temporary, to: name, from: directory, into: directory)
  }

  public static func rename(
    _ old: String, to new: String, from: Int32 = currentDirectory, into: Int32 = currentDirectory, flags: UInt32 = 0
  ) throws(SystemError) {
    let result = old.withPathAddress { a in
      new.withPathAddress { b in systemCall(Int(SYS_renameat2), word(from), a, word(into), b, UInt(flags)) }
    }
    try checked("rename", "\(old) -> \(new)", result)
  }

  public static func remove(_ path: String, at directory: Int32 = currentDirectory) throws(SystemError) {
    try checked(
      "unlink", path, path.withPathAddress { systemCall(Int(SYS_unlinkat), word(directory), $0, 0) })
  }

  public static func removeDirectory(_ path: String, at directory: Int32 = currentDirectory) throws(SystemError) {
    try checked(
      "rmdir", path,
      path.withPathAddress { systemCall(Int(SYS_unlinkat), word(directory), $0, UInt(AT_REMOVEDIR)) })
  }

  public static func makeDirectory(
    _ path: String, mode: UInt32 = 0o755, at directory: Int32 = currentDirectory
  ) throws(SystemError) {
    try checked(
      "mkdir", path, path.withPathAddress { systemCall(Int(SYS_mkdirat), word(directory), $0, UInt(mode)) })
  }

  /// Makes the folder and those above it; existing ones are left as they are.
  public static func makeDirectories(_ path: String, mode: UInt32 = 0o755) throws(SystemError) {
    do throws(SystemError) {
      try makeDirectory(path, mode: mode)
    } catch {
      if error.errno == .exists { return }
      guard error.errno == .noEntry, let parent = parent(of: path) else { throw error }
      try makeDirectories(parent, mode: mode)
      do throws(SystemError) { try makeDirectory(path, mode: mode) } catch  where error.errno == .exists {}
    }
  }

  /// What stands before the last "/", or nil for a name without one and for "/".
  public static func parent(of path: String) -> String? {
    var bytes = Array(path.utf8)
    while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")), bytes.count > 1 else { return nil }
    return slash == 0 ? "/" : String(decoding: bytes[..<slash], as: UTF8.self)
  }

  public static func symlink(_ target: String, at path: String, in directory: Int32 = currentDirectory)
    throws(SystemError)
  {
    let result = target.withPathAddress { a in
      path.withPathAddress { b in systemCall(Int(SYS_symlinkat), a, word(directory), b) }
    }
    try checked("symlink", path, result)
  }

  public static func readLink(_ path: String, at directory: Int32 = currentDirectory) throws(SystemError) -> String {
    var failure = 0
    // SAFETY: readlinkat fills at most the capacity and returns how much.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { storage, count in
      let address = UInt(bitPattern: storage.baseAddress)
      let result = path.withPathAddress {
        systemCall(Int(SYS_readlinkat), word(directory), $0, address, UInt(PATH_MAX))
      }
      if result < 0 { failure = result } else { count = result }
    }
    try checked("readlink", path, failure)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// fstatat(2): `followSymlinks` false looks at a link itself; an empty path at the descriptor.
  public static func status(
    _ path: String, at directory: Int32 = currentDirectory, followSymlinks: Bool = true
  ) throws(SystemError) -> stat {
    var status = stat()
    let flags = (followSymlinks ? 0 : AT_SYMLINK_NOFOLLOW) | (path.isEmpty ? AT_EMPTY_PATH : 0)
    // SAFETY: the kernel fills the struct, whose layout is glibc's on this architecture.
    let result = unsafe withUnsafeMutablePointer(to: &status) { pointer in
      path.withPathAddress {
        systemCall(Int(SYS_newfstatat), word(directory), $0, UInt(bitPattern: pointer), word(flags))
      }
    }
    try checked("stat", path, result)
    return status
  }

  /// The file's kind: S_IFREG, S_IFDIR and so on (inode(7)).
  public static func kind(_ status: stat) -> mode_t { status.st_mode & mode_t(S_IFMT) }

  /// Whether something is there under the name; a dangling link is not.
  public static func exists(_ path: String, at directory: Int32 = currentDirectory) -> Bool {
    path.withPathAddress { systemCall(Int(SYS_faccessat), word(directory), $0, 0) } == 0
  }

  public static func changeMode(_ path: String, _ mode: UInt32, at directory: Int32 = currentDirectory)
    throws(SystemError)
  {
    try checked("chmod", path, path.withPathAddress { systemCall(Int(SYS_fchmodat), word(directory), $0, UInt(mode)) })
  }

  /// Changes the owner without following a link at the end (fchownat(2)).
  public static func changeOwner(
    _ path: String, user: UInt32, group: UInt32, at directory: Int32 = currentDirectory
  ) throws(SystemError) {
    let flags = AT_SYMLINK_NOFOLLOW | (path.isEmpty ? AT_EMPTY_PATH : 0)
    let result = path.withPathAddress {
      systemCall(Int(SYS_fchownat), word(directory), $0, UInt(user), UInt(group), word(flags))
    }
    try checked("chown", path, result)
  }

  /// Takes an advisory lock on the open file (flock(2)); false when another holds it and `wait` is false.
  public static func lock(_ descriptor: Int32, exclusive: Bool = true, wait: Bool = true) throws(SystemError) -> Bool {
    let operation = (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB)
    let result = retrying { systemCall(Int(SYS_flock), word(descriptor), word(operation)) }
    if result == -Int(EWOULDBLOCK) { return false }
    try checked("flock", "\(descriptor)", result)
    return true
  }

  /// The names in a directory without "." and "..", in the kernel's order (getdents64(2)).
  public static func names(_ descriptor: Int32) throws(SystemError) -> [String] {
    var names: [String] = []
    while true {
      let block = try directoryEntries(descriptor)
      if block.isEmpty { return names }
      for name in entryNames(block) { names.append(String(decoding: name, as: UTF8.self)) }
    }
  }

  /// One block of directory entries; empty at the end.
  package static func directoryEntries(_ descriptor: Int32) throws(SystemError) -> [UInt8] {
    var failure = 0
    // SAFETY: the kernel fills at most the capacity and returns how much.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 32 << 10) { storage, count in
      let address = UInt(bitPattern: storage.baseAddress)
      let result = systemCall(Int(SYS_getdents64), word(descriptor), address, 32 << 10)
      if result < 0 { failure = result } else { count = result }
    }
    try checked("getdents64", "\(descriptor)", failure)
    return bytes
  }

  /// The names of a block of entries: struct linux_dirent64 has ino u64, off u64, reclen u16, type u8, and the name at 19.
  package static func entryNames(_ block: [UInt8]) -> [ArraySlice<UInt8>] {
    var names: [ArraySlice<UInt8>] = []
    var offset = 0
    while offset + 19 <= block.count {
      let length = Int(block[offset + 16]) | Int(block[offset + 17]) << 8
      let name = block[(offset + 19)..<(offset + length)].prefix { $0 != 0 }
      if !(name.elementsEqual([46]) || name.elementsEqual([46, 46])) { names.append(name) }
      offset += length
    }
    return names
  }

  /// The names in the directory at `path`.
  public static func names(inDirectory path: String, at directory: Int32 = currentDirectory) throws(SystemError)
    -> [String]
  {
    let folder = try open(path, O_RDONLY | O_DIRECTORY, at: directory)
    return try names(folder.rawValue)
  }
}
