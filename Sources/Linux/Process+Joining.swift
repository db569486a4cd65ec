import CLinux

extension Process {
  /// A pidfd of a process, dead or alive, that is a child of this one, so that its pid is no other's (pidfd_open(2)).
  public static func open(pid: Int32) throws(SystemError) -> FileDescriptor? {
    let result = systemCall(Int(IMMURE_SYS_pidfd_open), word(pid), 0)
    if result == -Int(ESRCH) { return nil }
    return FileDescriptor(owning: Int32(try checked("pidfd_open", "\(pid)", result)))
  }

  /// Overwrites the arguments and the environment that the kernel shows in /proc/PID/cmdline and environ: before a process of
  /// immure's own image enters a box. They are gone for this process too.
  public static func wipeArguments() {
    unsafe wipe(immure_argv())
    unsafe wipe(immure_environ())
  }

  private static func wipe(_ vector: UnsafePointer<UnsafeMutablePointer<CChar>?>?) {
    guard var cursor = unsafe vector else { return }
    // SAFETY: the kernel's vectors end with a null pointer; each string is NUL-terminated, writable and ours.
    while let entry = unsafe cursor.pointee {
      unsafe memset(entry, 0, strlen(entry))
      unsafe cursor += 1
    }
  }
}

extension Child {
  /// Gives the pidfd up; the child is still to be waited for by its pid.
  public consuming func takeDescriptor() -> FileDescriptor { descriptor }
}
