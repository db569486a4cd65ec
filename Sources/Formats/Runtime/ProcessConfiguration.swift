/// The program in the box: config.md, "Process".
public struct ProcessConfiguration: Sendable, Equatable {
  public var terminal = false
  /// Never empty once complete; the first is looked up in the environment's PATH inside the box.
  public var arguments: [String] = []
  /// "NAME=value".
  public var environment: [String] = []
  /// Absolute, inside the box.
  public var workingDirectory = "/"
  public var user = UserConfiguration()
  public var capabilities = CapabilityConfiguration()
  public var rlimits: [ResourceLimit] = []
  public var noNewPrivileges = false
  /// -1000 to 1000.
  public var oomScoreAdjustment: Int32?
  /// The size a new terminal begins with.
  public var consoleSize: ConsoleSize?
  public var scheduler: SchedulerConfiguration?
  public var ioPriority: IOPriorityConfiguration?
  /// For `exec` only: the CPUs while it enters the box, and those the program runs on.
  public var cpuAffinity: CPUAffinityConfiguration?
  public init() {}
}

/// Ids inside the box.
public struct UserConfiguration: Sendable, Equatable {
  public var user: UInt32 = 0
  public var group: UInt32 = 0
  public var additionalGroups: [UInt32] = []
  public var umask: UInt32?
  public init() {}
}

/// The five capability sets as bit masks: bit N is capability number N (capabilities(7)).
public struct CapabilityConfiguration: Sendable, Equatable {
  public var bounding: UInt64 = 0
  public var effective: UInt64 = 0
  public var permitted: UInt64 = 0
  public var inheritable: UInt64 = 0
  public var ambient: UInt64 = 0
  public init() {}
}

/// setrlimit(2): `kind` is the kernel's RLIMIT_* number; UInt64.max is infinity.
public struct ResourceLimit: Sendable, Equatable {
  public var kind: Int32
  public var soft: UInt64
  public var hard: UInt64
  public init(kind: Int32, soft: UInt64, hard: UInt64) {
    self.kind = kind
    self.soft = soft
    self.hard = hard
  }
}

/// In characters.
public struct ConsoleSize: Sendable, Equatable {
  public var height: UInt16
  public var width: UInt16
  public init(height: UInt16, width: UInt16) {
    self.height = height
    self.width = width
  }
}

/// sched_setattr(2); config.md, "Scheduler".
public struct SchedulerConfiguration: Sendable, Equatable {
  /// By the kernel's numbers (linux/sched.h).
  public enum Policy: UInt32, Sendable, CaseIterable {
    case other = 0
    case fifo = 1
    case roundRobin = 2
    case batch = 3
    case iso = 4
    case idle = 5
    case deadline = 6

    public var name: String {
      switch self {
      case .other: "SCHED_OTHER"
      case .fifo: "SCHED_FIFO"
      case .roundRobin: "SCHED_RR"
      case .batch: "SCHED_BATCH"
      case .iso: "SCHED_ISO"
      case .idle: "SCHED_IDLE"
      case .deadline: "SCHED_DEADLINE"
      }
    }
  }
  public var policy: Policy
  public var nice: Int32 = 0
  public var priority: UInt32 = 0
  /// SCHED_FLAG_* bits.
  public var flags: UInt64 = 0
  /// Nanoseconds, of SCHED_DEADLINE.
  public var runtime: UInt64 = 0
  public var deadline: UInt64 = 0
  public var period: UInt64 = 0
  public init(policy: Policy) { self.policy = policy }

  /// The name at index N is bit N's (linux/sched.h).
  public static let flagNames = [
    "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_POLICY",
    "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX",
  ]
}

/// ioprio_set(2); config.md, "I/O Priority".
public struct IOPriorityConfiguration: Sendable, Equatable {
  /// By the kernel's numbers (linux/ioprio.h).
  public enum Class: UInt32, Sendable, CaseIterable {
    case realtime = 1
    case bestEffort = 2
    case idle = 3

    public var name: String {
      switch self {
      case .realtime: "IOPRIO_CLASS_RT"
      case .bestEffort: "IOPRIO_CLASS_BE"
      case .idle: "IOPRIO_CLASS_IDLE"
      }
    }
  }
  public var kind: Class
  /// 0, the highest, to 7.
  public var level: UInt32
  public init(kind: Class, level: UInt32) {
    self.kind = kind
    self.level = level
  }
}

/// sched_setaffinity(2); config.md, "execCPUAffinity". Lists of CPUs as `CPUList` reads them.
public struct CPUAffinityConfiguration: Sendable, Equatable {
  public var initial: String?
  public var final: String?
  public init(initial: String?, final: String?) {
    self.initial = initial
    self.final = final
  }
}
