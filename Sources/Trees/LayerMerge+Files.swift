import CLinux
import Linux

/// One file, with all that it is.
extension LayerMerge {
  func copy(
    _ name: [UInt8], from source: borrowing Folder, _ layer: Int, into made: borrowing Folder, _ path: RelativePath
  ) throws(SystemError) {
    let found = try source.find(name)
    let status = try File.status("", at: found.rawValue)
    if status.st_nlink > 1 {
      let key = HardLink(layer: layer, device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
      if let first = firstNames[key] { return try link(name, in: made, to: first) }
      firstNames[key] = path
    }
    let kind = status.st_mode & UInt32(S_IFMT)
    switch kind {
    case UInt32(S_IFREG): return try copyRegular(name, source, made, path)
    case UInt32(S_IFLNK): try made.makeLink(name, to: try source.readLink(name))
    case UInt32(S_IFIFO), UInt32(S_IFSOCK): try makeNode(name, in: made, mode: status.st_mode & ~0o7000, device: 0)
    default:
      do throws(SystemError) {
        try makeNode(name, in: made, mode: status.st_mode & ~0o7000, device: UInt64(status.st_rdev))
      } catch  where error.errno == .notPermitted {
        tally.devices += 1
        firstNames = firstNames.filter { $0.value != path }
        return
      }
    }
    _ = try own(name, in: made, status)
    try setTimes(name, in: made, status)
  }

  private func copyRegular(
    _ name: [UInt8], _ source: borrowing Folder, _ made: borrowing Folder, _ path: RelativePath
  ) throws(SystemError) {
    guard let input = try readable(name, in: source) else {
      firstNames = firstNames.filter { $0.value != path }
      return
    }
    let status = try File.status("", at: input.rawValue)
    guard status.st_mode & UInt32(S_IFMT) == UInt32(S_IFREG) else {
      throw SystemError("copy", "\(path.shown): it changed meanwhile", .invalid)
    }
    let output = try made.create(name)
    try copyContents(from: input.rawValue, to: output.rawValue, size: Int64(status.st_size), path)
    // chown(2) takes set-user-id and file capabilities away: owner, mode and attributes, in this order.
    let mode = try own(name, in: made, status)
    try File.changeMode(output.rawValue, mode)
    try copyAttributes(from: input.rawValue, to: output.rawValue)
    try setTimes(name, in: made, status)
    _ = consume input
    _ = consume output
  }

  /// Nil for a file that this process may not read and that is left out.
  private func readable(_ name: [UInt8], in source: borrowing Folder) throws(SystemError) -> FileDescriptor? {
    do throws(SystemError) { return try source.open(RelativePath.root.appending(name), O_RDONLY | O_NONBLOCK) } catch {
      try leaveOut(error)
      return nil
    }
  }

  /// Holes stay holes: a file of 1 TiB may hold nothing.
  private func copyContents(from input: Int32, to output: Int32, size: Int64, _ path: RelativePath)
    throws(SystemError)
  {
    if size == 0 { return }
    guard let ranges = try File.dataRanges(input, size: size, limit: 1 << 20) else {
      throw SystemError("copy", "\(path.shown): more than a million holes", .tooBig)
    }
    for range in ranges { try count(UInt64(range.upperBound - range.lowerBound + 4095) & ~4095) }
    for range in ranges {
      try checked("lseek", path.shown, systemCall(Int(SYS_lseek), word(output), UInt(range.lowerBound), 0))
      var offset = range.lowerBound
      while offset < range.upperBound {
        let length = UInt(min(range.upperBound - offset, 1 << 30))
        // SAFETY: sendfile reads and advances the offset, which lives across the call.
        let result = unsafe withUnsafeMutablePointer(to: &offset) { pointer in
          retrying {
            systemCall(Int(SYS_sendfile), word(output), word(input), UInt(bitPattern: pointer), length)
          }
        }
        if try checked("copy", path.shown, result) == 0 { break }
      }
    }
    try File.setSize(output, UInt64(size))
  }

  // MARK: What a file is beside its contents

  /// Gives a new name the owner it has in its layer; returns the mode it may then have. An id that the box does not have leaves the
  /// file its maker's, without set-user-id and set-group-id, which would make the maker's rights the program's.
  func own(_ name: [UInt8], in made: borrowing Folder, _ status: stat) throws(SystemError) -> UInt32 {
    let mode = status.st_mode & 0o7777
    do throws(SystemError) {
      try made.changeOwner(name, user: status.st_uid, group: status.st_gid)
      return mode
    } catch  where error.errno == .invalid {
      return mode & ~0o6000
    }
  }

  func makeNode(_ name: [UInt8], in made: borrowing Folder, mode: UInt32, device: UInt64) throws(SystemError) {
    let folder = made.raw
    let result = withBytes(name) { systemCall(Int(SYS_mknodat), word(folder), $0, UInt(mode), UInt(device)) }
    try checked("mknod", RelativePath.shown(name), result)
  }

  /// Both times, of a link itself (utimensat(2)).
  func setTimes(_ name: [UInt8], in made: borrowing Folder, _ status: stat) throws(SystemError) {
    let times = (status.st_atim, status.st_mtim)
    let folder = made.raw
    // SAFETY: two timespecs in order live across the call.
    let result = unsafe withUnsafePointer(to: times) { pointer in
      let address = UInt(bitPattern: pointer)
      return withBytes(name) { systemCall(Int(SYS_utimensat), word(folder), $0, address, word(AT_SYMLINK_NOFOLLOW)) }
    }
    try checked("utimensat", RelativePath.shown(name), result)
  }

  /// The attributes that the store keeps (docs/images.md): capabilities, POSIX ACLs and the user's own, never overlayfs's marks.
  func copyAttributes(from input: Int32, to output: Int32) throws(SystemError) {
    for name in try ExtendedAttribute.names(of: input) where ExtendedAttribute.isKept(name) {
      guard let value = try ExtendedAttribute.whole(name, of: input) else { continue }
      do throws(SystemError) { try ExtendedAttribute.set(name, value, of: output) } catch
        where error.errno == .notSupported || error.errno == .notPermitted || error.errno == .invalid
      {
        tally.attributes += 1
      }
    }
  }
}
