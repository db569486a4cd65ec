import Formats

/// The options of `run` and `policy explain` that are rules, by their long spelling.
public enum PolicyOption: String, CaseIterable, Sendable {
  case atLeast = "--at-least"
  case volume = "--volume"
  case hide = "--hide"
  case network = "--network"
  case publish = "--publish"
  case allowPrivate = "--allow-private"
  case processes = "--pid"
  case userNamespace = "--userns"
  case systemCalls = "--syscalls"
  case securityOption = "--security-opt"
  case device = "--device"
  case environment = "--env"
  case resourceLimit = "--ulimit"
  case memory = "--memory"
  case cpus = "--cpus"
  case pids = "--pids"
  case openFiles = "--open-files"
  case coreSize = "--core-size"
  case fileSize = "--file-size"
  case scratch = "--scratch"
  case log = "--log-size"
  case timeout = "--timeout"
  case output = "--output"
  case cpuTime = "--cpu-time"
  case diskBytes = "--disk-bps"
  case diskOperations = "--disk-iops"

  /// The limit that the option sets.
  public var limit: LimitName? { LimitName.allCases.first { $0.option == self } }
}

/// What options are read against, besides their own text.
public struct OptionSurroundings {
  /// The caller's current folder, absolute.
  public var folder: String
  /// The caller's environment, for `-e NAME` without a value.
  public var variable: (String) -> String?
  public init(folder: String = "/", variable: @escaping (String) -> String? = { _ in nil }) {
    self.folder = folder
    self.variable = variable
  }
}

extension Policy {
  /// Takes options over what the policy says; ports and private addresses count for the network that any of them chose, in
  /// whatever order they were typed.
  /// - Parameter options: the option, its text, and as it was typed.
  public mutating func apply(
    _ options: [(option: PolicyOption, text: String, spelled: String)], surroundings: OptionSurroundings
  ) throws(PolicyError) {
    for entry in options where entry.option == .network {
      try apply(entry.option, entry.text, spelled: entry.spelled, surroundings: surroundings)
    }
    for entry in options where entry.option != .network {
      try apply(entry.option, entry.text, spelled: entry.spelled, surroundings: surroundings)
    }
  }

  /// Takes one option over what the policy says.
  /// - Parameter spelled: the option as it was typed ("-v"), for errors; the long one by default.
  public mutating func apply(
    _ option: PolicyOption, _ text: String, spelled: String? = nil,
    surroundings: OptionSurroundings = OptionSurroundings()
  ) throws(PolicyError) {
    let subject = Subject(option: spelled ?? option.rawValue)
    if let limit = option.limit {
      limits[limit] = try limit.parse(text, subject).map { subject.setting($0) }
      return
    }
    switch option {
    case .atLeast:
      floor = subject.setting(try Policy.wall(text, subject))
    case .volume:
      let rule = try FileRule.volume(text, option: subject.name, relativeTo: surroundings.folder)
      set(rule.value, rule.origin)
    case .hide:
      set(FileRule(.hidden, try HostPath.parse(text, from: nil, subject)), subject.origin)
    case .network:
      network = subject.setting(try network.value.mode(text, subject))
    case .publish:
      let port = try PortForward.parse(text, subject)
      // A port asks for the network that forwards it, unless somebody chose another one.
      let chosen =
        network.origin == .builtIn && network.value == .none ? .user(ports: [], allowPrivate: false) : network.value
      network = subject.setting(try chosen.adding(port: port, subject))
    case .allowPrivate:
      network = subject.setting(try network.value.allowingPrivate(subject))
    case .processes:
      guard text == "host" || text == "private" else {
        throw subject.failure("is neither \"private\" nor \"host\"", text)
      }
      processes.seesHostProcesses = subject.setting(text == "host")
    case .userNamespace:
      processes.userNamespace = subject.setting(try Policy.userNamespace(text, subject))
    case .systemCalls:
      processes.systemCalls = subject.setting(try Policy.systemCalls(text, subject))
    case .securityOption:
      try applySecurityOption(text, subject, folder: surroundings.folder)
    case .device:
      set(try DevicePath.parse(text, subject), subject.origin)
    case .environment:
      if let variable = try Policy.environmentVariable(text, subject, from: surroundings.variable) {
        setEnvironment(variable, subject.origin)
      }
    case .resourceLimit:
      try applyResourceLimit(text, subject)
    default:
      // The remaining cases are the limits above; a test walks every case.
      throw subject.failure("is not an option that sets a rule")
    }
  }

