import CLinux
package import Linux

/// The contents of a folder of the box put into a new file system that is to cover it ("tmpcopyup"): folders, files, links with their
/// owners and modes. Everything is opened by name below an open folder and no link is followed, so the image's links lead nowhere.
package enum TreeCopy {
  private static let deepest = 128

  package static func copy(from source: Int32, to target: Int32, depth: Int = 0) throws(SystemError) {
    if depth > deepest { throw SystemError("tmpcopyup", "deeper than \(deepest) folders", .loop) }
    let folder = try File.open(".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: source)
    for name in try File.names(folder.rawValue) {
      let status = try File.status(name, at: folder.rawValue, followSymlinks: false)
      let mode = UInt32(status.st_mode)
      switch mode & UInt32(S_IFMT) {
      case UInt32(S_IFDIR):
        try File.makeDirectory(name, mode: mode & 0o7777, at: target)
        let from = try File.open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW, at: folder.rawValue)
        let to = try File.open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW, at: target)
        try copy(from: from.rawValue, to: to.rawValue, depth: depth + 1)
      case UInt32(S_IFREG):
        let from = try File.open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, at: folder.rawValue)
        let to = try File.open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode & 0o7777, at: target)
        while true {
          let bytes = try File.read(from.rawValue, atMost: 1 << 16)
          if bytes.isEmpty { break }
          try File.writeAll(to.rawValue, bytes)
        }
      case UInt32(S_IFLNK):
        try File.symlink(try File.readLink(name, at: folder.rawValue), at: name, in: target)
      default:
        // A device, socket or pipe of the image: what it would stand for is not in a new file system.
        continue
      }
      try File.changeOwner(name, user: status.st_uid, group: status.st_gid, at: target)
    }
  }
}
