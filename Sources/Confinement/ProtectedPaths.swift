import CLinux
import Linux
package import Walls

/// Paths of the box that are masked or may not be written (runtime-spec config-linux.md, "Masked Paths", "Readonly Paths").
package struct ProtectedPaths {
  package var masked: [String]
  package var readOnly: [String]

  package init(masked: [String], readOnly: [String]) {
    self.masked = masked
    self.readOnly = readOnly
  }

  package func apply(_ root: borrowing BoxRoot) throws(WallError) {
    try mask(root)
    for path in readOnly {
      do throws(SystemError) {
        let place = try root.find(path)
        let tree = try DetachedMount.clone("", at: place.rawValue, recursive: true)
        try tree.change(set: .readOnly, propagation: .private, recursive: true)
        try tree.attach(onto: place.rawValue)
      } catch  where error.errno == .noEntry || error.errno == .notDirectory {
      } catch {
        throw WallError("read-only path \(path)", error)
      }
    }
  }

  private func mask(_ root: borrowing BoxRoot) throws(WallError) {
    // The first empty folder; the others are clones of it.
    var empty: Int32?
    defer { if let empty { _ = FileDescriptor(owning: empty) } }
    var null: Int32?
    defer { if let null { _ = FileDescriptor(owning: null) } }
    for path in masked {
      do throws(SystemError) {
        let place = try root.find(path)
        let kind = UInt32(try File.status("", at: place.rawValue).st_mode) & UInt32(S_IFMT)
        if kind == UInt32(S_IFDIR) {
          if let first = empty {
            try DetachedMount.clone("", at: first, recursive: false).attach(onto: place.rawValue)
          } else {
            let context = try FileSystemContext("tmpfs")
            try context.set("nr_inodes", "2")
            let mount = try context.mount([.readOnly, .noSetUserID, .noDevices, .noExecute])
            try mount.attach(onto: place.rawValue)
            empty = mount.release()
          }
        } else {
          if null == nil { null = try verifiedNull(root) }
          if let null { try DetachedMount.clone("", at: null, recursive: false).attach(onto: place.rawValue) }
        }
      } catch  where error.errno == .noEntry || error.errno == .notDirectory {
      } catch {
        throw WallError("masked path \(path)", error)
      }
    }
  }

  /// The box's /dev/null, or the host's where the box has none; only if it is the null device: an image or a race might have put
  /// something else there (CVE-2025-31133).
  private func verifiedNull(_ root: borrowing BoxRoot) throws(SystemError) -> Int32 {
    let null: FileDescriptor
    do throws(SystemError) { null = try root.find("/dev/null", noSymlinks: true) } catch
      where error.errno == .noEntry || error.errno == .notDirectory
    {
      null = try File.open("/dev/null", O_PATH | O_NOFOLLOW)
    }
    let status = try File.status("", at: null.rawValue)
    guard UInt32(status.st_mode) & UInt32(S_IFMT) == UInt32(S_IFCHR), UInt64(status.st_rdev) == immure_makedev(1, 3)
    else {
      throw SystemError("open", "/dev/null: not the null device", .noDevice)
    }
    return null.release()
  }
}