  /// `--cap-add` and `--cap-drop`, all of them at once as Docker reads them: additions to what the drops leave; ALL is every one.
  /// - Parameters: names as `CapabilityName.number` takes them, or "ALL".
  public mutating func applyCapabilities(adding: [String], dropping: [String]) throws(PolicyError) {
    if adding.isEmpty && dropping.isEmpty { return }
    let add = try Policy.capabilityMask(adding, allowAll: true, Subject(option: "--cap-add"))
    let drop = try Policy.capabilityMask(dropping, allowAll: true, Subject(option: "--cap-drop"))
    let base = processes.capabilities?.value ?? CapabilityName.dockerDefaultMask
    let mask = add == CapabilityName.everyMask ? add & ~drop : base & ~drop | add
    processes.capabilities = Setting(mask, .option(adding.isEmpty ? "--cap-drop" : "--cap-add"))
  }

  /// The lines of an `--env-file`: NAME=value, or NAME alone for the caller's own; blank lines and those that begin with # count for
  /// nothing, and nothing is unquoted, as Docker reads it.
  public mutating func applyEnvironmentFile(
    _ bytes: [UInt8], path: String, surroundings: OptionSurroundings = OptionSurroundings()
  ) throws(PolicyError) {
    var number = 0
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      let subject = Subject("", origin: .file(path: path, line: number))
      let whole = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
      let start = whole.drop { $0 == 32 || $0 == 9 }
      if start.isEmpty || start.first == UInt8(ascii: "#") { continue }
      guard let text = String(validating: start, as: UTF8.self) else {
        throw subject.failure("is not UTF-8", String(decoding: start.prefix(64), as: UTF8.self))
      }
      if let variable = try Policy.environmentVariable(text, subject, from: surroundings.variable) {
        setEnvironment(variable, subject.origin)
      }
    }
  }

  /// "container" and the other names of walls, for `--wall` and `--at-least`.
  public static func wall(_ text: String, option: String) throws(PolicyError) -> WallName {
    try wall(text, Subject(option: option))
  }

  static func wall(_ text: String, _ subject: Subject) throws(PolicyError) -> WallName {
    if let wall = WallName(rawValue: text) { return wall }
    throw subject.failure("is not a wall: \(WallName.allCases.map(\.rawValue).joined(separator: ", "))", text)
  }

  static func userNamespace(_ text: String, _ subject: Subject) throws(PolicyError) -> UserNamespaceRule {
    if let rule = UserNamespaceRule(rawValue: text) { return rule }
    throw subject.failure("is neither \"auto\" nor \"host\"", text)
  }

  static func systemCalls(_ text: String, _ subject: Subject) throws(PolicyError) -> SystemCallRule {
    if let rule = SystemCallRule(rawValue: text) { return rule }
    throw subject.failure("is neither \"native-harmless\" nor \"strict\"", text)
  }

  static func capabilityMask(_ names: [String], allowAll: Bool, _ subject: Subject) throws(PolicyError) -> UInt64 {
    var mask: UInt64 = 0
    for name in names {
      if allowAll, name.uppercased() == "ALL" {
        mask = CapabilityName.everyMask
      } else if let number = CapabilityName.number(name) {
        mask |= 1 << UInt64(number)
      } else {
        let upper = name.uppercased()
        let near = NearestName.of(upper.hasPrefix("CAP_") ? upper : "CAP_" + upper, among: CapabilityName.all)
        throw subject.failure(
          "is not a capability" + (near.map { ": did you mean \($0)?" } ?? " (capabilities(7))"), name)
      }
    }
    return mask
  }

  /// Nil for a name alone that the caller's environment does not have.
  static func environmentVariable(_ text: String, _ subject: Subject, from variable: (String) -> String?)
    throws(PolicyError) -> String?
  {
    let name = String(text.prefix { $0 != "=" })
    if name.isEmpty { throw subject.failure("is not NAME=value", text) }
    if text.utf8.contains(0) { throw subject.failure("has a zero byte in it", text) }
    if name.utf8.contains(where: { $0 <= 32 || $0 == 127 }) {
      throw subject.failure("has a blank or a control character in its name", text)
    }
    if name.utf8.count < text.utf8.count { return text }
    return variable(name).map { name + "=" + $0 }
  }

  private mutating func applySecurityOption(_ text: String, _ subject: Subject, folder: String) throws(PolicyError) {
    // Docker takes both "seccomp=FILE" and the older "seccomp:FILE".
    let name = text.prefix { $0 != "=" && $0 != ":" }
    let value = String(text.dropFirst(name.count + 1))
    switch name {
    case "seccomp":
      processes.seccomp = subject.setting(try Policy.seccompProfile(value, from: folder, subject))
    case "no-new-privileges":
      switch value {
      case "", "true": processes.newPrivileges = subject.setting(false)
      case "false": processes.newPrivileges = subject.setting(true)
      default: throw subject.failure("is neither no-new-privileges=true nor no-new-privileges=false", text)
      }
    case "apparmor", "label", "systempaths", "mask", "unmask", "proc-opts", "writable-cgroups":
      throw subject.failure("is not supported: seccomp=FILE, seccomp=unconfined or no-new-privileges", text)
    default:
      throw subject.failure("is not a security option: seccomp=FILE, seccomp=unconfined or no-new-privileges", text)
    }
  }

  static func seccompProfile(_ text: String, from folder: String?, _ subject: Subject) throws(PolicyError) -> String {
    if text == "default" || text == "unconfined" { return text }
    return try HostPath.parse(text, from: folder, subject)
  }

  private mutating func applyResourceLimit(_ text: String, _ subject: Subject) throws(PolicyError) {
    let name = String(text.prefix { $0 != "=" })
    guard ResourceLimitName.number(name) != nil else {
      throw subject.failure("is not NAME=NUMBER with a name of getrlimit(2)", text)
    }
    let limit: LimitName
    switch name.lowercased() {
    case "nofile": limit = .openFiles
    case "core": limit = .coreSize
    case "fsize": limit = .fileSize
    case "cpu": limit = .cpuTime
    case "nproc": throw subject.failure("is not supported: --pids bounds the processes of the whole box", text)
    case "as", "data", "rss":
      throw subject.failure("is not supported: --memory bounds the memory of the whole box", text)
    default: throw subject.failure("is not supported: nofile, core, fsize or cpu", text)
    }
    let value = String(text.dropFirst(name.count + 1))
    if value.contains(":") {
      let both = value.split(separator: ":", omittingEmptySubsequences: false)
      guard both.count == 2, both[0] == both[1] else {
        throw subject.failure("has a soft limit of its own, which is not supported: one number", text)
      }
    }
    let number = value.split(separator: ":").first.map(String.init) ?? ""
    let wanted = number == "-1" || number == "unlimited" ? "unlimited" : number
    if wanted != "unlimited", wanted.utf8.contains(where: { $0 < 48 || $0 > 57 }) || wanted.isEmpty {
      throw subject.failure("is not NAME=NUMBER", text)
    }
    limits[limit] = try limit.parse(wanted, subject).map { subject.setting($0) }
  }
}

