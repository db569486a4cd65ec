extension ResourceConfiguration {
  /// Reads what `update --resources` is given: config-linux.md, "Control groups".
  /// - Parameter ignored: gets the paths of fields that the specification does not know.
  public static func read(_ bytes: [UInt8], source: String, ignored: inout [String]) throws(FormatError)
    -> ResourceConfiguration
  {
    let node = try JSONNode.parse(bytes, source: source)
    try ConfigurationReader.refuseNUL(in: bytes, node)
    var reader = ConfigurationReader()
    let resources = try reader.resources(node)
    ignored = reader.ignored
    return resources
  }
}

extension ConfigurationReader {
  mutating func resources(_ node: JSONNode) throws(FormatError) -> ResourceConfiguration {
    try check(node, .resources)
    var resources = ResourceConfiguration()
    for rule in try node.optionalArray("devices") { resources.deviceRules.append(try deviceRule(rule)) }
    if let memory = try node.optional("memory") { try self.memory(memory, &resources) }
    if let cpu = try node.optional("cpu") { try self.cpu(cpu, &resources) }
    if let pids = try node.optional("pids") {
      try check(pids, .pids)
      resources.pidsLimit = try pids.optionalInteger("limit")
    }
    if let block = try node.optional("blockIO") { try blockIO(block, &resources) }
    for limit in try node.optionalArray("hugepageLimits") {
      try check(limit, .hugepageLimit)
      let size = try limit.required("pageSize")
      resources.hugepageLimits.append(
        HugepageLimit(pageSize: try fileWord(size, "a page size like 2MB"), bytes: try limit.integer("limit")))
    }
    if let network = try node.optional("network") { try self.network(network, &resources) }
    for (device, limits) in try node.optional("rdma")?.members() ?? [] {
      try check(limits, .rdma)
      resources.rdma.append(
        RDMALimit(
          device: device, handles: try limits.optionalInteger("hcaHandles"),
          objects: try limits.optionalInteger("hcaObjects")))
    }
    for (file, value) in try node.optional("unified")?.members() ?? [] {
      // A file of the box's own group and no other: it would name one on the host.
      guard !file.utf8.contains(UInt8(ascii: "/")), file.contains(".") else {
        throw FormatError(
          "is no file of a control group", offending: file, keyPath: value.keyPath, source: value.source)
      }
      resources.unified[file] = try value.string()
    }
    return resources
  }

  private mutating func memory(_ node: JSONNode, _ resources: inout ResourceConfiguration) throws(FormatError) {
    try check(node, .memory)
    func size(_ key: String) throws(FormatError) -> Int64? {
      guard let node = try node.optional(key) else { return nil }
      let size = try node.integer(Int64.self)
      if size < -1 { throw node.failure("is no size in bytes, nor -1 for no limit") }
      return size
    }
    resources.memoryLimit = try size("limit")
    resources.memoryReservation = try size("reservation")
    resources.memorySwapLimit = try size("swap")
    resources.kernelTCPLimit = try size("kernelTCP")
    if let swappiness = try node.optional("swappiness") {
      // Docker writes what Go has for -1, which is "as it is".
      let value = try swappiness.integer(UInt64.self)
      if value != UInt64.max {
        guard value <= 100 else { throw swappiness.failure("is not between 0 and 100") }
        resources.swappiness = value
      }
    }
    resources.disableOOMKiller = try node.optionalBool("disableOOMKiller")
    resources.useHierarchy = try node.optionalBool("useHierarchy")
    resources.checkBeforeUpdate = try node.optionalBool("checkBeforeUpdate")
  }

