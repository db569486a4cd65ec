import CLinux
import Linux

/// Removes a tree that hostile code made: however deep it is, with one open folder at a time. A folder that is not empty is
/// moved up to the top and waits there for its turn, so that no path ever has more than two parts.
enum TreeRemoval {
  static func remove(_ path: String) throws(SystemError) {
    let top: Folder
    do throws(SystemError) {
      top = Folder(owning: try File.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
    } catch {
      if error.errno == .noEntry { return }
      throw error
    }
    try empty(top)
    try File.removeDirectory(path)
  }

  /// Removes everything in a folder.
  static func empty(_ top: borrowing Folder) throws(SystemError) {
    let device = try top.status().device
    var counter: UInt64 = 0
    while true {
      let names = try top.names()
      if names.isEmpty { return }
      for name in names {
        if try removeLeaf(name, in: top) { continue }
        try hoist(name, to: top, device: device, &counter)
        try top.remove(name, directory: true)
      }
    }
  }

  /// True when the name is gone: a file, or an empty folder.
  private static func removeLeaf(_ name: [UInt8], in folder: borrowing Folder) throws(SystemError) -> Bool {
    guard let status = try folder.status(name) else { return true }
    do throws(SystemError) {
      try folder.remove(name, directory: status.isDirectory)
      return true
    } catch {
      if error.errno == .noEntry { return true }
      if status.isDirectory && (error.errno == .notEmpty || error.errno == .exists) { return false }
      throw error
    }
  }

  /// Empties one folder at the top: what can be removed is, the rest becomes further folders at the top.
  private static func hoist(
    _ name: [UInt8], to top: borrowing Folder, device: UInt64, _ counter: inout UInt64
  ) throws(SystemError) {
    // Its owner may have taken his own permission away.
    if Process.effectiveUser != 0 {
      try checked("chmod", "", withBytes(name) { systemCall(Int(SYS_fchmodat), word(top.raw), $0, 0o700) })
    }
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    let result = withBytes(name) { systemCall(Int(SYS_openat), word(top.raw), $0, word(flags)) }
    let folder = Folder(owning: FileDescriptor(owning: Int32(try checked("open", "", result))))
    if try folder.status().device != device { throw SystemError("rmdir", "a mount is in the way", .busy) }
    for inner in try folder.names() where try !removeLeaf(inner, in: folder) {
      while true {
        counter += 1
        let free = Array(".removing.\(counter)".utf8)
        if try top.status(free) != nil { continue }
        if Process.effectiveUser != 0 {
          // Moving a folder rewrites its "..": that wants permission to write in it.
          try checked("chmod", "", withBytes(inner) { systemCall(Int(SYS_fchmodat), word(folder.raw), $0, 0o700) })
        }
        let moved = withBytes(inner) { a in
          withBytes(free) { b in systemCall(Int(SYS_renameat2), word(folder.raw), a, word(top.raw), b, 0) }
        }
        try checked("rename", "", moved)
        break
      }
    }
  }
}
