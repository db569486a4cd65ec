import CLinux

/// Who this process is: ids, keyring, and how it may be looked at and ended. Each call is one system call and acts on this
/// thread; the runtime has one.
public enum Identity {
  /// Replaces the supplementary groups (setgroups(2)); wants CAP_SETGID in a namespace that allows it.
  public static func setGroups(_ groups: [UInt32]) throws(SystemError) {
    // SAFETY: the kernel reads `count` UInt32 from the array during the call.
    let result = unsafe groups.withUnsafeBufferPointer { buffer in
      systemCall(Int(SYS_setgroups), UInt(buffer.count), UInt(bitPattern: buffer.baseAddress))
    }
    try checked("setgroups", groups.map(String.init).joined(separator: ","), result)
  }

  /// Real, effective and saved group at once (setresgid(2)).
  public static func setGroup(_ id: UInt32) throws(SystemError) {
    try checked("setresgid", "\(id)", systemCall(Int(SYS_setresgid), UInt(id), UInt(id), UInt(id)))
  }

  /// Real, effective and saved user at once (setresuid(2)).
  public static func setUser(_ id: UInt32) throws(SystemError) {
    try checked("setresuid", "\(id)", systemCall(Int(SYS_setresuid), UInt(id), UInt(id), UInt(id)))
  }

  @discardableResult
  public static func setUmask(_ mask: UInt32) -> UInt32 { UInt32(systemCall(Int(SYS_umask), UInt(mask))) }

  /// No exec of this process or its children ever raises privileges again (PR_SET_NO_NEW_PRIVS).
  public static func forbidNewPrivileges() throws(SystemError) {
    try checked("prctl(PR_SET_NO_NEW_PRIVS)", "", systemCall(Int(SYS_prctl), UInt(PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0))
  }

  /// Whether others of the same user may trace this process and read its memory (PR_SET_DUMPABLE).
  public static func setDumpable(_ on: Bool) throws(SystemError) {
    try checked("prctl(PR_SET_DUMPABLE)", "", systemCall(Int(SYS_prctl), UInt(PR_SET_DUMPABLE), on ? 1 : 0))
  }

  /// Orphans among the descendants become this process's children (PR_SET_CHILD_SUBREAPER).
  public static func becomeSubreaper(_ on: Bool = true) throws(SystemError) {
    try checked(
      "prctl(PR_SET_CHILD_SUBREAPER)", "", systemCall(Int(SYS_prctl), UInt(PR_SET_CHILD_SUBREAPER), on ? 1 : 0))
  }

  /// The signal this process gets when its parent thread ends (PR_SET_PDEATHSIG); changing ids clears it. 0 is none.
  public static func setParentDeathSignal(_ signal: Int32) throws(SystemError) {
    try checked(
      "prctl(PR_SET_PDEATHSIG)", "\(signal)", systemCall(Int(SYS_prctl), UInt(PR_SET_PDEATHSIG), word(signal)))
  }

  /// The process's name in ps, at most 15 bytes (PR_SET_NAME).
  public static func setName(_ name: String) throws(SystemError) {
    try checked("prctl(PR_SET_NAME)", name, name.withPathAddress { systemCall(Int(SYS_prctl), UInt(PR_SET_NAME), $0) })
  }

  /// Leaves the caller's keys behind: a new anonymous session keyring (keyctl(2)). ENOSYS where the kernel has no keys.
  public static func joinNewSessionKeyring() throws(SystemError) {
    let joinSessionKeyring: UInt = 1
    try checked("keyctl(KEYCTL_JOIN_SESSION_KEYRING)", "", systemCall(Int(SYS_keyctl), joinSessionKeyring, 0))
  }

  /// Installs a filter of `struct sock_filter` words (seccomp(2)) and returns 0, or the listener where the flags ask for one.
  /// Wants no_new_privs or CAP_SYS_ADMIN (EACCES). At most 4096 instructions.
  @discardableResult
  public static func installFilter(_ instructions: [UInt64], flags: UInt32 = 0) throws(SystemError) -> Int32 {
    guard !instructions.isEmpty, instructions.count <= 4096 else {
      throw SystemError("seccomp", "filter of \(instructions.count) instructions", .invalid)
    }
    let setModeFilter: UInt = 1
    // SAFETY: sock_fprog's length and pointer describe the array, which lives across the call.
    let result = unsafe instructions.withUnsafeBufferPointer { buffer in
      var program = (UInt64(buffer.count), UInt(bitPattern: buffer.baseAddress))
      return unsafe withUnsafePointer(to: &program) { pointer in
        systemCall(Int(SYS_seccomp), setModeFilter, UInt(flags), UInt(bitPattern: pointer))
      }
    }
    return Int32(try checked("seccomp", "filter of \(instructions.count) instructions", result))
  }

  /// Whether a seccomp filter stands over this process: something around it decides about system calls. One that forbids even the
  /// question (prctl(2), PR_GET_SECCOMP) is one; a kernel without seccomp (EINVAL) has none.
  public static var hasSeccompFilter: Bool {
    let mode = systemCall(Int(SYS_prctl), UInt(PR_GET_SECCOMP))
    return mode != 0 && mode != -Int(EINVAL)
  }

  /// chroot(2) to an open directory, which becomes the working directory too.
  public static func changeRoot(to directory: Int32) throws(SystemError) {
    try checked("fchdir", "\(directory)", systemCall(Int(SYS_fchdir), word(directory)))
    try checked("chroot", "\(directory)", ".".withPathAddress { systemCall(Int(SYS_chroot), $0) })
    try checked("chdir", "/", "/".withPathAddress { systemCall(Int(SYS_chdir), $0) })
  }
}
