extension RuntimeConfiguration {
  /// Reads config.json. Every field of the runtime specification for Linux is held in the value or refused by name; fields that the
  /// specification does not know are listed in `ignoredFields`. `linux.seccomp` is left to the Seccomp module.
  /// - Parameter source: the document's name in errors.
  public static func read(_ bytes: [UInt8], source: String) throws(FormatError) -> RuntimeConfiguration {
    let node = try JSONNode.parse(bytes, source: source)
    try ConfigurationReader.refuseNUL(in: bytes, node)
    var reader = ConfigurationReader()
    var configuration = try reader.configuration(node)
    configuration.ignoredFields = reader.ignored
    return configuration
  }
}

extension ConfigurationReader {
  mutating func configuration(_ node: JSONNode) throws(FormatError) -> RuntimeConfiguration {
    try check(node, .root)
    var configuration = RuntimeConfiguration()
    configuration.ociVersion = try version(node.required("ociVersion"))
    let root = try node.required("root")
    try check(root, .rootFilesystem)
    configuration.rootPath = try root.string("path")
    if configuration.rootPath?.isEmpty == true { throw try root.required("path").failure("must name a folder") }
    configuration.rootReadOnly = try root.optionalBool("readonly") ?? false
    for mount in try node.optionalArray("mounts") { configuration.mounts.append(try self.mount(mount)) }
    configuration.process = try process(node.required("process"))
    configuration.hostname = try name(node.optional("hostname"))
    configuration.domainname = try name(node.optional("domainname"))
    if let hooks = try node.optional("hooks") { configuration.hooks = try self.hooks(hooks) }
    configuration.annotations = try Self.dictionary(node.optional("annotations"))
    if let linux = try node.optional("linux") { try self.linux(linux, &configuration) }
    return configuration
  }

  /// 1.x of semver, with what may follow after "-" and "+".
  private func version(_ node: JSONNode) throws(FormatError) -> String {
    let text = try node.string()
    let number = text.prefix { $0 != "-" && $0 != "+" }
    let parts = number.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, parts.allSatisfy({ UInt32($0) != nil }) else { throw node.failure("is no version") }
    guard parts[0] == "1" else { throw node.failure("is a version of the specification that is not read here: 1.x") }
    return text
  }

  /// sethostname(2) and setdomainname(2) take 64 bytes.
  private func name(_ node: JSONNode?) throws(FormatError) -> String? {
    guard let node, try !node.string().isEmpty else { return nil }
    let name = try node.string()
    guard name.utf8.count <= 64 else { throw node.failure("has more than 64 bytes") }
    return name
  }

  private mutating func mount(_ node: JSONNode) throws(FormatError) -> MountConfiguration {
    try check(node, .mount)
    let place = try node.required("destination")
    var destination = try place.string()
    if destination.isEmpty { throw place.failure("must name a place") }
    // The specification lets a relative one pass, as beneath "/" (config.md, "Mounts").
    if !destination.hasPrefix("/") { destination = "/" + destination }
    var mount = MountConfiguration(
      destination: destination, type: try node.optionalString("type") ?? "",
      source: try node.optionalString("source") ?? "", options: try node.optionalStrings("options") ?? [])
    var isBind = mount.type == "bind" || mount.type == "rbind"
    var maps = false
    for option in mount.options {
      switch MountOption.effect(of: option) {
      case .bind: isBind = true
      case .idMap: maps = true
      default: break
      }
    }
    for (index, option) in mount.options.enumerated() where MountOption.effect(of: option) == nil {
      let element = JSONNode(
        .string(option), path: .index(.key(node.path, "options"), index), source: node.source)
      if let refusal = MountOption.refused.first(where: { $0.name == option }) {
        throw element.failure("not supported: \(refusal.why)")
      }
      if isBind && !option.isEmpty {
        let words = MountOption.all.map(\.name)
        throw Self.unknown(element, option, among: words, what: "option of a bind mount")
      }
    }
    mount.options.removeAll(where: \.isEmpty)
    if mount.type.isEmpty && !isBind {
      throw FormatError(
        "is missing, and \"bind\" is not among the options", offending: "type", keyPath: node.keyPath,
        source: node.source)
    }
    mount.userMappings = try mappings(node.optionalArray("uidMappings"))
    mount.groupMappings = try mappings(node.optionalArray("gidMappings"))
    if mount.userMappings.isEmpty != mount.groupMappings.isEmpty {
      throw node.failure("has one of uidMappings and gidMappings only")
    }
    if (maps || !mount.userMappings.isEmpty) && !isBind {
      throw node.failure("is to be idmapped and is not a bind mount")
    }
    return mount
  }

  private mutating func hooks(_ node: JSONNode) throws(FormatError) -> HookConfiguration {
    try check(node, .hooks)
    var hooks = HookConfiguration()
    for moment in HookConfiguration.Moment.allCases {
      var list: [HookConfiguration.Hook] = []
      for hook in try node.optionalArray(moment.rawValue) {
        try check(hook, .hook)
        let path = try Self.absolutePath(hook.required("path"))
        var timeout: UInt32?
        if let seconds = try hook.optional("timeout") {
          let number = try seconds.integer(Int32.self)
          guard number > 0 else { throw seconds.failure("is no time: at least 1 second") }
          timeout = UInt32(number)
        }
        list.append(
          HookConfiguration.Hook(
            path: path, arguments: try hook.optionalStrings("args") ?? [],
            environment: try Self.environment(hook.optional("env")), timeout: timeout))
      }
      hooks[moment] = list
    }
    return hooks
  }
}
