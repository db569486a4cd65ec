import CLinux

/// When and where the calling process runs.
public enum Scheduling {
  /// sched_setattr(2): `struct sched_attr` as Linux 3.14 has it, 48 bytes.
  public static func set(
    policy: UInt32, flags: UInt64, nice: Int32, priority: UInt32, runtime: UInt64, deadline: UInt64, period: UInt64
  ) throws(SystemError) {
    let size: UInt64 = 48
    var attributes = (
      size | UInt64(policy) << 32, flags, UInt64(UInt32(bitPattern: nice)) | UInt64(priority) << 32, runtime, deadline,
      period
    )
    // SAFETY: the kernel reads 48 bytes, the tuple's size, which is said in its first word; it may write that word.
    let result = unsafe withUnsafeMutablePointer(to: &attributes) {
      systemCall(Int(SYS_sched_setattr), 0, UInt(bitPattern: $0), 0)
    }
    try checked("sched_setattr", "policy \(policy)", result)
  }

  /// ioprio_set(2) of the calling process.
  public static func setIOPriority(kind: UInt32, level: UInt32) throws(SystemError) {
    let process: UInt = 1
    try checked(
      "ioprio_set", "class \(kind) level \(level)",
      systemCall(Int(SYS_ioprio_set), process, 0, UInt(kind << 13 | level)))
  }

  /// sched_setaffinity(2): the CPUs that the calling process may run on.
  public static func setAffinity(_ cpus: [Int]) throws(SystemError) {
    var words = [UInt64](repeating: 0, count: (cpus.max() ?? 0) / 64 + 1)
    for cpu in cpus { words[cpu / 64] |= 1 << UInt64(cpu % 64) }
    // SAFETY: the kernel reads within the array's bounds.
    let result = unsafe words.withUnsafeBytes {
      systemCall(Int(SYS_sched_setaffinity), 0, UInt($0.count), UInt(bitPattern: $0.baseAddress))
    }
    try checked("sched_setaffinity", "\(cpus)", result)
  }

  /// personality(2).
  public static func setPersonality(_ number: UInt32) throws(SystemError) {
    try checked("personality", "\(number)", systemCall(Int(SYS_personality), UInt(number)))
  }
}
