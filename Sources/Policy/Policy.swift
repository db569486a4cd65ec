/// What untrusted code may do, in words that belong to no wall. Options and a TOML file build the same value; each wall
/// compiles it to what it has, and says rule by rule what it cannot enforce.
public struct Policy: Sendable, Equatable {
  /// The thinnest wall that may be taken; nil leaves the choice to what enforces every rule.
  public var floor: Setting<WallName>?
  /// Host paths that the code may see, and how. What is not named is not there.
  public var files: [Setting<FileRule>] = []
  public var network = Setting(NetworkRule.none)
  public var processes = ProcessRules()
  public var limits = Limits()
  /// Host device nodes that appear in the box.
  public var devices: [Setting<DevicePath>] = []
  /// "NAME=value" for the code's environment, besides the image's.
  public var environment: [Setting<String>] = []

  public init() {}
}

/// A rule's value and where it was written: a built-in default is best effort, what a person wrote is binding.
public struct Setting<Value: Sendable & Equatable>: Sendable, Equatable {
  public var value: Value
  public var origin: Origin
  public init(_ value: Value, _ origin: Origin = .builtIn) {
    self.value = value
    self.origin = origin
  }
}

/// Who wrote a rule.
public enum Origin: Sendable, Equatable {
  /// The defaults of immure: best effort.
  case builtIn
  /// An option such as "--memory".
  case option(String)
  /// A line of a policy file.
  case file(path: String, line: Int)

  /// Whether a wall that cannot hold the rule must refuse to run.
  public var isBinding: Bool { self != .builtIn }

  public var description: String {
    switch self {
    case .builtIn: "default"
    case .option(let name): name
    case .file(let path, let line): "\(path):\(line)"
    }
  }
}

/// The five walls, from thin to thick.
public enum WallName: String, Sendable, CaseIterable, Comparable {
  case jail, container, sentry, microvm, emulator

  /// 0 for the thinnest.
  public var thickness: Int { WallName.allCases.firstIndex(of: self) ?? 0 }
  public static func < (a: WallName, b: WallName) -> Bool { a.thickness < b.thickness }
}

/// A host path in the box.
public struct FileRule: Sendable, Equatable {
  public enum Access: String, Sendable { case read, write, hidden }
  public var access: Access
  /// Absolute, on the host (for `hidden`: inside the box).
  public var path: String
  /// Where it appears inside; the host's path by default.
  public var destination: String
  /// Whether the code may talk to the host's services through sockets that the path shows; a wall refuses a source that is a socket, or
  /// for which `reachesHostSockets` holds, where this is false.
  public var sockets: Bool
  public init(_ access: Access, _ path: String, at destination: String? = nil, sockets: Bool = false) {
    self.access = access
    self.path = path
    self.destination = destination ?? path
    self.sockets = sockets
  }
}

public struct DevicePath: Sendable, Equatable {
  public var path: String
  public init(_ path: String) { self.path = path }
}

/// What the code may reach over the network.
public enum NetworkRule: Sendable, Equatable {
  case none
  /// The host's own network, whole.
  case host
  /// Outward connections through a user-mode stack, and these host ports forwarded inward. Private, loopback, link-local
  /// and metadata addresses are refused unless `allowPrivate`.
  case user(ports: [PortForward], allowPrivate: Bool)
}

/// `-p [ADDRESS:]HOST:BOX[/udp]`.
public struct PortForward: Sendable, Equatable {
  public var address: String?
  public var hostPort: UInt16
  public var boxPort: UInt16
  public var udp: Bool
  public init(address: String? = nil, hostPort: UInt16, boxPort: UInt16, udp: Bool = false) {
    self.address = address
    self.hostPort = hostPort
    self.boxPort = boxPort
    self.udp = udp
  }
}

/// What the code's processes may be and do.
public struct ProcessRules: Sendable, Equatable {
  /// Whether set-user-id programs and file capabilities may raise privileges.
  public var newPrivileges = Setting(false)
  /// Capability numbers as a bit mask, within the box's own user namespace; nil is Docker's default set.
  public var capabilities: Setting<UInt64>?
  /// A seccomp profile file, "default" or "unconfined".
  public var seccomp = Setting("default")
  /// Whether the box's root is the host's root ("host") or an own id range ("auto").
  public var userNamespace = Setting(UserNamespaceRule.auto)
  /// Whether processes outside can be seen or signalled; false always hides them where a wall can.
  public var seesHostProcesses = Setting(false)
  /// How many calls the host's kernel performs unasked, behind a wall with a kernel of its own; nil leaves it to the wall.
  public var systemCalls: Setting<SystemCallRule>?
  public init() {}
}

/// Which system calls of the code a host's kernel may perform before anybody looked at them.
public enum SystemCallRule: String, Sendable, CaseIterable {
  /// Those on the caller's own memory, its threads and its children: quick.
  case nativeHarmless = "native-harmless"
  /// Only what a thread cannot be without: slower where much memory is mapped.
  case strict
  /// A bundle's annotation that says so where no policy does.
  public static let annotation = "dev.immure.syscalls"
}

public enum UserNamespaceRule: String, Sendable { case auto, host }

/// Bounds on what the code may use. Sizes in bytes, times in milliseconds; nil is no bound.
public struct Limits: Sendable, Equatable {
  public var memory: Setting<UInt64>?
  /// Thousandths of a CPU: 1500 is one and a half.
  public var milliCPUs: Setting<UInt64>?
  public var pids: Setting<UInt64>?
  public var openFiles: Setting<UInt64>?
  public var coreSize: Setting<UInt64>?
  public var fileSize: Setting<UInt64>?
  /// The writable layer, and /tmp, each.
  public var scratch: Setting<UInt64>?
  /// A detached sandbox's log, rotated.
  public var log: Setting<UInt64>?
  /// Wall-clock time.
  public var timeout: Setting<UInt64>?
  /// Bytes on stdout and stderr together.
  public var output: Setting<UInt64>?
  /// CPU time of one process (RLIMIT_CPU), in milliseconds, rounded up to seconds.
  public var cpuTime: Setting<UInt64>?
  public var diskBytesPerSecond: Setting<UInt64>?
  public var diskOperationsPerSecond: Setting<UInt64>?
  public init() {}
}
