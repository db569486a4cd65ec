import CLinux

/// Namespaces that files stand for: /proc/PID/ns/KIND, or one of them bind-mounted anywhere (namespaces(7)).
extension Namespaces {
  /// Opens a namespace's file for joining, and checks that it is one of that kind (CLONE_NEW*): a path may name anything, and what is
  /// there may change between a look and an open.
  public static func open(_ path: String, kind: UInt64) throws(SystemError) -> FileDescriptor {
    let file = try File.open(path, O_RDONLY)
    let namespaceFileSystem = 0x6e73_6673
    guard try File.fileSystemKind(file.rawValue) == namespaceFileSystem else {
      throw SystemError("open", "\(path): not a namespace", .invalid)
    }
    // ioctl_ns(2), NS_GET_NSTYPE.
    let getKind: UInt = 0xb703
    let found = try checked("ioctl(NS_GET_NSTYPE)", path, systemCall(Int(SYS_ioctl), word(file.rawValue), getKind))
    guard UInt64(found) == kind else { throw SystemError("open", "\(path): a namespace of another kind", .invalid) }
    return file
  }

  /// Joins the namespace that a descriptor stands for; its kind must be that one (setns(2)).
  public static func join(descriptor: Int32, kind: UInt64) throws(SystemError) {
    try checked(
      "setns", "0x" + String(kind, radix: 16), systemCall(Int(SYS_setns), word(descriptor), UInt(kind)))
  }
}
