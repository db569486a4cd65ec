/// The kernel's resource limits by number and name (getrlimit(2), include/uapi/asm-generic/resource.h).
public enum ResourceLimitName {
  /// The name at index N is resource number N's.
  public static let all = [
    "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC",
    "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
  ]

  /// The number of "RLIMIT_NOFILE" or, as Docker's --ulimit spells it, "nofile"; nil for none.
  public static func number(_ name: String) -> Int32? {
    var upper = name.uppercased()
    if !upper.hasPrefix("RLIMIT_") { upper = "RLIMIT_" + upper }
    return all.firstIndex(of: upper).map(Int32.init)
  }

  /// "RLIMIT_NOFILE" for 7; nil beyond the last one known.
  public static func name(_ number: Int32) -> String? {
    number >= 0 && number < all.count ? all[Int(number)] : nil
  }
}
