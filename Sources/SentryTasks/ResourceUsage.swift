import CLinux
public import Linux
public import SentryABI

/// struct rusage (getrusage(2)), made from what the host counts for the threads that run guests.
public struct ResourceUsage: Equatable, Sendable {
  /// In hundredths of a second.
  public var userTicks: UInt64 = 0
  public var systemTicks: UInt64 = 0
  /// In kB.
  public var peak: UInt64 = 0
  public var minorFaults: UInt64 = 0
  public var majorFaults: UInt64 = 0
  public var voluntarySwitches: UInt64 = 0
  public var involuntarySwitches: UInt64 = 0

  /// RUSAGE_SELF.
  public init(of group: ThreadGroup) {
    self.init(
      group.kernel.host, group.hostID, stat: HostStat(group.kernel.host.contents(group.hostID, "stat", limit: 4096)))
  }
  /// RUSAGE_THREAD: the host counts a thread's own under task/.
  public init(of task: Task) {
    let host = task.kernel.host
    self.init(host, task.hostID, stat: HostStat(host.threadContents(task)))
  }
  private init(_ host: HostThreads, _ id: Int32, stat: HostStat) {
    userTicks = stat.userTicks
    systemTicks = stat.systemTicks
    minorFaults = stat.minorFaults
    majorFaults = stat.majorFaults
    let status = HostStatus(host.contents(id, "status", limit: 8192))
    peak = status.values.highWater
    voluntarySwitches = status.values.voluntarySwitches
    involuntarySwitches = status.values.involuntarySwitches
  }
  /// RUSAGE_CHILDREN: those that were waited for. The host tells their times and faults only.
  public init(ofChildren group: ThreadGroup) {
    let stat = HostStat(group.kernel.host.contents(group.hostID, "stat", limit: 4096))
    userTicks = stat.childUserTicks
    systemTicks = stat.childSystemTicks
    minorFaults = stat.childMinorFaults
    majorFaults = stat.childMajorFaults
  }

  public var bytes: [UInt8] {
    var words: [UInt64] = []
    for ticks in [userTicks, systemTicks] { words += [ticks / 100, ticks % 100 * 10_000] }
    words += [peak, 0, 0, 0, minorFaults, majorFaults, 0, 0, 0, 0, 0, 0, voluntarySwitches, involuntarySwitches]
    var bytes: [UInt8] = []
    for word in words { bytes.append(little: word) }
    return bytes
  }
}

extension HostThreads {
  /// /proc/TGID/task/TID/stat: the thread's own counts.
  func threadContents(_ task: Task) -> [UInt8] {
    guard processes >= 0, task.hostID > 0 else { return [] }
    do {
      let file = try File.open(
        "\(task.group.hostID)/task/\(task.hostID)/stat", O_RDONLY, at: processes)
      return try File.read(file.rawValue, atMost: 4096)
    } catch {
      // It ended meanwhile.
      return []
    }
  }

  /// Binds the limits that the host's kernel must hold, for it hands out what they bound.
  /// - Throws: EPERM where the sandbox's own limit is lower.
  public func limit(_ group: ThreadGroup, _ kind: Int32, _ pair: Limits.Pair) throws(Errno) {
    switch kind {
    case Limits.stack, Limits.data, Limits.addressSpace, Limits.cpu, Limits.lockedMemory: break
    default: return
    }
    guard group.hostID > 0 else { return }
    // The hard limit stays the host's: the sentry could not raise it again for a guest that may.
    var words = (pair.soft, UInt64(0))
    var before = (UInt64(0), UInt64(0))
    // SAFETY: two 64-bit words each, as struct rlimit64; the kernel reads one and writes the other.
    let result = unsafe withUnsafeMutablePointer(to: &words) { new in
      unsafe withUnsafeMutablePointer(to: &before) { old in
        let known = systemCall(Int(SYS_prlimit64), word(group.hostID), word(kind), 0, UInt(bitPattern: old))
        if known < 0 { return known }
        unsafe new.pointee.1 = unsafe old.pointee.1
        if unsafe new.pointee.0 > new.pointee.1 { unsafe new.pointee.0 = new.pointee.1 }
        return systemCall(Int(SYS_prlimit64), word(group.hostID), word(kind), UInt(bitPattern: new), 0)
      }
    }
    if result < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
  }
}
