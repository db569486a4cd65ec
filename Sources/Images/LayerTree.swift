import CLinux
import Linux

/// A private tree of a layer: names are bytes of any kind, depth is bounded by nothing but the archive's writer.
enum LayerTree {
  /// Removes a folder and all in it, also where its files belong to the caller's subordinate ids.
  static func remove(_ path: String) throws(SystemError) {
    do throws(SystemError) { try removeHere(path) } catch {
      guard error.errno == .accessDenied || error.errno == .notPermitted, Process.effectiveUser != 0 else {
        throw error
      }
      do throws(SystemError) {
        try OwnNamespace.run { () throws(SystemError) in try removeHere(path) }
      } catch { throw SystemError(error.call, path, error.errno) }
    }
  }

  /// Links are not followed; at most two descriptors are open at a time, however deep it is.
  private static func removeHere(_ path: String) throws(SystemError) {
    let top: FileDescriptor
    do throws(SystemError) {
      top = try File.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    } catch  where error.errno == .notDirectory || error.errno == .loop {
      return try File.remove(path)
    } catch  where error.errno == .noEntry {
      return
    }
    try empty(top.rawValue)
    try File.removeDirectory(path)
  }

  /// A folder on the way to the one that is being emptied.
  private struct Level {
    let name: [UInt8]
    /// Names beside it that were read and are still to be dealt with.
    let rest: [[UInt8]]
  }

  /// Of so many levels the names that were read are kept; deeper folders are read once more after each folder in them, which bounds memory.
  private static let keptLevels = 64

  /// Removes all that is in an open folder.
  static func empty(_ folder: Int32) throws(SystemError) {
    var current = try FileDescriptor.duplicate(folder)
    try rewind(current.rawValue)
    var levels: [Level] = []
    var names: [[UInt8]] = []
    while true {
      while let name = names.popLast() {
        if try removeUnlessFull(name, at: current.rawValue) { continue }
        levels.append(Level(name: name, rest: levels.count < keptLevels ? names : []))
        names = []
        current = try open(name, at: current.rawValue)
      }
      names = try rawNames(current.rawValue)
      if !names.isEmpty { continue }
      // What a read leaves out while names go away is found by another from the beginning.
      try rewind(current.rawValue)
      names = try rawNames(current.rawValue)
      if !names.isEmpty { continue }
      guard let done = levels.popLast() else { return }
      // The tree is nobody else's, so ".." is where this folder was found.
      current = try open(Array("..".utf8), at: current.rawValue)
      try removeDirectory(done.name, at: current.rawValue)
      names = done.rest
    }
  }

  private static func rewind(_ folder: Int32) throws(SystemError) {
    try checked("lseek", "", systemCall(Int(SYS_lseek), word(folder), 0, UInt(SEEK_SET)))
  }

  private static func open(_ name: [UInt8], at folder: Int32) throws(SystemError) -> FileDescriptor {
    func attempt() -> Int {
      name.withNameAddress {
        systemCall(Int(SYS_openat), word(folder), $0, word(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))
      }
    }
    var result = attempt()
    if result == -Int(EACCES) {
      // A folder whose owner may not read it (mode 0).
      _ = name.withNameAddress { systemCall(Int(SYS_fchmodat), word(folder), $0, 0o700) }
      result = attempt()
    }
    return FileDescriptor(owning: Int32(try checked("open", String(decoding: name, as: UTF8.self), result)))
  }

  /// Removes a file or an empty folder. False where it is a folder with something in it.
  private static func removeUnlessFull(_ name: [UInt8], at folder: Int32) throws(SystemError) -> Bool {
    func attempt() -> Int {
      let result = name.withNameAddress { systemCall(Int(SYS_unlinkat), word(folder), $0, 0) }
      guard result == -Int(EISDIR) || result == -Int(EPERM) else { return result }
      let inner = name.withNameAddress { systemCall(Int(SYS_unlinkat), word(folder), $0, UInt(AT_REMOVEDIR)) }
      // A file that cannot be removed (EPERM) is no folder.
      return inner == -Int(ENOTDIR) ? result : inner
    }
    var result = attempt()
    if result == -Int(EACCES) {
      // The folder itself may not be written by its owner.
      try checked("chmod", "", systemCall(Int(SYS_fchmod), word(folder), 0o700))
      result = attempt()
    }
    switch result {
    case 0, -Int(ENOENT): return true
    case -Int(ENOTEMPTY), -Int(EEXIST): return false
    default:
      try checked("unlink", String(decoding: name, as: UTF8.self), result)
      return true
    }
  }

  /// One read of a folder's names, without "." and "..", as the bytes they are (getdents64(2)).
  private static func rawNames(_ folder: Int32) throws(SystemError) -> [[UInt8]] {
    while true {
      var failure = 0
      // SAFETY: the kernel fills at most the capacity and returns how much.
      let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 32 << 10) { storage, count in
        let address = UInt(bitPattern: storage.baseAddress)
        let result = systemCall(Int(SYS_getdents64), word(folder), address, 32 << 10)
        if result < 0 { failure = result } else { count = result }
      }
      try checked("getdents64", "\(folder)", failure)
      if bytes.isEmpty { return [] }
      var names: [[UInt8]] = []
      // struct linux_dirent64: ino u64, off u64, reclen u16, type u8, then the NUL-terminated name at 19.
      var offset = 0
      while offset + 19 <= bytes.count {
        let length = Int(bytes[offset + 16]) | Int(bytes[offset + 17]) << 8
        let name = Array(bytes[(offset + 19)..<(offset + length)].prefix { $0 != 0 })
        if name != [46] && name != [46, 46] { names.append(name) }
        offset += length
      }
      if !names.isEmpty { return names }
    }
  }
}

extension [UInt8] {
  /// Calls `body` with the address of the bytes and a NUL after them, valid for the call only. The bytes hold no NUL.
  @inline(__always)
  func withNameAddress<R>(_ body: (UInt) -> R) -> R {
    let terminated = self + [0]
    // SAFETY: the address is used by one system call inside `body`, while the array is alive.
    return unsafe terminated.withUnsafeBufferPointer { body(UInt(bitPattern: $0.baseAddress)) }
  }
}
