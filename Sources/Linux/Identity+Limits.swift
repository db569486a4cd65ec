public import CLinux

/// The limits of setrlimit(2) by the kernel's numbers.
public enum ResourceLimits {
  public static let cpu: Int32 = 0
  public static let fileSize: Int32 = 1
  public static let data: Int32 = 2
  public static let core: Int32 = 4
  public static let processes: Int32 = 6
  public static let openFiles: Int32 = 7
  public static let addressSpace: Int32 = 9
  public static let infinity = UInt64.max

  /// Names by number (asm-generic/resource.h).
  public static let names = [
    "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC",
    "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
  ]

  /// A process's limit now (prlimit(2)); pid 0 is this process.
  public static func get(_ kind: Int32, pid: Int32 = 0) throws(SystemError) -> rlimit {
    var limit = rlimit()
    // SAFETY: struct rlimit64 is two 64-bit words as glibc's rlimit is on 64-bit machines; the kernel fills it.
    let result = unsafe withUnsafeMutablePointer(to: &limit) { pointer in
      systemCall(Int(SYS_prlimit64), word(pid), word(kind), 0, UInt(bitPattern: pointer))
    }
    try checked("prlimit", name(kind), result)
    return limit
  }

  /// Sets a limit; raising the hard one wants CAP_SYS_RESOURCE, and the error then says what the hard limit is.
  public static func set(_ kind: Int32, soft: UInt64, hard: UInt64, pid: Int32 = 0) throws(SystemError) {
    var limit = rlimit()
    limit.rlim_cur = rlim_t(soft)
    limit.rlim_max = rlim_t(hard)
    // SAFETY: as in `get`; the kernel reads it.
    let result = unsafe withUnsafePointer(to: &limit) { pointer in
      systemCall(Int(SYS_prlimit64), word(pid), word(kind), UInt(bitPattern: pointer), 0)
    }
    if result == -Int(EPERM), let present = try? get(kind, pid: pid) {
      // The first error is the one that matters; the present limit only explains it.
      throw SystemError(
        "setrlimit",
        "\(name(kind)) \(hard) is above the hard limit \(present.rlim_max) and CAP_SYS_RESOURCE is not held",
        .notPermitted)
    }
    try checked("setrlimit", "\(name(kind)) \(soft):\(hard)", result)
  }

  static func name(_ kind: Int32) -> String {
    names.indices.contains(Int(kind)) ? names[Int(kind)] : "limit \(kind)"
  }
}
