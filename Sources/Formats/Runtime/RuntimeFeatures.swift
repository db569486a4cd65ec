/// What `features` says (features.md, features-linux.md): each list is the one that the reader works by.
public struct RuntimeFeatures: Sendable {
  /// What the Seccomp module takes: it stands above this one.
  public struct Seccomp: Sendable {
    public var actions: [String]
    public var operators: [String]
    public var architectures: [String]
    public var flags: [String]
    public init(actions: [String], operators: [String], architectures: [String], flags: [String]) {
      self.actions = actions
      self.operators = operators
      self.architectures = architectures
      self.flags = flags
    }
  }
  public var seccomp: Seccomp
  /// Limits of cgroups as systemd units.
  public var hasSystemd: Bool
  public init(seccomp: Seccomp, hasSystemd: Bool) {
    self.seccomp = seccomp
    self.hasSystemd = hasSystemd
  }

  public var json: JSONValue {
    func list(_ names: [String]) -> JSONValue { .array(names.map { .string($0) }) }
    let refused = SpecificationObject.linux.refused.map(\.name)
    func has(_ field: String) -> JSONValue {
      .object(Self.object([("enabled", .bool(SpecificationObject.linux.held.contains(field)))]))
    }
    var linux: [(String, JSONValue)] = [
      ("namespaces", list(NamespaceKind.allCases.map(\.rawValue).sorted())), ("capabilities", list(CapabilityName.all)),
      (
        "cgroup",
        .object(
          Self.object([
            ("v1", true), ("v2", true), ("systemd", .bool(hasSystemd)), ("systemdUser", .bool(hasSystemd)),
            ("rdma", .bool(SpecificationObject.resources.held.contains("rdma"))),
          ]))
      ),
      (
        "seccomp",
        .object(
          Self.object([
            ("enabled", true), ("actions", list(seccomp.actions)), ("operators", list(seccomp.operators)),
            ("archs", list(seccomp.architectures)), ("knownFlags", list(seccomp.flags)),
            ("supportedFlags", list(seccomp.flags)),
          ]))
      ),
      ("apparmor", .object(Self.object([("enabled", false)]))),
      ("selinux", .object(Self.object([("enabled", false)]))),
      ("mountExtensions", .object(Self.object([("idmap", .object(Self.object([("enabled", true)])))]))),
      ("netDevices", has("netDevices")),
    ]
    linux.append(("intelRdt", has("intelRdt")))
    if refused.contains("memoryPolicy") {
      linux.append(("memoryPolicy", .object(Self.object([("modes", list([])), ("flags", list([]))]))))
    }
    return .object(
      Self.object([
        ("ociVersionMin", "1.0.0"), ("ociVersionMax", .string(RuntimeConfiguration.specificationVersion)),
        ("hooks", list(SpecificationObject.hooks.held)), ("mountOptions", list(MountOption.all.map(\.name).sorted())),
        ("linux", .object(Self.object(linux))),
      ]))
  }

  private static func object(_ members: [(String, JSONValue)]) -> JSONObject {
    var object = JSONObject()
    for (key, value) in members { object[key] = value }
    return object
  }
}
