import CLinux

extension DetachedMount {
  /// EROFS_SUPER_MAGIC_V1 (linux/magic.h): what fstatfs(2) says of a file on such a mount.
  public static let erofsKind = 0xe0f5_e1e2

  /// An EROFS image, read-only and without device nodes: `image` with its superblock, then the devices of its table in order, all
  /// regular files (Linux 6.12) or all block devices (Documentation/filesystems/erofs.rst).
  ///
  /// The files are named to the kernel as /proc/self/fd/N: what was opened and looked at is what is mounted, and a box that sees the
  /// mount's source in its mountinfo reads a number. They may be closed afterwards.
  /// - Parameter directIO: reads the files past the page cache, so that what is read is cached once (Linux 6.13; files only).
  public static func erofs(_ image: Int32, devices: [Int32] = [], directIO: Bool = false) throws(SystemError)
    -> DetachedMount
  {
    let context = try FileSystemContext("erofs")
    try context.set("source", "/proc/self/fd/\(image)")
    for device in devices { try context.set("device", "/proc/self/fd/\(device)") }
    if directIO { try context.set("directio") }
    // A read-only device is opened for writing otherwise, and refused.
    try context.set("ro")
    return try context.mount([.readOnly, .noDevices])
  }
}

extension Mount {
  /// Sets options of a mounted file system, as mount(8)'s `remount`: what is not named goes back to the default (fspick(2)).
  public static func reconfigure(_ mount: Int32, type: String, _ options: [String]) throws(SystemError) {
    let closeOnExec: UInt = 1
    let emptyPath: UInt = 8
    let result = "".withPathAddress {
      systemCall(Int(IMMURE_SYS_fspick), word(mount), $0, closeOnExec | emptyPath)
    }
    let context = FileSystemContext(
      owning: FileDescriptor(owning: Int32(try checked("fspick", type, result))), type: type)
    for option in options { try context.set(option) }
    let reconfigure: UInt = 7
    try checked(
      "remount", type, systemCall(Int(IMMURE_SYS_fsconfig), word(context.descriptor.rawValue), reconfigure, 0, 0, 0))
  }
}
