import CLinux

extension File {
  /// Removes a folder and everything in it, also one that hostile code made: however deep it is and whatever bytes its names
  /// have, with two folders open at a time, without following a link or crossing into a mounted file system. A folder that is not
  /// empty is moved up to the top and waits there for its turn, so that no path ever has more than two parts. Something other than
  /// a folder is unlinked.
  /// - Throws: ENOENT where there is nothing, EBUSY where a mount is in the way.
  public static func removeTree(_ path: String, at directory: Int32 = currentDirectory) throws(SystemError) {
    let top: FileDescriptor
    do throws(SystemError) {
      top = try open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: directory)
    } catch  where error.errno == .notDirectory || error.errno == .loop {
      return try remove(path, at: directory)
    }
    let removal = TreeRemoval(top: top.rawValue, device: UInt64(try status("", at: top.rawValue).st_dev))
    var rounds = 0
    while true {
      try removal.empty()
      do throws(SystemError) { return try removeDirectory(path, at: directory) } catch  where error.errno == .notEmpty {
        // Somebody made something in it since; not again and again, unless he means to.
        rounds += 1
        if rounds == 100 { throw error }
      }
    }
  }
}

extension File {
  /// `removeTree` for what an open folder holds; the folder stays.
  public static func removeContents(of folder: Int32) throws(SystemError) {
    try TreeRemoval(top: folder, device: UInt64(try status("", at: folder).st_dev)).empty()
  }
}

/// The emptying of one folder.
private struct TreeRemoval {
  let top: Int32
  let device: UInt64

  func empty() throws(SystemError) {
    var counter: UInt64 = 0
    while true {
      let names = try NameBytes.all(in: top)
      if names.isEmpty { return }
      for name in names {
        if try removeLeaf(name, in: top) { continue }
        do throws(SystemError) { try hoist(name, &counter) } catch  where error.errno == .noEntry {
          // Another command removes the same tree.
          continue
        }
        // Not empty: somebody made something in it since. It is met again in the next round.
        _ = try removeLeaf(name, in: top)
      }
    }
  }

  /// True when the name is gone: a file, or an empty folder.
  private func removeLeaf(_ name: NameBytes, in folder: Int32) throws(SystemError) -> Bool {
    let file = name.unlink(in: folder, isDirectory: false)
    if file == 0 || file == -Int(ENOENT) { return true }
    // unlink(2) of a folder is EISDIR, or EPERM as POSIX has it.
    guard file == -Int(EISDIR) || file == -Int(EPERM) else {
      throw SystemError("unlink", name.text, Errno(rawValue: Int32(-file)))
    }
    let inner = name.unlink(in: folder, isDirectory: true)
    if inner == 0 || inner == -Int(ENOENT) { return true }
    if inner == -Int(ENOTEMPTY) || inner == -Int(EEXIST) { return false }
    throw SystemError("rmdir", name.text, Errno(rawValue: Int32(-inner)))
  }

  /// Empties one folder at the top: what can be removed is, the rest becomes further folders at the top.
  private func hoist(_ name: NameBytes, _ counter: inout UInt64) throws(SystemError) {
    try own(name, in: top)
    let folder = try name.openFolder(in: top)
    if UInt64(try File.status("", at: folder.rawValue).st_dev) != device {
      throw SystemError("rmdir", name.text, .busy)
    }
    for inner in try NameBytes.all(in: folder.rawValue) where try !removeLeaf(inner, in: folder.rawValue) {
      // Moving a folder rewrites its "..": that wants permission to write in it.
      try own(inner, in: folder.rawValue)
      while true {
        counter += 1
        let noReplace: UInt = 1
        let moved = inner.withAddress { old in
          ".removing.\(counter)".withPathAddress { new in
            systemCall(Int(SYS_renameat2), word(folder.rawValue), old, word(top), new, noReplace)
          }
        }
        if moved == -Int(EEXIST) || moved == -Int(ENOTEMPTY) { continue }
        try checked("rename", inner.text, moved)
        break
      }
    }
  }

  /// An unprivileged owner may have taken his own permission away.
  private func own(_ name: NameBytes, in folder: Int32) throws(SystemError) {
    if Process.effectiveUser == 0 { return }
    try checked("chmod", name.text, name.withAddress { systemCall(Int(SYS_fchmodat), word(folder), $0, 0o700) })
  }
}

/// A name as the kernel has it: any bytes but "/" and NUL.
private struct NameBytes {
  /// NUL-terminated.
  let bytes: [UInt8]
  var text: String { String(decoding: bytes.dropLast(), as: UTF8.self) }

  func withAddress(_ body: (UInt) -> Int) -> Int {
    // SAFETY: the address is used by one system call inside `body`, while the closure keeps the bytes alive.
    unsafe bytes.withUnsafeBufferPointer { body(UInt(bitPattern: $0.baseAddress)) }
  }

  func unlink(in folder: Int32, isDirectory: Bool) -> Int {
    withAddress { systemCall(Int(SYS_unlinkat), word(folder), $0, isDirectory ? UInt(AT_REMOVEDIR) : 0) }
  }

  func openFolder(in folder: Int32) throws(SystemError) -> FileDescriptor {
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    let result = withAddress { systemCall(Int(SYS_openat), word(folder), $0, word(flags)) }
    return FileDescriptor(owning: Int32(try checked("open", text, result)))
  }

  /// Every name in an open folder, without "." and ".."; read from the start each time.
  static func all(in folder: Int32) throws(SystemError) -> [NameBytes] {
    var names: [NameBytes] = []
    try checked("lseek", "\(folder)", systemCall(Int(SYS_lseek), word(folder), 0, 0))
    while true {
      let block = try File.directoryEntries(folder)
      if block.isEmpty { return names }
      for name in File.entryNames(block) { names.append(NameBytes(bytes: Array(name) + [0])) }
    }
  }
}
