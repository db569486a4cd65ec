import CLinux
package import Linux

/// The box's root while it is being built, known by a descriptor: every path below it is resolved by the kernel within it, as
/// the box itself would see it, and no magic link is followed (openat2(2), RESOLVE_IN_ROOT).
package struct BoxRoot: ~Copyable {
  package let mount: DetachedMount
  package var descriptor: Int32 { mount.descriptor.rawValue }

  package enum Kind { case directory, file }

  /// Opens a path for mounting or looking at. A link at the end is followed within the root.
  package borrowing func find(_ path: String, noSymlinks: Bool = false) throws(SystemError) -> FileDescriptor {
    try File.open(
      path, O_PATH, at: descriptor,
      resolve: noSymlinks ? [.inRoot, .noMagicLinks, .noSymlinks] : [.inRoot, .noMagicLinks])
  }

  /// Opens a path, making what is missing of it. With `noSymlinks` a link anywhere on the way is ELOOP: for the kernel's own
  /// file systems, which an image must not be able to send elsewhere.
  package borrowing func make(_ path: String, _ kind: Kind, noSymlinks: Bool = false) throws(SystemError)
    -> FileDescriptor
  {
    do throws(SystemError) {
      return try find(path, noSymlinks: noSymlinks)
    } catch  where error.errno == .noEntry {}
    guard let parent = File.parent(of: path) else { throw SystemError("open", path, .noEntry) }
    let folder = try make(parent, .directory, noSymlinks: noSymlinks)
    let name = String(path.split(separator: "/").last ?? "")
    if name.isEmpty || name == "." || name == ".." { throw SystemError("mkdir", path, .invalid) }
    switch kind {
    case .directory: try File.makeDirectory(name, mode: 0o755, at: folder.rawValue)
    case .file: _ = try File.open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644, at: folder.rawValue)
    }
    return try File.open(name, O_PATH | O_NOFOLLOW, at: folder.rawValue)
  }
}
