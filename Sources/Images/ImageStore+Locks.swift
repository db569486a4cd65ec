import CLinux
import Linux

/// A lock file that is held until `end` or until this process dies, whatever kills it (flock(2)).
public struct StoreLock: ~Copyable, Sendable {
  let path: String
  let descriptor: FileDescriptor

  /// Gives it up and removes the file: only for the one who holds it alone.
  consuming func end() {
    // A file left behind is only untidy: the next holder takes it as it is.
    try? File.remove(path)
  }
}

extension ImageStore {
  /// Takes the lock of a name; nil where another holds it and `wait` is false.
  func lock(_ name: String, exclusive: Bool = true, wait: Bool = true) throws(ImageError) -> StoreLock? {
    try lock(path: locks + "/" + name, exclusive: exclusive, wait: wait)
  }

  /// The whole store's: shared while content is being added that no name leads to yet, alone while garbage is collected.
  func storeLock(exclusive: Bool, wait: Bool) throws(ImageError) -> StoreLock? {
    try lock(path: directory + "/lock", exclusive: exclusive, wait: wait)
  }

  private func lock(path: String, exclusive: Bool, wait: Bool) throws(ImageError) -> StoreLock? {
    try system("cannot lock the image store") { () throws(SystemError) -> StoreLock? in
      while true {
        let file = try File.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        guard try File.lock(file.rawValue, exclusive: exclusive, wait: wait) else { return nil }
        // The holder before may have removed the file as it ended: then the lock is on nothing.
        let own = try File.status("", at: file.rawValue)
        do throws(SystemError) {
          let there = try File.status(path, followSymlinks: false)
          if there.st_ino == own.st_ino && there.st_dev == own.st_dev {
            return StoreLock(path: path, descriptor: file)
          }
        } catch  where error.errno == .noEntry {}
      }
    }
  }

  /// The name of the lock that an entry of `incoming` stands under: what is before its first dot.
  static func lockName(of entry: String) -> String {
    String(entry.prefix { $0 != "." })
  }
}
