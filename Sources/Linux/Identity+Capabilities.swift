import CLinux

/// Capabilities of this process as 64-bit masks: bit N is capability number N (capabilities(7)).
public struct CapabilitySets: Sendable, Equatable {
  public var effective: UInt64
  public var permitted: UInt64
  public var inheritable: UInt64

  public init(effective: UInt64 = 0, permitted: UInt64 = 0, inheritable: UInt64 = 0) {
    self.effective = effective
    self.permitted = permitted
    self.inheritable = inheritable
  }

  /// This thread's sets now (capget(2), version 3).
  public static func current() throws(SystemError) -> CapabilitySets {
    var header = (UInt32(0x2008_0522), Int32(0))
    var data: [6 of UInt32] = .init(repeating: 0)
    // SAFETY: the header is version and pid, the data two structs of three UInt32, as version 3 has them.
    let result = unsafe withUnsafeMutablePointer(to: &header) { header in
      unsafe withUnsafeMutablePointer(to: &data) { data in
        systemCall(Int(SYS_capget), UInt(bitPattern: header), UInt(bitPattern: data))
      }
    }
    try checked("capget", "", result)
    return CapabilitySets(
      effective: UInt64(data[0]) | UInt64(data[3]) << 32, permitted: UInt64(data[1]) | UInt64(data[4]) << 32,
      inheritable: UInt64(data[2]) | UInt64(data[5]) << 32)
  }

  /// Makes them this thread's sets (capset(2)); EPERM when one is asked for that is not held.
  public func apply() throws(SystemError) {
    var header = (UInt32(0x2008_0522), Int32(0))
    var data: [6 of UInt32] = .init(repeating: 0)
    for (index, set) in [effective, permitted, inheritable].enumerated() {
      data[index] = UInt32(truncatingIfNeeded: set)
      data[3 + index] = UInt32(truncatingIfNeeded: set >> 32)
    }
    // SAFETY: as in `current`; the kernel reads both.
    let result = unsafe withUnsafeMutablePointer(to: &header) { header in
      unsafe withUnsafeMutablePointer(to: &data) { data in
        systemCall(Int(SYS_capset), UInt(bitPattern: header), UInt(bitPattern: data))
      }
    }
    try checked("capset", "", result)
  }
}

/// Capability numbers, the bounding and ambient sets, and securebits.
public enum Capability {
  public static let setgid: UInt64 = 1 << 6
  public static let setuid: UInt64 = 1 << 7
  public static let setpcap: UInt64 = 1 << 8
  public static let sysChroot: UInt64 = 1 << 18
  public static let sysAdmin: UInt64 = 1 << 21
  public static let sysResource: UInt64 = 1 << 24

  /// The names of linux/capability.h by number.
  public static let names = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
    "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
  ]

  /// "CAP_KILL, CAP_MKNOD" from a mask.
  public static func text(_ mask: UInt64) -> String {
    (0..<64).filter { mask & (1 << UInt64($0)) != 0 }
      .map { $0 < names.count ? names[$0] : "capability \($0)" }.joined(separator: ", ")
  }

  /// Whether a capability number is in the bounding set; nil when the kernel has no such capability.
  public static func isBounded(_ number: Int) -> Bool? {
    let result = systemCall(Int(SYS_prctl), UInt(PR_CAPBSET_READ), UInt(number))
    return result < 0 ? nil : result == 1
  }

  /// Takes every capability that `keep` lacks from the bounding set; wants CAP_SETPCAP for each that is still in it.
  public static func limitBounding(to keep: UInt64) throws(SystemError) {
    for number in 0..<64 where keep & (1 << UInt64(number)) == 0 {
      // One that is not there may be dropped like any other.
      let result = systemCall(Int(SYS_prctl), UInt(PR_CAPBSET_DROP), UInt(number))
      // A number that the kernel has no capability of (EINVAL); those above are none either.
      if result == -Int(EINVAL) { return }
      if result == -Int(EPERM), isBounded(number) == false { continue }
      try checked("prctl(PR_CAPBSET_DROP)", text(1 << UInt64(number)), result)
    }
  }

  /// Empties the ambient set and raises those of `mask`, each of which must be permitted and inheritable.
  public static func setAmbient(_ mask: UInt64) throws(SystemError) {
    try checked(
      "prctl(PR_CAP_AMBIENT_CLEAR_ALL)", "",
      systemCall(Int(SYS_prctl), UInt(PR_CAP_AMBIENT), UInt(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0))
    for number in 0..<64 where mask & (1 << UInt64(number)) != 0 {
      try checked(
        "prctl(PR_CAP_AMBIENT_RAISE)", text(1 << UInt64(number)),
        systemCall(Int(SYS_prctl), UInt(PR_CAP_AMBIENT), UInt(PR_CAP_AMBIENT_RAISE), UInt(number), 0, 0))
    }
  }

  /// Whether permitted capabilities survive leaving uid 0 (PR_SET_KEEPCAPS); exec clears it.
  public static func keepOverUserChange(_ on: Bool) throws(SystemError) {
    try checked("prctl(PR_SET_KEEPCAPS)", "", systemCall(Int(SYS_prctl), UInt(PR_SET_KEEPCAPS), on ? 1 : 0))
  }

  /// Sets the secure bits (SECBIT_*); wants CAP_SETPCAP.
  public static func setSecureBits(_ bits: UInt32) throws(SystemError) {
    try checked("prctl(PR_SET_SECUREBITS)", "", systemCall(Int(SYS_prctl), UInt(PR_SET_SECUREBITS), UInt(bits)))
  }
}
