import CLinux

/// Files that live in memory only (memfd_create(2)).
public enum MemoryFile {
  /// A memory file with `bytes` in it that nobody can change any more (all four seals), close-on-exec. `executable` asks for one
  /// that may be run also where vm.memfd_noexec says otherwise by default (MFD_EXEC, Linux 6.3; older kernels lack the flag).
  public static func sealed(
    _ name: String, _ bytes: Span<UInt8>, executable: Bool = false
  ) throws(SystemError) -> FileDescriptor {
    let file = try create(name, executable: executable)
    try File.writeAll(file.rawValue, bytes)
    let seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
    try checked(
      "fcntl(F_ADD_SEALS)", name, systemCall(Int(SYS_fcntl), word(file.rawValue), UInt(F_ADD_SEALS), word(seals)))
    return file
  }

  /// An empty memory file that can be sealed, close-on-exec.
  public static func create(_ name: String, executable: Bool = false) throws(SystemError) -> FileDescriptor {
    let flags = UInt(MFD_CLOEXEC) | UInt(MFD_ALLOW_SEALING)
    // MFD_EXEC and MFD_NOEXEC_SEAL of linux/memfd.h; the latter implies a seal that would forbid nothing else here.
    let kind: UInt = executable ? 0x10 : 0x08
    var result = name.withPathAddress { systemCall(Int(SYS_memfd_create), $0, flags | kind) }
    if result == -Int(EINVAL) { result = name.withPathAddress { systemCall(Int(SYS_memfd_create), $0, flags) } }
    return FileDescriptor(owning: Int32(try checked("memfd_create", name, result)))
  }
}
