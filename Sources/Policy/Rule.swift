/// One rule of a policy as a wall is asked about it: a key that people write, its value as text, and who wrote it.
public struct Rule: Sendable, Equatable {
  public enum Key: Sendable, Equatable {
    case files(FileRule)
    case network(NetworkRule)
    case newPrivileges(Bool)
    case capabilities
    case seccomp(String)
    case userNamespace(UserNamespaceRule)
    case hostProcesses
    case systemCalls(SystemCallRule)
    case device(DevicePath)
    case environment
    case memory, cpus, pids, openFiles, coreSize, fileSize, scratch, log, timeout, output, cpuTime
    case diskBytes, diskOperations
  }
  public let key: Key
  /// As in a policy file: "limits.memory", "network".
  public let name: String
  /// As a person would write it: "256 MiB".
  public let value: String
  public let origin: Origin

  public init(_ key: Key, name: String, value: String, origin: Origin) {
    self.key = key
    self.name = name
    self.value = value
    self.origin = origin
  }
}

/// How far a wall holds a rule on this machine.
public enum Enforcement: Sendable, Equatable {
  /// Held, and by what: "cgroup memory.max", "network namespace".
  case enforced(String)
  /// Something like it is held: what, and what is missing.
  case weaker(String)
  /// Not held, and why or what to do about it.
  case unenforced(String)

  public var isFull: Bool {
    if case .enforced = self { return true }
    return false
  }
}
