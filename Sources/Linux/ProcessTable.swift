import CLinux

/// The processes that exist, as procfs shows them (proc(5)). What a process does meanwhile is not seen: stop it first.
public enum ProcessTable {
  /// Every process id.
  public static func all() throws(SystemError) -> [Int32] {
    try File.names(inDirectory: "/proc").compactMap { Int32($0) }
  }

  /// The children of a process, of all its threads; empty when it is gone. Complete where the process is stopped.
  public static func children(of pid: Int32) -> [Int32] {
    guard let threads = try? File.names(inDirectory: "/proc/\(pid)/task") else { return [] }
    var children: [Int32] = []
    for thread in threads {
      // A thread that has ended meanwhile has handed its children on to another one.
      guard let text = try? File.text("/proc/\(pid)/task/\(thread)/children") else { continue }
      children += text.split(separator: " ").compactMap { Int32($0) }
    }
    return children
  }

  /// Children and theirs, parents before children.
  public static func descendants(of pid: Int32) -> [Int32] {
    var found = children(of: pid)
    var next = 0
    while next < found.count {
      found += children(of: found[next])
      next += 1
    }
    return found
  }

  /// The processes whose real user is `user`.
  public static func ofUser(_ user: UInt32) throws(SystemError) -> [Int32] {
    try all().filter { status(of: $0)?.user == user }
  }

  /// Whether the real user `user` has a process, a zombie too: one system call (getpriority(2) with PRIO_USER says ESRCH).
  public static func hasProcess(ofUser user: UInt32) -> Bool {
    let prioUser: UInt = 2
    return systemCall(Int(SYS_getpriority), prioUser, UInt(user)) != -Int(ESRCH)
  }

  /// What /proc/PID/status tells that a jail asks for.
  public struct Status: Sendable, Equatable {
    public var user: UInt32 = 0
    public var noNewPrivileges = false
    public var filters: UInt32 = 0
    public var threads: UInt64 = 0
    public var isZombie = false
  }

  /// Nil when there is no such process.
  public static func status(of pid: Int32) -> Status? {
    guard let text = try? File.text("/proc/\(pid)/status") else { return nil }
    var status = Status()
    for line in text.split(separator: "\n") {
      let parts = line.split(whereSeparator: { $0 == "\t" || $0 == " " })
      guard parts.count > 1 else { continue }
      switch parts[0] {
      case "State:": status.isZombie = parts[1] == "Z" || parts[1] == "X"
      case "Uid:": status.user = UInt32(parts[1]) ?? 0
      case "Threads:": status.threads = UInt64(parts[1]) ?? 0
      case "NoNewPrivs:": status.noNewPrivileges = parts[1] == "1"
      case "Seccomp_filters:": status.filters = UInt32(parts[1]) ?? 0
      default: break
      }
    }
    return status
  }

  /// What a process does at the moment (proc_pid_stat(5), field 3). One that was sent SIGSTOP and still runs may be in the middle of
  /// a fork, whose child is not seen yet.
  public enum State: Sendable, Equatable {
    case running
    /// Stopped by a signal or a tracer.
    case stopped
    /// A zombie: its children have gone to another.
    case dead
    /// Asleep, be it interruptibly or not.
    case waiting
  }

  /// Whether there is such a process, and not only its zombie.
  public static func lives(_ pid: Int32) -> Bool { state(of: pid).map { $0 != .dead } ?? false }

  /// Nil when there is no such process.
  public static func state(of pid: Int32) -> State? {
    guard let text = try? File.text("/proc/\(pid)/stat"), let close = text.utf8.lastIndex(of: UInt8(ascii: ")")) else {
      return nil
    }
    switch text[text.index(after: close)...].split(separator: " ").first {
    case "R": return .running
    case "T", "t": return .stopped
    case "Z", "X": return .dead
    default: return .waiting
    }
  }

  /// What a process has used; nil when it is gone.
  public struct Use: Sendable, Equatable {
    public var cpuMicroseconds: UInt64
    public var residentBytes: UInt64
    public var peakBytes: UInt64
  }

  public static func use(of pid: Int32) -> Use? {
    guard let text = try? File.text("/proc/\(pid)/stat"), let close = text.utf8.lastIndex(of: UInt8(ascii: ")")),
      let status = try? File.text("/proc/\(pid)/status")
    else { return nil }
    let fields = text[text.index(after: close)...].split(separator: " ")
    // Fields 14 and 15 are user and system time in clock ticks, which are 100 a second on every architecture served here.
    guard fields.count > 12, let user = UInt64(fields[11]), let system = UInt64(fields[12]) else { return nil }
    func kilobytes(_ key: String) -> UInt64 {
      for line in status.split(separator: "\n") where line.hasPrefix(key) {
        return UInt64(line.filter { $0.isASCII && $0.isNumber }) ?? 0
      }
      return 0
    }
    return Use(
      cpuMicroseconds: (user + system) * 10_000, residentBytes: kilobytes("VmRSS:") << 10,
      peakBytes: kilobytes("VmHWM:") << 10)
  }
}
