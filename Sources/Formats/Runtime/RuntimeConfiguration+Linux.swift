/// `linux` of config.json (config-linux.md).
extension ConfigurationReader {
  mutating func linux(_ node: JSONNode, _ configuration: inout RuntimeConfiguration) throws(FormatError) {
    try check(node, .linux)
    configuration.namespaces = try namespaces(node.optionalArray("namespaces"))
    configuration.userMappings = try mappings(node.optionalArray("uidMappings"))
    configuration.groupMappings = try mappings(node.optionalArray("gidMappings"))
    configuration.timeOffsets = try timeOffsets(node.optional("timeOffsets"))
    for device in try node.optionalArray("devices") { configuration.devices.append(try self.device(device)) }
    configuration.netDevices = try netDevices(node.optional("netDevices"))
    configuration.cgroupsPath = try node.optionalString("cgroupsPath").flatMap { $0.isEmpty ? nil : $0 }
    if let resources = try node.optional("resources") { configuration.resources = try self.resources(resources) }
    if let propagation = try node.optional("rootfsPropagation"), try !propagation.string().isEmpty {
      let words = ["private", "slave", "shared", "unbindable", "rprivate", "rslave", "rshared", "runbindable"]
      configuration.rootPropagation = words[try Self.index(propagation, in: words, what: "propagation")]
    }
    if let seccomp = try node.optional("seccomp") {
      _ = try seccomp.object()
      configuration.seccomp = seccomp.value
    }
    configuration.maskedPaths = try paths(node.optionalArray("maskedPaths"))
    configuration.readonlyPaths = try paths(node.optionalArray("readonlyPaths"))
    configuration.sysctl = try Self.dictionary(node.optional("sysctl"))
    if let personality = try node.optional("personality") {
      try check(personality, .personality)
      if let domain = try personality.optional("domain"), try !domain.string().isEmpty {
        let domains = PersonalityConfiguration.allCases
        configuration.personality =
          domains[try Self.index(domain, in: domains.map(\.rawValue), what: "execution domain")]
      }
    }
    try agree(configuration, node)
  }

  /// What one field needs of another.
  private func agree(_ configuration: RuntimeConfiguration, _ node: JSONNode) throws(FormatError) {
    let new = configuration.namespaces
    func has(_ kind: NamespaceKind) -> Bool { new.contains { $0.kind == kind } }
    if configuration.userMappings.isEmpty != configuration.groupMappings.isEmpty {
      throw node.failure("has one of uidMappings and gidMappings only")
    }
    if !configuration.userMappings.isEmpty && !has(.user) {
      throw try node.required("uidMappings").failure("need a namespace of type user")
    }
    if !configuration.timeOffsets.isEmpty && !new.contains(where: { $0.kind == .time && $0.path == nil }) {
      throw try node.required("timeOffsets").failure("need a new namespace of type time")
    }
    if !configuration.netDevices.isEmpty && !has(.network) {
      throw try node.required("netDevices").failure("need a namespace of type network")
    }
    for (name, kind) in [(configuration.hostname, "hostname"), (configuration.domainname, "domainname")]
    where name != nil && !has(.uts) {
      throw FormatError(
        "needs a namespace of type uts: it would be the machine's", offending: name ?? "", keyPath: kind,
        source: node.source)
    }
  }

  private func paths(_ nodes: [JSONNode]) throws(FormatError) -> [String] {
    var paths: [String] = []
    for node in nodes { paths.append(try Self.absolutePath(node)) }
    return paths
  }

  private mutating func namespaces(_ nodes: [JSONNode]) throws(FormatError) -> [NamespaceConfiguration] {
    var result: [NamespaceConfiguration] = []
    let kinds = NamespaceKind.allCases
    for node in nodes {
      try check(node, .namespace)
      let type = try node.required("type")
      let kind = kinds[try Self.index(type, in: kinds.map(\.rawValue), what: "kind of namespace")]
      if result.contains(where: { $0.kind == kind }) { throw type.failure("is there twice") }
      var path: String?
      if let place = try node.optional("path"), try !place.string().isEmpty { path = try Self.absolutePath(place) }
      result.append(NamespaceConfiguration(kind, path: path))
    }
    return result
  }

  private mutating func timeOffsets(_ node: JSONNode?) throws(FormatError) -> [TimeOffset] {
    guard let node else { return [] }
    var result: [TimeOffset] = []
    for (key, offset) in try node.members() {
      guard let clock = TimeOffset.Clock(rawValue: key) else {
        throw FormatError(
          "is no clock that a time namespace has: monotonic, boottime", offending: key, keyPath: node.keyPath,
          source: node.source)
      }
      try check(offset, .timeOffset)
      let nanoseconds = try offset.optionalInteger("nanosecs", UInt32.self) ?? 0
      guard nanoseconds < 1_000_000_000 else {
        throw try offset.required("nanosecs").failure("is a second or more")
      }
      result.append(
        TimeOffset(clock: clock, seconds: try offset.optionalInteger("secs") ?? 0, nanoseconds: nanoseconds))
    }
    return result
  }

  private mutating func device(_ node: JSONNode) throws(FormatError) -> DeviceConfiguration {
    try check(node, .device)
    let type = try node.required("type")
    let letter = try type.string()
    // "u" is an unbuffered character device, as mknod(1) has it.
    guard let kind = letter == "u" ? .character : DeviceConfiguration.Kind(rawValue: letter) else {
      throw type.failure("is none of c, b, u and p")
    }
    func number(_ key: String, below limit: UInt32) throws(FormatError) -> UInt32 {
      guard let number = try kind == .fifo ? node.optional(key) : node.required(key) else { return 0 }
      let value = try number.integer(UInt32.self)
      guard value < limit else { throw number.failure("is no \(key) device number: below \(limit)") }
      return value
    }
    var device = DeviceConfiguration(
      path: try Self.absolutePath(node.required("path")), kind: kind, major: try number("major", below: 1 << 12),
      minor: try number("minor", below: 1 << 20))
    if let mode = try node.optional("fileMode") {
      // Go's os.FileMode may carry the file's kind above the permissions.
      device.mode = try mode.integer(UInt32.self) & 0o7777
    }
    device.user = try id(node.optional("uid")) ?? 0
    device.group = try id(node.optional("gid")) ?? 0
    return device
  }

  private mutating func netDevices(_ node: JSONNode?) throws(FormatError) -> [NetDeviceConfiguration] {
    guard let node else { return [] }
    func isName(_ name: String) -> Bool {
      (1...15).contains(name.utf8.count) && name != "." && name != ".."
        && name.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") && $0 < 0x7f }
    }
    var result: [NetDeviceConfiguration] = []
    for (outside, device) in try node.members() {
      try check(device, .netDevice)
      let inside = try device.optionalString("name").flatMap { $0.isEmpty ? nil : $0 } ?? outside
      for name in [outside, inside] where !isName(name) {
        throw FormatError(
          "is no network device's name", offending: name, keyPath: device.keyPath, source: device.source)
      }
      if result.contains(where: { $0.inside == inside }) {
        throw device.failure("has the name \(inside) of another device")
      }
      result.append(NetDeviceConfiguration(outside: outside, inside: inside))
    }
    return result
  }
}
