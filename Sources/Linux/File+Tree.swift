import CLinux

extension File {
  /// Removes a folder and everything in it without following a link out of it or crossing into a mounted file system.
  public static func removeTree(_ path: String, at directory: Int32 = currentDirectory) throws(SystemError) {
    let folder: FileDescriptor
    do throws(SystemError) {
      folder = try open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: directory)
    } catch where error.errno == .notDirectory || error.errno == .loop {
      return try remove(path, at: directory)
    }
    try removeContents(folder.rawValue, device: try status("", at: folder.rawValue).st_dev)
    try removeDirectory(path, at: directory)
  }

  private static func removeContents(_ folder: Int32, device: UInt) throws(SystemError) {
    for name in try names(folder) {
      do throws(SystemError) {
        try remove(name, at: folder)
        continue
      } catch where error.errno == .noEntry {
        continue
      } catch where error.errno == .isDirectory || error.errno == .notPermitted {}
      let inner = try open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: folder)
      guard try status("", at: inner.rawValue).st_dev == device else { throw SystemError("rmdir", name, .busy) }
      try removeContents(inner.rawValue, device: device)
      try removeDirectory(name, at: folder)
    }
  }
}
