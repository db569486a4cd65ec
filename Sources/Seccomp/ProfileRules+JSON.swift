public import Formats

extension ProfileRules {
  /// Reads `linux.seccomp` of the runtime specification, or a profile file of Docker's or containers-common's, which
  /// add `archMap`, `includes`, `excludes`, `errno`, `defaultErrno`, `comment` and the older `name`.
  ///
  /// What libseccomp makes of a profile is part of what people wrote theirs against, so it is kept (runc's
  /// libcontainer/seccomp, crun's seccomp.c): a rule whose action is the default one is no rule; a rule with two
  /// conditions on one argument means either; rules without conditions win over those with, and the first of them
  /// over the next. Where conditions overlap, libseccomp's answer depends on the order of arguments; here the least
  /// permissive action wins.
  ///
  /// A name no architecture has (a typing error, or a newer kernel's call) is left out and put in `unknownNames`
  /// where the rule would have allowed something, and is refused where the rule was to restrict something.
  /// - Throws: a field that is not known, a value that is not what the specification allows, by name and place.
  public init(json profile: JSONNode, _ context: ProfileContext = ProfileContext()) throws(FormatError) {
    try profile.refuseUnknownKeys(allowed: [
      "defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "flags", "listenerPath",
      "listenerMetadata", "syscalls",
    ])
    self.init(
      defaultAction: try profile.action("defaultAction", errnoRet: "defaultErrnoRet", errno: "defaultErrno"),
      architectures: try profile.architectures(context), flags: try profile.filterFlags())
    listenerPath = try profile.optionalString("listenerPath").flatMap { $0.isEmpty ? nil : $0 }
    listenerMetadata = try profile.optionalString("listenerMetadata")

    var names = KnownNames(context.machine)
    for node in try profile.optionalArray("syscalls") {
      let rule = try node.rule()
      guard try node.applies(context), rule.action != defaultAction else { continue }
      var known: [String] = []
      known.reserveCapacity(rule.names.count)
      for name in rule.names {
        if names.contains(name) {
          known.append(name)
        } else if rule.action.permissiveness < defaultAction.permissiveness {
          throw FormatError(
            "is not a system call, but the rule is to restrict it", offending: name, keyPath: node.keyPath)
        } else {
          unknownNames.append(name)
        }
      }
      for conditions in rule.alternatives { rules.append(ProfileRule(known, rule.action, conditions)) }
    }
    // Swift's sort keeps the order of equals.
    rules.sort { one, other in
      one.conditions.isEmpty != other.conditions.isEmpty
        ? one.conditions.isEmpty
        : !one.conditions.isEmpty && one.action.permissiveness < other.action.permissiveness
    }
    if usesNotify, listenerPath == nil {
      throw profile.failure("asks for SCMP_ACT_NOTIFY, which needs a listenerPath")
    }
    if flags.contains(.waitKillable), !usesNotify {
      throw profile.failure("has SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, which needs a rule with SCMP_ACT_NOTIFY")
    }
  }
}

extension SeccompProfile {
  /// A profile from JSON; see `ProfileRules.init(json:)`.
  /// - Parameter source: the document's name in errors.
  public init(json bytes: [UInt8], source: String, _ context: ProfileContext = ProfileContext()) throws(FormatError) {
    let node = try JSONNode.parse(bytes, source: source)
    do { self.init(try ProfileRules(json: node, context)) } catch { throw error.from(source) }
  }

  /// A profile from a value of a document that was read already (`linux.seccomp` of a configuration).
  public init(
    json node: JSONNode, capabilities: UInt64, kernel: (major: UInt32, minor: UInt32) = (5, 11)
  ) throws(FormatError) {
    self.init(try ProfileRules(json: node, ProfileContext(capabilities: capabilities, kernel: kernel)))
  }
}

extension ProfileRule {
  /// The conjunctions of which one must hold: libseccomp takes each argument once a rule, so runc and crun make one
  /// rule of each condition where an argument occurs twice.
  fileprivate var alternatives: [[ArgumentCondition]] {
    var seen: UInt8 = 0
    for condition in conditions {
      if seen & (1 << condition.index) != 0 { return conditions.map { [$0] } }
      seen |= 1 << condition.index
    }
    return [conditions]
  }
}

extension JSONNode {
  fileprivate func rule() throws(FormatError) -> ProfileRule {
    try refuseUnknownKeys(allowed: [
      "name", "names", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes",
    ])
    var names = try optionalStrings("names") ?? []
    if let name = try optionalString("name"), !name.isEmpty { names.append(name) }
    if names.isEmpty { throw failure("names no system call") }
    var conditions: [ArgumentCondition] = []
    for argument in try optionalArray("args") { conditions.append(try argument.condition()) }
    return ProfileRule(names, try action("action", errnoRet: "errnoRet", errno: "errno"), conditions)
  }

  private func condition() throws(FormatError) -> ArgumentCondition {
    try refuseUnknownKeys(allowed: ["index", "value", "valueTwo", "op"])
    let indexNode = try required("index")
    let index = try indexNode.integer(UInt8.self)
    guard index < 6 else { throw indexNode.failure("is not an argument's index: 0 to 5") }
    let operatorNode = try required("op")
    guard let comparison = Comparison(rawValue: try operatorNode.string()) else {
      throw operatorNode.failure("is not an operator of the runtime specification")
    }
    return ArgumentCondition(
      index, comparison, try integer("value"), try optionalInteger("valueTwo", UInt64.self) ?? 0)
  }

