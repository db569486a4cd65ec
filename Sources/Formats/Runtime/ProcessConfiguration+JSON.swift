extension ProcessConfiguration {
  /// Reads the file that `exec --process` is given: config.md, "Process".
  /// - Parameter ignored: gets the paths of fields that the specification does not know.
  public static func read(_ bytes: [UInt8], source: String, ignored: inout [String]) throws(FormatError)
    -> ProcessConfiguration
  {
    let node = try JSONNode.parse(bytes, source: source)
    try ConfigurationReader.refuseNUL(in: bytes, node)
    var reader = ConfigurationReader()
    let process = try reader.process(node)
    ignored = reader.ignored
    return process
  }
}

extension ConfigurationReader {
  mutating func process(_ node: JSONNode) throws(FormatError) -> ProcessConfiguration {
    try check(node, .process)
    var process = ProcessConfiguration()
    process.terminal = try node.optionalBool("terminal") ?? false
    process.arguments = try node.strings("args")
    guard process.arguments.first?.isEmpty == false else {
      throw try node.required("args").failure("must name a program")
    }
    process.environment = try Self.environment(node.optional("env"))
    process.workingDirectory = try Self.absolutePath(node.required("cwd"))
    if let user = try node.optional("user") { process.user = try self.user(user) }
    if let sets = try node.optional("capabilities") { process.capabilities = try capabilities(sets) }
    process.rlimits = try rlimits(node.optionalArray("rlimits"))
    process.noNewPrivileges = try node.optionalBool("noNewPrivileges") ?? false
    if let score = try node.optional("oomScoreAdj") {
      let value = try score.integer(Int32.self)
      guard (-1000...1000).contains(value) else { throw score.failure("is not between -1000 and 1000") }
      process.oomScoreAdjustment = value
    }
    if let size = try node.optional("consoleSize") {
      try check(size, .consoleSize)
      process.consoleSize = ConsoleSize(height: try size.integer("height"), width: try size.integer("width"))
    }
    process.scheduler = try scheduler(node.optional("scheduler"))
    process.ioPriority = try ioPriority(node.optional("ioPriority"))
    if let affinity = try node.optional("execCPUAffinity") {
      try check(affinity, .cpuAffinity)
      process.cpuAffinity = CPUAffinityConfiguration(
        initial: try cpuList(affinity.optional("initial")), final: try cpuList(affinity.optional("final")))
    }
    return process
  }

  private mutating func user(_ node: JSONNode) throws(FormatError) -> UserConfiguration {
    try check(node, .user)
    var user = UserConfiguration()
    // Documents of Go's have both, though zero; a missing one is 0 to every runtime.
    user.user = try id(node.optional("uid")) ?? 0
    user.group = try id(node.optional("gid")) ?? 0
    for group in try node.optionalArray("additionalGids") { user.additionalGroups.append(try id(group) ?? 0) }
    if let umask = try node.optional("umask") {
      let mask = try umask.integer(UInt32.self)
      guard mask <= 0o777 else { throw umask.failure("is no umask: 0 to 511, in decimal") }
      user.umask = mask
    }
    return user
  }

  /// (uid_t)-1 means "leave it" to setuid(2), and so the runtime's own.
  func id(_ node: JSONNode?) throws(FormatError) -> UInt32? {
    guard let node else { return nil }
    let id = try node.integer(UInt32.self)
    if id == UInt32.max { throw node.failure("is no id: 0 to 4294967294") }
    return id
  }

  private mutating func capabilities(_ node: JSONNode) throws(FormatError) -> CapabilityConfiguration {
    try check(node, .capabilities)
    func mask(_ key: String) throws(FormatError) -> UInt64 {
      var mask: UInt64 = 0
      for element in try node.optionalArray(key) {
        mask |= 1 << UInt64(try Self.index(element, in: CapabilityName.all, what: "capability of Linux"))
      }
      return mask
    }
    var sets = CapabilityConfiguration()
    sets.bounding = try mask("bounding")
    sets.effective = try mask("effective")
    sets.permitted = try mask("permitted")
    sets.inheritable = try mask("inheritable")
    sets.ambient = try mask("ambient")
    return sets
  }

  private mutating func rlimits(_ nodes: [JSONNode]) throws(FormatError) -> [ResourceLimit] {
    var limits: [ResourceLimit] = []
    for node in nodes {
      try check(node, .rlimit)
      let type = try node.required("type")
      let kind = Int32(try Self.index(type, in: ResourceLimitName.all, what: "resource limit"))
      if limits.contains(where: { $0.kind == kind }) { throw type.failure("is there twice") }
      let limit = ResourceLimit(kind: kind, soft: try node.integer("soft"), hard: try node.integer("hard"))
      if limit.soft > limit.hard {
        throw try node.required("soft").failure("is above the hard limit \(limit.hard) of \(try type.string())")
      }
      limits.append(limit)
    }
    return limits
  }

  private mutating func scheduler(_ node: JSONNode?) throws(FormatError) -> SchedulerConfiguration? {
    guard let node else { return nil }
    try check(node, .scheduler)
    let policies = SchedulerConfiguration.Policy.allCases
    let policyNode = try node.required("policy")
    if try policyNode.string().isEmpty, try node.object().allSatisfy({ $0.value.saysNothing }) { return nil }
    var scheduler = SchedulerConfiguration(
      policy: policies[try Self.index(policyNode, in: policies.map(\.name), what: "scheduling policy")])
    if let nice = try node.optional("nice") {
      scheduler.nice = try nice.integer()
      guard (-20...19).contains(scheduler.nice) else { throw nice.failure("is not between -20 and 19") }
    }
    scheduler.priority = try node.optionalInteger("priority") ?? 0
    for flag in try node.optionalArray("flags") {
      scheduler.flags |=
        1 << UInt64(try Self.index(flag, in: SchedulerConfiguration.flagNames, what: "scheduling flag"))
    }
    scheduler.runtime = try node.optionalInteger("runtime") ?? 0
    scheduler.deadline = try node.optionalInteger("deadline") ?? 0
    scheduler.period = try node.optionalInteger("period") ?? 0
    return scheduler
  }

  private mutating func ioPriority(_ node: JSONNode?) throws(FormatError) -> IOPriorityConfiguration? {
    guard let node else { return nil }
    try check(node, .ioPriority)
    let kinds = IOPriorityConfiguration.Class.allCases
    let kind = kinds[try Self.index(node.required("class"), in: kinds.map(\.name), what: "I/O priority class")]
    guard let level = try node.optional("priority") else { return IOPriorityConfiguration(kind: kind, level: 0) }
    let number = try level.integer(UInt32.self)
    guard number < 8 else { throw level.failure("is no I/O priority: 0 to 7") }
    return IOPriorityConfiguration(kind: kind, level: number)
  }

  func cpuList(_ node: JSONNode?) throws(FormatError) -> String? {
    guard let node, try !node.string().isEmpty else { return nil }
    let text = try node.string()
    guard CPUList.numbers(text) != nil else { throw node.failure("is no list of numbers like 0-3,7") }
    return text
  }
}