extension DevicePath {
  static func parse(_ text: String, _ subject: Subject) throws(PolicyError) -> DevicePath {
    if text.contains(":") {
      throw subject.failure("renames a device or narrows its use, which is not supported: its path alone", text)
    }
    let path = try HostPath.parse(text, from: nil, subject)
    guard path.hasPrefix("/dev/") else { throw subject.failure("is not in /dev", text) }
    return DevicePath(path)
  }
}

extension NetworkRule {
  /// `--network MODE`: ports already given stay with "user" and refuse the others.
  func mode(_ text: String, _ subject: Subject) throws(PolicyError) -> NetworkRule {
    switch text {
    case "none": return .none
    case "host": return .host
    case "user":
      if case .user = self { return self }
      return .user(ports: [], allowPrivate: false)
    case "bridge", "default", "slirp4netns", "pasta":
      throw subject.failure("is not supported: \"user\" is the network through a user-mode stack", text)
    default:
      throw subject.failure("is not a network: none, host or user", text)
    }
  }

  func adding(port: PortForward, _ subject: Subject) throws(PolicyError) -> NetworkRule {
    guard case .user(var ports, let allowPrivate) = self else {
      throw subject.failure("needs --network user", port.text)
    }
    if let other = ports.first(where: {
      $0.hostPort == port.hostPort && $0.udp == port.udp
        && ($0.address == port.address || $0.address == nil || port.address == nil)
    }) {
      throw subject.failure("takes the host's port of \"\(other.text)\" again", port.text)
    }
    ports.append(port)
    return .user(ports: ports, allowPrivate: allowPrivate)
  }

  func allowingPrivate(_ subject: Subject) throws(PolicyError) -> NetworkRule {
    guard case .user(let ports, _) = self else { throw subject.failure("needs --network user") }
    return .user(ports: ports, allowPrivate: true)
  }
}