  fileprivate func action(_ key: String, errnoRet: String, errno: String) throws(FormatError) -> Action {
    let node = try required(key)
    var number = try optionalInteger(errnoRet, UInt16.self)
    if let name = try optional(errno), try !name.string().isEmpty {
      guard let named = ErrnoName.number(of: try name.string()) else { throw name.failure("is not an error's name") }
      guard number == nil || number == named else {
        throw name.failure("is error \(named), but \(errnoRet) says \(number ?? 0)")
      }
      number = named
    }
    switch try node.string() {
    case "SCMP_ACT_ERRNO":
      let errno = number ?? DefaultProfile.notPermitted
      guard errno <= 4095 else { throw try required(errnoRet).failure("is no error number: 0 to 4095") }
      return .errno(errno)
    case "SCMP_ACT_TRACE": return .trace(number ?? DefaultProfile.notPermitted)
    case let name:
      let plain: [String: Action] = [
        "SCMP_ACT_KILL": .killThread, "SCMP_ACT_KILL_THREAD": .killThread, "SCMP_ACT_KILL_PROCESS": .killProcess,
        "SCMP_ACT_TRAP": .trap, "SCMP_ACT_NOTIFY": .notify, "SCMP_ACT_LOG": .log, "SCMP_ACT_ALLOW": .allow,
      ]
      guard let action = plain[name] else { throw node.failure("is not an action of the runtime specification") }
      if number != nil { throw node.failure("takes no \(errnoRet)") }
      return action
    }
  }

  private func architecture() throws(FormatError) -> Architecture {
    guard let architecture = Architecture(rawValue: try string()) else {
      throw failure("is not an architecture of the runtime specification")
    }
    return architecture
  }

  fileprivate func architectures(_ context: ProfileContext) throws(FormatError) -> [Architecture] {
    var listed: [Architecture] = []
    for node in try optionalArray("architectures") { listed.append(try node.architecture()) }
    let map = try optionalArray("archMap")
    if !listed.isEmpty, !map.isEmpty { throw failure("has both architectures and archMap: which is meant?") }
    for node in map {
      try node.refuseUnknownKeys(allowed: ["architecture", "subArchitectures"])
      let architecture = try node.required("architecture").architecture()
      var others: [Architecture] = []
      for other in try node.optionalArray("subArchitectures") { others.append(try other.architecture()) }
      if architecture == context.machine { listed = [architecture] + others }
    }
    return listed
  }

  fileprivate func filterFlags() throws(FormatError) -> FilterFlags {
    var flags: FilterFlags = []
    for node in try optionalArray("flags") {
      switch try node.string() {
      case "SECCOMP_FILTER_FLAG_TSYNC": flags.insert(.tsync)
      case "SECCOMP_FILTER_FLAG_LOG": flags.insert(.log)
      case "SECCOMP_FILTER_FLAG_SPEC_ALLOW": flags.insert(.specAllow)
      case "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": flags.insert(.waitKillable)
      default: throw node.failure("is not a filter flag of the runtime specification")
      }
    }
    return flags
  }

  /// Whether `includes` and `excludes` let the rule stand: every capability and some architecture of the one, none
  /// of the other (moby/profiles, seccomp_linux.go).
  fileprivate func applies(_ context: ProfileContext) throws(FormatError) -> Bool {
    if let includes = try optional("includes") {
      let filter = try includes.filter()
      if filter.capabilities & ~context.capabilities != 0 { return false }
      if let arches = filter.arches, !arches.contains(context.machine.dockerName) { return false }
      if let least = filter.kernel, context.kernel < least { return false }
    }
    if let excludes = try optional("excludes") {
      let filter = try excludes.filter()
      if filter.capabilities & context.capabilities != 0 { return false }
      if filter.arches?.contains(context.machine.dockerName) == true { return false }
      if let least = filter.kernel, context.kernel >= least { return false }
    }
    return true
  }

  private func filter() throws(FormatError) -> (
    capabilities: UInt64, arches: [String]?, kernel: (major: UInt32, minor: UInt32)?
  ) {
    try refuseUnknownKeys(allowed: ["caps", "arches", "minKernel"])
    var capabilities: UInt64 = 0
    for node in try optionalArray("caps") {
      guard let number = CapabilityName.number(try node.string()) else { throw node.failure("is not a capability") }
      capabilities |= 1 << UInt64(number)
    }
    let arches = try optionalStrings("arches")
    return (capabilities, arches?.isEmpty == true ? nil : arches, try optional("minKernel")?.kernelVersion())
  }

  private func kernelVersion() throws(FormatError) -> (major: UInt32, minor: UInt32) {
    let parts = try string().split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let major = UInt32(parts[0]), let minor = UInt32(parts[1]) else {
      throw failure("is not a kernel version: MAJOR.MINOR")
    }
    return (major, minor)
  }
}
