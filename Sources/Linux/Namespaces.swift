import CLinux

/// Namespaces of this process (namespaces(7)).
public enum Namespaces {
  public static let user = UInt64(UInt32(bitPattern: CLONE_NEWUSER))
  public static let mount = UInt64(UInt32(bitPattern: CLONE_NEWNS))
  public static let pid = UInt64(UInt32(bitPattern: CLONE_NEWPID))
  public static let network = UInt64(UInt32(bitPattern: CLONE_NEWNET))
  public static let ipc = UInt64(UInt32(bitPattern: CLONE_NEWIPC))
  public static let uts = UInt64(UInt32(bitPattern: CLONE_NEWUTS))
  public static let cgroup = UInt64(UInt32(bitPattern: CLONE_NEWCGROUP))
  public static let time = IMMURE_CLONE_NEWTIME

  /// Leaves namespaces for new ones (unshare(2)).
  public static func unshare(_ flags: UInt64) throws(SystemError) {
    try checked("unshare", "0x" + String(flags, radix: 16), systemCall(Int(SYS_unshare), UInt(flags)))
  }

  /// Joins another process's namespaces of these kinds, all or none (setns(2) with a pidfd, Linux 5.8).
  public static func join(_ flags: UInt64, of process: Int32) throws(SystemError) {
    try checked("setns", "0x" + String(flags, radix: 16), systemCall(Int(SYS_setns), word(process), UInt(flags)))
  }

  /// The host name of this UTS namespace (sethostname(2)).
  public static func setHostName(_ name: String) throws(SystemError) {
    try checked(
      "sethostname", name, name.withPathAddress { systemCall(Int(SYS_sethostname), $0, UInt(name.utf8.count)) })
  }

  /// The NIS domain name of this UTS namespace (setdomainname(2)).
  public static func setDomainName(_ name: String) throws(SystemError) {
    try checked(
      "setdomainname", name, name.withPathAddress { systemCall(Int(SYS_setdomainname), $0, UInt(name.utf8.count)) })
  }

  /// Sets the loopback device of this network namespace up (netdevice(7), SIOCSIFFLAGS).
  public static func raiseLoopback() throws(SystemError) {
    let socket = FileDescriptor(
      owning: Int32(
        try checked("socket", "AF_INET", systemCall(Int(SYS_socket), UInt(AF_INET), 2 | UInt(O_CLOEXEC), 0))))
    // struct ifreq: a name of 16 bytes, then the flags in 16 bits; 40 bytes in all.
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<2, with: [108, 111])
    let up: UInt8 = 0x01
    request[16] = up
    let setFlags: UInt = 0x8914
    // SAFETY: the kernel reads one ifreq of 40 bytes.
    let result = unsafe request.withUnsafeBufferPointer {
      systemCall(Int(SYS_ioctl), word(socket.rawValue), setFlags, UInt(bitPattern: $0.baseAddress))
    }
    try checked("ioctl(SIOCSIFFLAGS)", "lo", result)
  }
}
