import CLinux

/// A small file that is replaced again and again, each time by the one before the last: making and removing files costs more than all
/// else in it where the file system looks for a free inode past those that were removed in the last seconds (ext4,
/// `recently_deleted`), and ext4 writes to the disk inside a rename over a file (ext4(5), auto_da_alloc).
extension File {
  /// Replaces `name` in `directory` so that whoever reads it by `exchangedContents` has the old bytes or the new ones, also after kill -9.
  /// The old file stays as `.NAME.spare`, to be written the next time. Either may be empty after a power failure.
  public static func exchange(_ name: String, _ bytes: [UInt8], mode: UInt32 = 0o600, at directory: Int32)
    throws(SystemError)
  {
    let spare = ".\(name).spare"
    let file = try open(spare, O_WRONLY | O_CREAT | O_NOFOLLOW, mode: mode, at: directory)
    guard try isOwn(file.rawValue, spare, at: directory) else {
      return try replaceAtomically(name, bytes, mode: mode, at: directory)
    }
    do throws(SystemError) {
      try writeAll(file.rawValue, bytes)
      // Not emptied before: ext4 would write to the disk when it is closed, as after a rename.
      try checked("ftruncate", name, systemCall(Int(SYS_ftruncate), word(file.rawValue), UInt(bytes.count)))
    } catch {
      throw SystemError(error.call, name, error.errno)
    }
    let renameExchange: UInt32 = 2  // linux/fs.h
    do throws(SystemError) {
      try rename(spare, to: name, from: directory, into: directory, flags: renameExchange)
    } catch  where error.errno == .noEntry || error.errno == .invalid {
      // The first one, or a file system that exchanges nothing.
      try rename(spare, to: name, from: directory, into: directory)
    }
    // Locked until the names have changed: who took it now would write what everybody reads.
    _ = consume file
  }

  /// The bytes of a file that `exchange` replaces.
  public static func exchangedContents(_ path: String) throws(SystemError) -> [UInt8] {
    let file = try open(path, O_RDONLY)
    do throws(SystemError) {
      // It may be the spare one by now, and be written.
      _ = try lock(file.rawValue, exclusive: false)
      return try readAll(file.rawValue)
    } catch {
      throw SystemError("read", path, error.errno)
    }
  }

  /// Takes the spare file, which a reader that came late may still have, or another writer.
  private static func isOwn(_ file: Int32, _ spare: String, at directory: Int32) throws(SystemError) -> Bool {
    guard try lock(file, wait: false) else { return false }
    let own = try status("", at: file)
    let named: stat
    do throws(SystemError) { named = try status(spare, at: directory, followSymlinks: false) } catch
      where error.errno == .noEntry
    { return false }
    return own.st_ino == named.st_ino && own.st_dev == named.st_dev
  }
}
