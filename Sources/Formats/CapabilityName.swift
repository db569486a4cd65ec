/// The kernel's capabilities by number and name: include/uapi/linux/capability.h, 0 to 40 (capabilities(7)).
public enum CapabilityName {
  /// The name at index N is capability number N's.
  public static let all = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
    "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
  ]

  /// Every capability that has a name here.
  public static let everyMask: UInt64 = (1 << 41) - 1

  /// What Docker and podman give by default: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap,
  /// net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap (moby, daemon/pkg/oci/caps/defaults.go).
  public static let dockerDefaultMask: UInt64 = 0xA804_25FB

  /// The number of "CAP_NET_ADMIN", "net_admin" or any mixture of cases; nil for no capability.
  public static func number(_ name: String) -> Int? {
    var upper = name.uppercased()
    if !upper.hasPrefix("CAP_") { upper = "CAP_" + upper }
    return all.firstIndex(of: upper)
  }

  /// "CAP_NET_ADMIN" for 12; nil beyond the last one known.
  public static func name(_ number: Int) -> String? { all.indices.contains(number) ? all[number] : nil }

  /// The names in a mask, by rising number; bits beyond the last one known are left out.
  public static func names(in mask: UInt64) -> [String] {
    all.indices.filter { mask & (1 << UInt64($0)) != 0 }.map { all[$0] }
  }
}
