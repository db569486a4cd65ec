import CLinux
import Linux

/// The system calls of a layer's tree, whose names are bytes of any kind but NUL.
extension LayerTree {
  /// Opens a path within the root: links are followed as if it were "/", and nothing outside can be reached (openat2(2)).
  static func open(
    _ path: [UInt8], _ flags: Int32, root: Int32, resolve: ResolveFlags
  ) throws(SystemError) -> FileDescriptor {
    var how = open_how()
    how.flags = UInt64(UInt32(bitPattern: flags | O_CLOEXEC))
    how.resolve = resolve.rawValue
    let result = path.withNameAddress { address in
      // SAFETY: `how` lives across the call, its size is passed along.
      unsafe withUnsafePointer(to: &how) { pointer in
        while true {
          let result = systemCall(
            Int(IMMURE_SYS_openat2), word(root), address, UInt(bitPattern: pointer), UInt(MemoryLayout<open_how>.size))
          if result != -Int(EAGAIN) && result != -Int(EINTR) { return result }
        }
      }
    }
    return FileDescriptor(owning: Int32(try checked("open", "", result)))
  }

  /// A new file, which must not be there.
  static func create(_ name: [UInt8], at folder: Int32) throws(SystemError) -> FileDescriptor {
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let result = name.withNameAddress { systemCall(Int(SYS_openat), word(folder), $0, word(flags), 0o600) }
    return FileDescriptor(owning: Int32(try checked("create", "", result)))
  }

  static func openDirectory(_ name: [UInt8], at folder: Int32) throws(SystemError) -> FileDescriptor {
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    let result = name.withNameAddress { systemCall(Int(SYS_openat), word(folder), $0, word(flags)) }
    return FileDescriptor(owning: Int32(try checked("open", "", result)))
  }

  /// The kind of what is there (S_IFMT bits), or nil; a link is a link.
  static func kind(_ name: [UInt8], at folder: Int32) throws(SystemError) -> UInt32? {
    var status = stat()
    // SAFETY: the kernel fills the struct, whose layout is glibc's on this architecture.
    let result = unsafe withUnsafeMutablePointer(to: &status) { pointer in
      let address = UInt(bitPattern: pointer)
      return name.withNameAddress {
        systemCall(Int(SYS_newfstatat), word(folder), $0, address, word(AT_SYMLINK_NOFOLLOW))
      }
    }
    if result == -Int(ENOENT) { return nil }
    try checked("stat", "", result)
    return status.st_mode & UInt32(S_IFMT)
  }

  static func makeDirectory(_ name: [UInt8], mode: UInt32, at folder: Int32) throws(SystemError) {
    try checked("mkdir", "", name.withNameAddress { systemCall(Int(SYS_mkdirat), word(folder), $0, UInt(mode)) })
  }

  static func makeNode(_ name: [UInt8], mode: UInt32, device: UInt64 = 0, at folder: Int32) throws(SystemError) {
    try checked(
      "mknod", "",
      name.withNameAddress { systemCall(Int(SYS_mknodat), word(folder), $0, UInt(mode), UInt(device)) })
  }

  static func makeLink(_ target: [UInt8], _ name: [UInt8], at folder: Int32) throws(SystemError) {
    let result = target.withNameAddress { a in
      name.withNameAddress { b in systemCall(Int(SYS_symlinkat), a, word(folder), b) }
    }
    try checked("symlink", "", result)
  }

  /// A second name for a file or link, which is not followed.
  static func makeHardLink(
    _ target: [UInt8], at targetFolder: Int32, _ name: [UInt8], at folder: Int32
  ) throws(SystemError) {
    let result = target.withNameAddress { a in
      name.withNameAddress { b in systemCall(Int(SYS_linkat), word(targetFolder), a, word(folder), b, 0) }
    }
    try checked("link", "", result)
  }

  static func remove(_ name: [UInt8], at folder: Int32) throws(SystemError) {
    try checked("unlink", "", name.withNameAddress { systemCall(Int(SYS_unlinkat), word(folder), $0, 0) })
  }

  static func removeDirectory(_ name: [UInt8], at folder: Int32) throws(SystemError) {
    try checked(
      "rmdir", "", name.withNameAddress { systemCall(Int(SYS_unlinkat), word(folder), $0, UInt(AT_REMOVEDIR)) })
  }

  /// An empty name is the open file itself.
  static func changeOwner(_ name: [UInt8], user: UInt32, group: UInt32, at folder: Int32) throws(SystemError) {
    let flags = AT_SYMLINK_NOFOLLOW | (name.isEmpty ? AT_EMPTY_PATH : 0)
    let result = name.withNameAddress {
      systemCall(Int(SYS_fchownat), word(folder), $0, UInt(user), UInt(group), word(flags))
    }
    try checked("chown", "", result)
  }

  static func changeMode(_ descriptor: Int32, _ mode: UInt32) throws(SystemError) {
    try checked("chmod", "", systemCall(Int(SYS_fchmod), word(descriptor), UInt(mode)))
  }

  /// Of a node that was just made in a folder nobody else changes: not for links.
  static func changeMode(_ name: [UInt8], _ mode: UInt32, at folder: Int32) throws(SystemError) {
    try checked("chmod", "", name.withNameAddress { systemCall(Int(SYS_fchmodat), word(folder), $0, UInt(mode)) })
  }

  /// Sets the modification time (and the access time to the same), without following a link. Nil is the open file itself.
  static func changeTime(
    _ name: [UInt8]?, seconds: Int64, nanoseconds: UInt32, at folder: Int32
  ) throws(SystemError) {
    let time = timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
    let times = (time, time)
    // SAFETY: two timespecs in order live across the call.
    let result = unsafe withUnsafePointer(to: times) { pointer in
      let address = UInt(bitPattern: pointer)
      guard let name else { return systemCall(Int(SYS_utimensat), word(folder), 0, address, 0) }
      return name.withNameAddress {
        systemCall(Int(SYS_utimensat), word(folder), $0, address, word(AT_SYMLINK_NOFOLLOW))
      }
    }
    try checked("utimensat", "", result)
  }

  static func setAttribute(_ name: [UInt8], _ value: [UInt8], _ descriptor: Int32) throws(SystemError) {
    let result = name.withNameAddress { name in
      // SAFETY: the value's bytes live across the call, which reads `count` of them.
      unsafe value.withUnsafeBufferPointer { bytes in
        systemCall(
          Int(SYS_fsetxattr), word(descriptor), name, UInt(bitPattern: bytes.baseAddress), UInt(bytes.count), 0)
      }
    }
    try checked("setxattr", String(decoding: name, as: UTF8.self), result)
  }

  static func setSize(_ descriptor: Int32, _ size: Int64) throws(SystemError) {
    try checked("ftruncate", "", systemCall(Int(SYS_ftruncate), word(descriptor), UInt(size)))
  }

  /// Writes every byte at an offset.
  static func write(_ descriptor: Int32, _ bytes: Span<UInt8>, at offset: Int64) throws(SystemError) {
    // SAFETY: the kernel reads within the span's bounds.
    let failure = unsafe bytes.withUnsafeBytes { buffer in
      var done = 0
      while done < buffer.count {
        let address = UInt(bitPattern: buffer.baseAddress) + UInt(done)
        let count = UInt(buffer.count - done)
        let place = UInt(offset) + UInt(done)
        let result = retrying { systemCall(Int(SYS_pwrite64), word(descriptor), address, count, place) }
        if result < 0 { return result }
        done += result
      }
      return 0
    }
    try checked("write", "", failure)
  }
}
