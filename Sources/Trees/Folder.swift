package import CLinux
package import Linux

/// What a name in a folder is: stat(2)'s fields that tell one file from another.
package struct FileStatus: Equatable {
  package var device: UInt64
  package var inode: UInt64
  package var mode: UInt32
  package var user: UInt32
  package var group: UInt32
  package var size: UInt64
  package var changeSeconds: Int64
  package var changeNanoseconds: UInt32
  /// The device a device node stands for.
  package var special: UInt64

  package init(_ status: stat) {
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    mode = status.st_mode
    user = status.st_uid
    group = status.st_gid
    size = UInt64(max(status.st_size, 0))
    changeSeconds = Int64(status.st_ctim.tv_sec)
    changeNanoseconds = UInt32(status.st_ctim.tv_nsec)
    special = UInt64(status.st_rdev)
  }

  package enum Kind {
    case regular, directory, link, device, socket, pipe

    /// By the type bits of st_mode (inode(7)).
    package init(mode: UInt32) {
      self =
        switch mode & UInt32(S_IFMT) {
        case UInt32(S_IFREG): .regular
        case UInt32(S_IFDIR): .directory
        case UInt32(S_IFLNK): .link
        case UInt32(S_IFSOCK): .socket
        case UInt32(S_IFIFO): .pipe
        default: .device
        }
    }
  }

  package var kind: Kind { Kind(mode: mode) }
  package var isDirectory: Bool { kind == .directory }
  /// overlayfs's mark of a deleted name: a character device 0:0.
  package var isWhiteoutDevice: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFCHR) && special == 0 }
  /// Permissions without set-user-id, set-group-id and sticky.
  package var permissions: UInt32 { mode & 0o777 }
}

