import CLinux

extension File {
  /// mknodat(2): `mode` holds the kind (S_IFCHR, S_IFBLK, S_IFIFO, S_IFREG) and the permissions, which the umask cuts.
  public static func makeNode(
    _ path: String, mode: UInt32, device: UInt64, at directory: Int32 = currentDirectory
  ) throws(SystemError) {
    try checked(
      "mknod", path,
      path.withPathAddress { systemCall(Int(SYS_mknodat), word(directory), $0, UInt(mode), UInt(device)) })
  }

  /// The kind of file system that a descriptor's file is on (fstatfs(2), linux/magic.h).
  public static func fileSystemKind(_ descriptor: Int32) throws(SystemError) -> Int {
    var status = statfs()
    // SAFETY: the kernel fills the struct, whose layout is glibc's on this architecture.
    let result = unsafe withUnsafeMutablePointer(to: &status) { pointer in
      systemCall(Int(SYS_fstatfs), word(descriptor), UInt(bitPattern: pointer))
    }
    try checked("fstatfs", "\(descriptor)", result)
    return Int(status.f_type)
  }
}
