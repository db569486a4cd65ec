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

extension File {
  /// Whether this process may write there by its real ids (faccessat(2)); false too on a read-only file system.
  public static func isWritable(_ path: String, at directory: Int32 = currentDirectory) -> Bool {
    path.withPathAddress { systemCall(Int(SYS_faccessat), word(directory), $0, UInt(W_OK)) } == 0
  }

  /// The disk that a block device number belongs to: itself, or for a partition the whole disk (/sys/dev/block).
  public static func wholeDisk(major: UInt32, minor: UInt32) -> (major: UInt32, minor: UInt32)? {
    let entry = "/sys/dev/block/\(major):\(minor)"
    guard exists(entry) else { return nil }
    guard exists(entry + "/partition") else { return (major, minor) }
    guard let text = try? text(entry + "/../dev") else { return nil }
    let numbers = text.split(whereSeparator: { $0 == ":" || $0 == "\n" }).compactMap { UInt32($0) }
    return numbers.count == 2 ? (numbers[0], numbers[1]) : nil
  }
}
