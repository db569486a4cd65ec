import CLinux
package import Linux

/// The box's root while it is being built, known by a descriptor: every path below it is resolved by the kernel within it, as
/// the box itself would see it, and no magic link is followed (openat2(2), RESOLVE_IN_ROOT).
package struct BoxRoot: ~Copyable {
  package let mount: DetachedMount
  /// Whose the missing places become that are made, where the file system does not know the builder (an idmapped mount answers EOVERFLOW).
  package var owner: UInt32?
  package var descriptor: Int32 { mount.descriptor.rawValue }

  package init(mount: consuming DetachedMount) { self.mount = mount }

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
    do throws(SystemError) {
      try Self.make(name, kind, in: folder.rawValue)
    } catch  where error.errno == .overflow {
      guard let owner else { throw error }
      try Identity.asFileOwner(owner) { () throws(SystemError) in try Self.make(name, kind, in: folder.rawValue) }
    }
    return try File.open(name, O_PATH | O_NOFOLLOW, at: folder.rawValue)
  }
  private static func make(_ name: String, _ kind: Kind, in folder: Int32) throws(SystemError) {
    switch kind {
    case .directory: try File.makeDirectory(name, mode: 0o755, at: folder)
    case .file: _ = try File.open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644, at: folder)
    }
  }
}

extension Identity {
  /// Runs `body` with the user's rights and ids towards files, and comes back (setfsuid(2), which tells no failure; the capabilities over
  /// files go and return with the id, capabilities(7)).
  fileprivate static func asFileOwner(_ user: UInt32, _ body: () throws(SystemError) -> Void) throws(SystemError) {
    let own = (user: Process.effectiveUser, group: Process.effectiveGroup)
    _ = systemCall(Int(SYS_setfsgid), UInt(user))
    _ = systemCall(Int(SYS_setfsuid), UInt(user))
    defer {
      _ = systemCall(Int(SYS_setfsuid), UInt(own.user))
      _ = systemCall(Int(SYS_setfsgid), UInt(own.group))
    }
    try body()
  }
}
