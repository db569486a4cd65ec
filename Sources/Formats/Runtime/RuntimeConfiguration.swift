/// What a container runtime is told to raise: the Linux part of the OCI runtime specification 1.3 (config.md, config-linux.md).
/// The walls read this value; it is made from options and an image by `run`, and from config.json by the OCI verbs.
public struct RuntimeConfiguration: Sendable, Equatable {
  public var ociVersion = RuntimeConfiguration.specificationVersion
  public var process = ProcessConfiguration()
  /// Relative to the bundle's folder where it is not absolute; nil where the root filesystem is said otherwise.
  public var rootPath: String?
  public var rootReadOnly = false
  public var hostname: String?
  public var domainname: String?
  /// In the order they are mounted.
  public var mounts: [MountConfiguration] = []
  public var annotations: [String: String] = [:]
  public var namespaces: [NamespaceConfiguration] = []
  /// Empty: no user namespace of its own, or the walls' own choice where one is asked for without a mapping.
  public var userMappings: [IDMapping] = []
  public var groupMappings: [IDMapping] = []
  public var timeOffsets: [TimeOffset] = []
  public var devices: [DeviceConfiguration] = []
  /// Moved from the runtime's network namespace into the box's.
  public var netDevices: [NetDeviceConfiguration] = []
  /// Relative to the hierarchy's root; nil lets the wall choose a name of its own.
  public var cgroupsPath: String?
  public var resources = ResourceConfiguration()
  /// "private", "slave", "shared", "unbindable" or nil (private).
  public var rootPropagation: String?
  public var maskedPaths: [String] = []
  public var readonlyPaths: [String] = []
  public var sysctl: [String: String] = [:]
  public var personality: PersonalityConfiguration?
  public var hooks = HookConfiguration()
  /// `linux.seccomp`, which the Seccomp module reads; `seccompNode` has it with its place in the document.
  public var seccomp: JSONValue?
  /// Fields that the specification does not know, by their path; a runtime must not mind them (config.md, "Extensibility").
  public var ignoredFields: [String] = []

  public init() {}

  /// What is read and written here.
  public static let specificationVersion = "1.3.0"

  public var seccompNode: JSONNode? {
    seccomp.map { JSONNode($0, path: .key(.key(.root, "linux"), "seccomp"), source: "") }
  }

  /// Kernel files that tell about or change the host, hidden in every box by default (Docker's and podman's list).
  public static let defaultMaskedPaths = [
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
    "/sys/devices/virtual/powercap",
  ]
  /// Kernel files that a box may read and never write.
  public static let defaultReadonlyPaths = [
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
  ]
}

/// config.md, "Mounts". A bind mount is "bind" or "rbind" among the options; `type` is then empty or "bind".
public struct MountConfiguration: Sendable, Equatable {
  /// Absolute, inside the box.
  public var destination: String
  public var type: String
  public var source: String
  public var options: [String]
  /// How owners are translated, in both directions (mount_setattr(2), MOUNT_ATTR_IDMAP).
  public var userMappings: [IDMapping] = []
  public var groupMappings: [IDMapping] = []
  public init(destination: String, type: String, source: String, options: [String] = []) {
    self.destination = destination
    self.type = type
    self.source = source
    self.options = options
  }
}

/// The kinds of namespaces(7).
public enum NamespaceKind: String, Sendable, CaseIterable {
  case user, mount, pid, network, ipc, uts, cgroup, time
}

/// A namespace to create, or with a path, to join.
public struct NamespaceConfiguration: Sendable, Equatable {
  public var kind: NamespaceKind
  public var path: String?
  public init(_ kind: NamespaceKind, path: String? = nil) {
    self.kind = kind
    self.path = path
  }
}

/// One line of uid_map or gid_map (user_namespaces(7)).
public struct IDMapping: Sendable, Equatable {
  public var inside: UInt32
  public var outside: UInt32
  public var count: UInt32
  public init(inside: UInt32, outside: UInt32, count: UInt32) {
    self.inside = inside
    self.outside = outside
    self.count = count
  }
}

/// A device node to be made, besides the default ones (config-linux.md, "Devices").
public struct DeviceConfiguration: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    case character = "c"
    case block = "b"
    case fifo = "p"
  }
  public var path: String
  public var kind: Kind
  public var major: UInt32
  public var minor: UInt32
  public var mode: UInt32
  /// Inside the box.
  public var user: UInt32 = 0
  public var group: UInt32 = 0
  public init(path: String, kind: Kind, major: UInt32, minor: UInt32, mode: UInt32 = 0o666) {
    self.path = path
    self.kind = kind
    self.major = major
    self.minor = minor
    self.mode = mode
  }
}

/// A line of /proc/PID/timens_offsets (time_namespaces(7)).
public struct TimeOffset: Sendable, Equatable {
  public enum Clock: String, Sendable, CaseIterable { case monotonic, boottime }
  public var clock: Clock
  public var seconds: Int64
  /// 0 to 999,999,999.
  public var nanoseconds: UInt32
  public init(clock: Clock, seconds: Int64, nanoseconds: UInt32 = 0) {
    self.clock = clock
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }
}

/// config-linux.md, "Network Devices".
public struct NetDeviceConfiguration: Sendable, Equatable {
  /// At most 15 bytes each.
  public var outside: String
  public var inside: String
  public init(outside: String, inside: String) {
    self.outside = outside
    self.inside = inside
  }
}

/// personality(2); config-linux.md, "Personality".
public enum PersonalityConfiguration: String, Sendable, CaseIterable {
  case linux = "LINUX"
  case linux32 = "LINUX32"

  /// PER_LINUX, PER_LINUX32 (linux/personality.h).
  public var number: UInt32 { self == .linux ? 0 : 8 }
}

/// Programs of the host that are run while a box is made and taken away (config.md, "POSIX-platform Hooks").
public struct HookConfiguration: Sendable, Equatable {
  public enum Moment: String, Sendable, CaseIterable {
    case prestart, createRuntime, createContainer, startContainer, poststart, poststop
  }
  public struct Hook: Sendable, Equatable {
    /// Absolute; in the box for `startContainer`, else on the host.
    public var path: String
    /// With the program's own name first; just the path where none are given.
    public var arguments: [String]
    /// All that it gets: nothing of the box's or the runtime's.
    public var environment: [String]
    /// Seconds until it is killed.
    public var timeout: UInt32?
    public init(path: String, arguments: [String] = [], environment: [String] = [], timeout: UInt32? = nil) {
      self.path = path
      self.arguments = arguments
      self.environment = environment
      self.timeout = timeout
    }
  }
  private var hooks: [Moment: [Hook]] = [:]
  public init() {}

  /// In the order they run.
  public subscript(_ moment: Moment) -> [Hook] {
    get { hooks[moment] ?? [] }
    set { hooks[moment] = newValue.isEmpty ? nil : newValue }
  }
  public var isEmpty: Bool { hooks.isEmpty }
}
