extension Policy {
  /// What holds when nobody says anything: no network, no host file, no new privileges, and limits that a single program does not
  /// notice. Says what policies/untrusted.toml says, as built-in defaults (a test compares them), without reading a file.
  /// - Parameter memoryBytesOfHost: all memory of the machine; 0 where it is not known.
  public static func untrusted(memoryBytesOfHost: UInt64) -> Policy {
    var policy = Policy()
    let twoGiB: UInt64 = 2 << 30
    policy.limits.memory = Setting(memoryBytesOfHost == 0 ? twoGiB : min(twoGiB, memoryBytesOfHost / 2))
    policy.limits.pids = Setting(512)
    policy.limits.openFiles = Setting(4096)
    policy.limits.coreSize = Setting(0)
    policy.limits.fileSize = Setting(4 << 30)
    policy.limits.scratch = Setting(1 << 30)
    policy.limits.log = Setting(16 << 20)
    return policy
  }
}
