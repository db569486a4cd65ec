import CLinux
package import Linux

/// An overlay of layers known by descriptors (Documentation/filesystems/overlayfs.rst).
package struct OverlayMount {
  /// The topmost first; each the root of a mount, attached or not.
  package var lower: [Int32]
  /// Folders on one mount.
  package var upper: Int32?
  package var work: Int32?
  /// Attributes in user.overlay.*, for a mount made in a user namespace (Linux 5.11).
  package var userAttributes: Bool
  package var attributes: MountAttributes = []
  /// Further options, such as "volatile".
  package var options: [String] = []

  /// The kernel copies layers only from mounts of the caller's own namespace (before Linux 6.15 all of them, since CVE-2025-38499
  /// those that another user namespace made): a layer is attached first over a folder of the old root, which goes away with
  /// everything on it, and which nothing is looked up in any more.
  package static func stage(_ mount: Int32) throws(SystemError) {
    var result = -Int(ENOENT)
    for folder in ["/usr", "/etc", "/bin", "/sys"] where result == -Int(ENOENT) {
      result = folder.withPathAddress { folder in
        "".withPathAddress { empty in
          systemCall(Int(IMMURE_SYS_move_mount), word(mount), empty, word(File.currentDirectory), folder, 0x04)
        }
      }
    }
    // Attached already (EINVAL): the same tree serves twice.
    if result != -Int(EINVAL) { try checked("move_mount", "/usr", result) }
  }

  /// A tree read-only and without its sockets, which refuse through an overlay: it lends files only. `none` is an empty folder, for an
  /// overlay wants an upper layer or a second lower one. Nil, and why, where the kernel makes no overlay of that file system (a third
  /// one on top of two, or a remote one).
  static func withoutSockets(
    _ tree: Int32, none: Int32, userAttributes: Bool, refusal: inout SystemError?
  ) throws(SystemError) -> DetachedMount? {
    do throws(SystemError) {
      return try OverlayMount(
        lower: [tree, none], userAttributes: userAttributes, attributes: [.readOnly, .noSetUserID, .noDevices]
      ).make()
    } catch  where isRefused(error) {
      refusal = error
      return nil
    }
  }

  /// Whether the kernel has no overlay of these file systems, for this caller: no module (ENODEV), a stack of three, a remote or
  /// case-folding layer or more than 500 of them (EINVAL), a kernel or security module that keeps overlays from user namespaces
  /// (EPERM, EACCES), a layer that cannot be one (EOPNOTSUPP, ELOOP).
  static func isRefused(_ error: SystemError) -> Bool {
    if !error.subject.hasPrefix("overlay") { return false }
    return switch error.errno {
    case .noDevice, .invalid, .notPermitted, .accessDenied, .notSupported, .loop: true
    default: false
    }
  }

  /// A configuration's own, of trees that are open.
  package static func make(
    _ layers: MountPlan.Layers, _ options: MountOptions, _ trees: HostTrees, _ identity: BoxIdentity
  ) throws(SystemError) -> DetachedMount {
    var overlay = OverlayMount(
      lower: layers.lower.map { trees.descriptors[$0] }, userAttributes: identity.map != nil,
      attributes: options.attributes, options: options.data.filter { $0 != "userxattr" })
    guard let scratch = layers.scratch else { return try overlay.make() }
    let folder = trees.descriptors[scratch]
    let upperFolder = try File.open(layers.upper, O_PATH | O_DIRECTORY | O_NOFOLLOW, at: folder)
    let workFolder = try File.open(layers.work, O_PATH | O_DIRECTORY | O_NOFOLLOW, at: folder)
    overlay.upper = upperFolder.rawValue
    overlay.work = workFolder.rawValue
    let mount = try overlay.make()
    _ = consume upperFolder
    _ = consume workFolder
    return mount
  }

  /// Mounts it, with the layers as descriptors (Linux 6.13), else by their names under /proc/self/fd.
  package func make() throws(SystemError) -> DetachedMount {
    do throws(SystemError) {
      return try make(byDescriptor: true)
    } catch  where OverlayMount.wantsNames(error) {
      return try make(byDescriptor: false)
    }
  }

  /// What a kernel says to a layer's descriptor that knows names only: EINVAL where overlayfs takes words, EBADF where fsconfig(2) takes no
  /// descriptor of O_PATH (up to Linux 6.14), EOPNOTSUPP where overlayfs knows nothing of fsconfig(2) yet (up to 6.4, fs/fsopen.c).
  private static func wantsNames(_ error: SystemError) -> Bool {
    guard error.subject.hasSuffix("(descriptor)") else { return false }
    return error.errno == .invalid || error.errno == .badDescriptor || error.errno == .notSupported
  }

  private func make(byDescriptor: Bool) throws(SystemError) -> DetachedMount {
    let context = try FileSystemContext("overlay")
    if userAttributes { try context.set("userxattr") }
    if byDescriptor {
      for layer in lower { try context.set("lowerdir+", descriptor: layer) }
      if let upper, let work {
        try context.set("upperdir", descriptor: upper)
        try context.set("workdir", descriptor: work)
      }
    } else {
      try context.set("lowerdir", lower.map { "/proc/self/fd/\($0)" }.joined(separator: ":"))
      if let upper, let work {
        try context.set("upperdir", "/proc/self/fd/\(upper)")
        try context.set("workdir", "/proc/self/fd/\(work)")
      }
    }
    for option in options {
      let parts = option.split(separator: "=", maxSplits: 1)
      if parts.count == 2 { try context.set(String(parts[0]), String(parts[1])) } else { try context.set(option) }
    }
    return try context.mount(attributes)
  }
}