  private mutating func cpu(_ node: JSONNode, _ resources: inout ResourceConfiguration) throws(FormatError) {
    try check(node, .cpu)
    resources.cpuShares = try node.optionalInteger("shares")
    resources.cpuQuota = try node.optionalInteger("quota")
    resources.cpuBurst = try node.optionalInteger("burst")
    resources.cpuPeriod = try node.optionalInteger("period")
    resources.realtimeRuntime = try node.optionalInteger("realtimeRuntime")
    resources.realtimePeriod = try node.optionalInteger("realtimePeriod")
    if let idle = try node.optional("idle") {
      let value = try idle.integer(Int64.self)
      guard (0...1).contains(value) else { throw idle.failure("is neither 0 nor 1") }
      resources.cpuIdle = value
    }
    resources.cpus = try cpuList(node.optional("cpus"))
    resources.mems = try cpuList(node.optional("mems"))
  }

  private mutating func blockIO(_ node: JSONNode, _ resources: inout ResourceConfiguration) throws(FormatError) {
    try check(node, .blockIO)
    func weight(_ node: JSONNode?) throws(FormatError) -> UInt16? {
      guard let node else { return nil }
      let weight = try node.integer(UInt16.self)
      guard weight == 0 || (10...1000).contains(weight) else { throw node.failure("is not between 10 and 1000") }
      return weight
    }
    resources.blockWeight = try weight(node.optional("weight"))
    for device in try node.optionalArray("weightDevice") {
      try check(device, .weightDevice)
      resources.blockDeviceWeights.append(
        BlockDeviceWeight(
          major: try device.integer("major"), minor: try device.integer("minor"),
          weight: try weight(device.optional("weight")) ?? 0))
    }
    for (key, kind) in Self.throttles {
      for device in try node.optionalArray(key) {
        try check(device, .throttleDevice)
        resources.blockThrottles.append(
          BlockThrottle(
            kind: kind, major: try device.integer("major"), minor: try device.integer("minor"),
            rate: try device.integer("rate")))
      }
    }
  }

  static let throttles: [(String, BlockThrottle.Kind)] = [
    ("throttleReadBpsDevice", .readBytes), ("throttleWriteBpsDevice", .writeBytes),
    ("throttleReadIOPSDevice", .readOperations), ("throttleWriteIOPSDevice", .writeOperations),
  ]

  private mutating func network(_ node: JSONNode, _ resources: inout ResourceConfiguration) throws(FormatError) {
    try check(node, .network)
    resources.networkClass = try node.optionalInteger("classID")
    for priority in try node.optionalArray("priorities") {
      try check(priority, .networkPriority)
      resources.networkPriorities.append(
        NetworkPriority(
          interface: try fileWord(priority.required("name"), "an interface's name"),
          priority: try priority.integer("priority")))
    }
  }

  mutating func deviceRule(_ node: JSONNode) throws(FormatError) -> DeviceRule {
    try check(node, .deviceRule)
    var rule = DeviceRule(
      allow: try node.bool("allow"), type: "a", major: try number(node, "major"), minor: try number(node, "minor"),
      access: "rwm")
    if let type = try node.optional("type"), try !type.string().isEmpty {
      let letter = try type.string()
      guard ["a", "b", "c"].contains(letter) else { throw type.failure("is none of a, b and c") }
      rule.type = Character(letter)
    }
    if let access = try node.optional("access"), try !access.string().isEmpty {
      rule.access = try access.string()
      guard rule.access.allSatisfy({ "rwm".contains($0) }) else { throw access.failure("is not made of r, w and m") }
    }
    return rule
  }

  /// nil and -1 alike are every device.
  private func number(_ node: JSONNode, _ key: String) throws(FormatError) -> Int64? {
    guard let node = try node.optional(key) else { return nil }
    let number = try node.integer(Int64.self)
    if number < -1 || number > UInt32.max { throw node.failure("is no device number, nor -1 for all") }
    return number == -1 ? nil : number
  }

  /// What becomes a part of a file's name or of a line that the kernel reads.
  private func fileWord(_ node: JSONNode, _ what: String) throws(FormatError) -> String {
    let word = try node.string()
    guard !word.isEmpty, word.utf8.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: "/") && $0 != 0x7f }) else {
      throw node.failure("is not \(what)")
    }
    return word
  }
}
