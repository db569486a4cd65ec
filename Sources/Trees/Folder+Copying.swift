import CLinux
package import Linux

extension Folder {
  /// Finds a name without opening or following what it is (open(2), O_PATH).
  package borrowing func find(_ name: [UInt8]) throws(SystemError) -> FileDescriptor {
    let flags = UInt(O_PATH | O_NOFOLLOW | O_CLOEXEC)
    let result = withBytes(name) { systemCall(Int(SYS_openat), word(raw), $0, flags) }
    return FileDescriptor(owning: Int32(try checked("open", RelativePath.shown(name), result)))
  }

  /// Names in the kernel's order, without "." and ".."; more than `limit` are E2BIG.
  package borrowing func names(limit: Int) throws(SystemError) -> [[UInt8]] {
    var names: [[UInt8]] = []
    while true {
      let block = try File.directoryEntries(raw)
      if block.isEmpty { return names }
      for name in File.entryNames(block) { names.append(Array(name)) }
      if names.count > limit { throw SystemError("getdents64", "", .tooBig) }
    }
  }

  /// Where a link leads that was found by O_PATH (readlinkat(2): an empty name is the descriptor's own).
  package static func readLink(_ descriptor: Int32) throws(SystemError) -> [UInt8] {
    try withDescriptor(descriptor) { folder throws(SystemError) in try folder.readLink([]) }
  }

  /// Lends a descriptor that stays its owner's.
  package static func withDescriptor<T: ~Copyable>(
    _ descriptor: Int32, _ body: (borrowing Folder) throws(SystemError) -> T
  ) throws(SystemError) -> T {
    let folder = Folder(owning: FileDescriptor(owning: descriptor))
    let result: T
    do throws(SystemError) { result = try body(folder) } catch {
      _ = folder.release()
      throw error
    }
    _ = folder.release()
    return result
  }

  /// A second name for a file beneath another folder; a link is not followed (linkat(2)).
  package borrowing func makeHardLink(
    _ name: [UInt8], to target: [UInt8], in folder: borrowing Folder
  ) throws(SystemError) {
    let from = folder.raw
    let result = withBytes(target) { a in
      withBytes(name) { b in systemCall(Int(SYS_linkat), word(from), a, word(raw), b, 0) }
    }
    try checked("link", RelativePath.shown(name), result)
  }
}