/// An open folder. Names in it are single parts of any bytes; nothing here follows a link or leaves the folder.
package struct Folder: ~Copyable {
  package let descriptor: FileDescriptor
  package var raw: Int32 { descriptor.rawValue }

  package init(owning descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

  /// Gives the descriptor up without closing it.
  package consuming func release() -> Int32 { descriptor.release() }

  /// By a path of the host's, which the caller trusts.
  package init(path: String) throws(SystemError) {
    descriptor = try File.open(path, O_RDONLY | O_DIRECTORY)
  }

  /// Opens a file beneath: no link on the way is followed, and `..` or (unless it is said) a mount cannot lead out (openat2(2)).
  package borrowing func open(
    _ path: RelativePath, _ flags: Int32, mode: UInt32 = 0, crossingMounts: Bool = false
  ) throws(SystemError) -> FileDescriptor {
    var how = open_how()
    how.flags = UInt64(UInt32(bitPattern: flags | O_CLOEXEC | O_NOFOLLOW))
    how.mode = UInt64(mode)
    let resolve: ResolveFlags = [.beneath, .noSymlinks, .noMagicLinks]
    how.resolve = crossingMounts ? resolve.rawValue : resolve.union(.noMountCrossing).rawValue
    let name = path.isRoot ? [UInt8(ascii: ".")] : path.bytes
    let result = withBytes(name) { address in
      // SAFETY: `how` and the name live across the call.
      unsafe withUnsafePointer(to: &how) { pointer in
        while true {
          let result = systemCall(
            Int(IMMURE_SYS_openat2), word(raw), address, UInt(bitPattern: pointer),
            UInt(MemoryLayout<open_how>.size))
          if result != -Int(EAGAIN) && result != -Int(EINTR) { return result }
        }
      }
    }
    return FileDescriptor(owning: Int32(try checked("openat2", path.shown, result)))
  }

  package borrowing func folder(_ path: RelativePath) throws(SystemError) -> Folder {
    Folder(owning: try open(path, O_RDONLY | O_DIRECTORY))
  }

  /// The folder's own status.
  package borrowing func status() throws(SystemError) -> FileStatus {
    FileStatus(try File.status("", at: raw))
  }

  /// A name's own status; nil where there is none.
  package borrowing func status(_ name: [UInt8]) throws(SystemError) -> FileStatus? {
    try fullStatus(name).map(FileStatus.init)
  }

  /// All that stat(2) says of a name itself; nil where there is none.
  package borrowing func fullStatus(_ name: [UInt8]) throws(SystemError) -> stat? {
    var status = stat()
    let result = withBytes(name) { address in
      // SAFETY: the kernel fills the struct.
      unsafe withUnsafeMutablePointer(to: &status) { pointer in
        systemCall(
          Int(SYS_newfstatat), word(raw), address, UInt(bitPattern: pointer), UInt(AT_SYMLINK_NOFOLLOW))
      }
    }
    if result == -Int(ENOENT) { return nil }
    try checked("fstatat", show(name), result)
    return status
  }

  /// Names in byte order, without "." and "..".
  package borrowing func names() throws(SystemError) -> [[UInt8]] {
    var names: [[UInt8]] = []
    // From the start, also when the folder was read before.
    let fromStart: UInt = 0
    try checked("lseek", "", systemCall(Int(SYS_lseek), word(raw), 0, fromStart))
    while true {
      let block = try File.directoryEntries(raw)
      if block.isEmpty { break }
      for name in File.entryNames(block) { names.append(Array(name)) }
    }
    names.sort { $0.lexicographicallyPrecedes($1) }
    return names
  }

  package borrowing func readLink(_ name: [UInt8]) throws(SystemError) -> [UInt8] {
    var failure = 0
    // SAFETY: readlinkat fills at most the capacity and returns how much.
    let target = unsafe [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { storage, count in
      let address = UInt(bitPattern: storage.baseAddress)
      let result = withBytes(name) {
        systemCall(Int(SYS_readlinkat), word(raw), $0, address, UInt(PATH_MAX))
      }
      if result < 0 { failure = result } else { count = result }
    }
    try checked("readlink", show(name), failure)
    return target
  }

  package borrowing func makeDirectory(_ name: [UInt8], mode: UInt32) throws(SystemError) {
    try checked("mkdir", show(name), withBytes(name) { systemCall(Int(SYS_mkdirat), word(raw), $0, UInt(mode)) })
  }

  package borrowing func makeLink(_ name: [UInt8], to target: [UInt8]) throws(SystemError) {
    try checked(
      "symlink", show(name),
      withBytes(target) { a in withBytes(name) { b in systemCall(Int(SYS_symlinkat), a, word(raw), b) } })
  }

  /// Makes a new file for writing; one that is there is an error.
  package borrowing func create(_ name: [UInt8]) throws(SystemError) -> FileDescriptor {
    let flags = UInt(O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)
    let result = withBytes(name) { systemCall(Int(SYS_openat), word(raw), $0, flags, 0o600) }
    return FileDescriptor(owning: Int32(try checked("create", show(name), result)))
  }

  package borrowing func rename(_ old: [UInt8], to new: [UInt8], replacing: Bool) throws(SystemError) {
    let noReplace: UInt = 1
    var result = withBytes(old) { a in
      withBytes(new) { b in
        systemCall(Int(SYS_renameat2), word(raw), a, word(raw), b, replacing ? 0 : noReplace)
      }
    }
    // A file system without RENAME_NOREPLACE: the caller has just looked that there is nothing.
    if result == -Int(EINVAL) && !replacing {
      result = withBytes(old) { a in
        withBytes(new) { b in systemCall(Int(SYS_renameat2), word(raw), a, word(raw), b, 0) }
      }
    }
    try checked("rename", show(new), result)
  }

  package borrowing func remove(_ name: [UInt8], directory: Bool) throws(SystemError) {
    try checked(
      directory ? "rmdir" : "unlink", show(name),
      withBytes(name) { systemCall(Int(SYS_unlinkat), word(raw), $0, directory ? UInt(AT_REMOVEDIR) : 0) })
  }

  package borrowing func changeOwner(_ name: [UInt8], user: UInt32, group: UInt32) throws(SystemError) {
    try checked(
      "chown", show(name),
      withBytes(name) {
        systemCall(Int(SYS_fchownat), word(raw), $0, UInt(user), UInt(group), UInt(AT_SYMLINK_NOFOLLOW))
      })
  }

  /// Flushes the folder's own entries to the disk (fsync(2)).
  package borrowing func sync() throws(SystemError) { try checked("fsync", "", systemCall(Int(SYS_fsync), word(raw))) }

  private func show(_ name: [UInt8]) -> String { RelativePath.root.appending(name).shown }
}

/// Calls `body` with the address of the name's NUL-terminated bytes, valid for the call only.
package func withBytes(_ name: [UInt8], _ body: (UInt) -> Int) -> Int {
  let terminated = name + [0]
  // SAFETY: the address is used by one system call inside `body`, while the closure keeps the bytes alive.
  return unsafe terminated.withUnsafeBufferPointer { body(UInt(bitPattern: $0.baseAddress)) }
}
