import CLinux

/// This command's own executable file, as others can open it while a process of this image stands in a box: /proc/PID/exe leads to
/// the file itself, whoever looks (CVE-2019-5736).
public enum OwnImage {
  /// Whether nobody could ever write the file that this process runs from: it is sealed memory, or stands on a mount that is
  /// read-only, which a file opened through /proc/PID/exe stays on.
  public static let isProtected: Bool = {
    guard let file = try? File.open("/proc/self/exe", O_RDONLY) else { return false }
    let seals = systemCall(Int(SYS_fcntl), word(file.rawValue), UInt(F_GET_SEALS))
    if seals > 0 && seals & Int(F_SEAL_WRITE) != 0 { return true }
    return (try? File.isOnReadOnlyMount(file.rawValue)) ?? false
  }()

  /// Runs this command anew with the same arguments and environment from an image that nobody can write: a read-only clone of the
  /// file's mount that is attached nowhere, or where mounts are refused a sealed copy in memory. Returns only when it fails, or when
  /// the image is protected already.
  public static func protect() throws(SystemError) {
    if isProtected { return }
    let arguments = Process.arguments
    let environment = Process.environment
    let file = try File.open("/proc/self/exe", O_PATH)
    if let mount = try? DetachedMount.clone("", at: file.rawValue, recursive: false),
      (try? mount.change(set: .readOnly)) != nil
    {
      throw Process.execute(
        descriptor: mount.descriptor.rawValue, "", arguments: arguments, environment: environment)
    }
    let bytes = try File.contents("/proc/self/exe", limit: 512 << 20)
    let copy = try MemoryFile.sealed("immure", bytes.span, executable: true)
    throw Process.execute(descriptor: copy.rawValue, "", arguments: arguments, environment: environment)
  }
}

extension File {
  /// Whether the mount that an open file was reached through is read-only (fstatfs(2), ST_RDONLY).
  public static func isOnReadOnlyMount(_ descriptor: Int32) throws(SystemError) -> Bool {
    var status = statfs()
    // SAFETY: the kernel fills the struct, whose layout is glibc's on this architecture.
    let result = unsafe withUnsafeMutablePointer(to: &status) { pointer in
      systemCall(Int(SYS_fstatfs), word(descriptor), UInt(bitPattern: pointer))
    }
    try checked("fstatfs", "\(descriptor)", result)
    return status.f_flags & 1 != 0
  }
}
