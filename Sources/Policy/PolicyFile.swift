import Formats

/// A policy in TOML: docs/policy.md has the keys. Every rule it sets is binding and knows its line.
public enum PolicyFile {
  /// Larger ones are refused before they are parsed.
  public static let largest = 1 << 20

  /// Takes a file's rules over another policy, as a rule the built-in defaults.
  /// - Parameters:
  ///   - path: the file as errors and `explain` name it.
  ///   - folder: the absolute folder it lies in, from where a seccomp profile's relative path starts; nil refuses one.
  public static func read(_ bytes: [UInt8], path: String, folder: String? = nil, over base: Policy)
    throws(PolicyError) -> Policy
  {
    let whole = Subject("", origin: .file(path: path, line: 1))
    if bytes.count > largest {
      throw whole.failure("has \(bytes.count) bytes: a policy has at most \(Quantity.bytes(UInt64(largest)))")
    }
    let document: TOMLNode
    do { document = try TOMLNode.parse(bytes, source: path) } catch { throw PolicyError(error, path: path) }
    var reader = Reader(path: path, folder: folder, policy: base)
    try reader.root(document)
    return reader.policy
  }

  /// Keys that a later version holds; refused by name so that nobody believes in them before.
  static let later: [String: String] = [
    "secrets": "handing secrets to the code", "network.domains": "an allowlist of domains",
    "network.cidrs": "an allowlist of addresses",
  ]
}

extension PolicyError {
  /// A syntax error of the TOML reader, with its line.
  init(_ error: FormatError, path: String) {
    var line = 1
    switch error.place {
    case .line(let number), .column(let number, _): line = number
    case .unknown, .offset: break
    }
    self.init(
      problem: error.problem, shown: error.offending, subject: error.keyPath, origin: .file(path: path, line: line))
  }
}

/// Walks the tree and fills the policy.
private struct Reader {
  let path: String
  let folder: String?
  var policy: Policy

  func subject(_ node: TOMLNode) -> Subject { Subject(node.keyPath, origin: .file(path: path, line: node.line)) }

  func mismatch(_ node: TOMLNode, _ wanted: String) -> PolicyError {
    PolicyError(node.failure("is \(node.value.kind) where \(wanted) should be"), path: path)
  }

  // MARK: Tables

  mutating func root(_ node: TOMLNode) throws(PolicyError) {
    for (key, node) in try entries(
      node, ["at_least", "files", "network", "processes", "limits", "devices", "environment"])
    {
      switch key {
      case "at_least": policy.floor = subject(node).setting(try Policy.wall(try string(node), subject(node)))
      case "files": try files(node)
      case "network": try network(node)
      case "processes": try processes(node)
      case "limits": try limits(node)
      case "devices":
        for node in try array(node, "an array of paths in /dev") {
          policy.set(try DevicePath.parse(try string(node), subject(node)), subject(node).origin)
        }
      default: try environment(node)
      }
    }
  }

  mutating func files(_ node: TOMLNode) throws(PolicyError) {
    var lines: [String: Int] = [:]
    for (key, node) in try entries(node, ["read", "write", "hidden"]) {
      guard let access = FileRule.Access(rawValue: key) else { continue }
      for node in try array(node, "an array of paths") {
        let rule = try file(access, node)
        if let line = lines[rule.destination] {
          throw subject(node).failure("already has a rule on line \(line)", rule.destination)
        }
        lines[rule.destination] = node.line
        policy.set(rule, subject(node).origin)
      }
    }
  }

  /// "/host", "/host:/box", or a table that also takes paths with colons and says `sockets`.
  func file(_ access: FileRule.Access, _ node: TOMLNode) throws(PolicyError) -> FileRule {
    let subject = subject(node)
    var rule: FileRule
    switch node.value {
    case .string(let text):
      if access == .hidden { return FileRule(.hidden, try HostPath.parse(text, from: nil, subject)) }
      let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      if parts.count > 2 {
        throw subject.failure("has two colons: write { path = \"…\", at = \"…\" } for a path that has one", text)
      }
      let source = try HostPath.parse(parts[0], from: nil, subject)
      rule = FileRule(access, source, at: try HostPath.parseDestination(parts.count == 2 ? parts[1] : source, subject))
    case .table:
      var source: String?
      var destination: String?
      var sockets = false
      for (key, node) in try entries(node, access == .hidden ? ["path"] : ["path", "at", "sockets"]) {
        switch key {
        case "path": source = try HostPath.parse(try string(node), from: nil, self.subject(node))
        case "at": destination = try HostPath.parseDestination(try string(node), self.subject(node))
        default: sockets = try bool(node)
        }
      }
      guard let source else { throw subject.failure("has no path: { path = \"/host\", at = \"/box\" }") }
      if access == .hidden { return FileRule(.hidden, source) }
      if destination == nil { destination = try HostPath.parseDestination(source, subject) }
      rule = FileRule(access, source, at: destination, sockets: sockets)
    default: throw mismatch(node, "a path or a table with one")
    }
    try rule.refuseSockets(subject)
    return rule
  }

  mutating func network(_ node: TOMLNode) throws(PolicyError) {
    if case .string(let text) = node.value {
      // What a file says about the network replaces what stood before it, ports and all.
      policy.network = subject(node).setting(try NetworkRule.none.mode(text, subject(node)))
      return
    }
    guard case .table = node.value else { throw mismatch(node, "\"none\", \"host\", \"user\" or a table") }
    let members = try entries(node, ["mode", "ports", "allow_private"])
    guard let mode = members.first(where: { $0.key == "mode" })?.node else {
      throw subject(node).failure("has no mode: mode = \"none\", \"host\" or \"user\"")
    }
    var rule = try NetworkRule.none.mode(try string(mode), subject(mode))
    func demandsUser(_ node: TOMLNode) throws(PolicyError) {
      if case .user = rule { return }
      throw subject(node).failure("needs mode = \"user\"")
    }
    for (key, node) in members where key != "mode" {
      try demandsUser(node)
      if key == "allow_private" {
        if try bool(node) { rule = try rule.allowingPrivate(subject(node)) }
      } else {
        for node in try array(node, "an array of \"HOST:BOX\"") {
          rule = try rule.adding(port: try PortForward.parse(try string(node), subject(node)), subject(node))
        }
      }
    }
    policy.network = subject(mode).setting(rule)
  }

  mutating func processes(_ node: TOMLNode) throws(PolicyError) {
    for (key, node) in try entries(
      node, ["new_privileges", "capabilities", "seccomp", "system_calls", "user_namespace", "others"])
    {
      let subject = subject(node)
      switch key {
      case "new_privileges": policy.processes.newPrivileges = subject.setting(try bool(node))
      case "capabilities":
        var mask: UInt64 = 0
        for node in try array(node, "an array of capabilities") {
          mask |= try Policy.capabilityMask([try string(node)], allowAll: false, self.subject(node))
        }
        policy.processes.capabilities = subject.setting(mask)
      case "seccomp":
        policy.processes.seccomp = subject.setting(
          try Policy.seccompProfile(try string(node), from: folder, subject))
      case "system_calls":
        policy.processes.systemCalls = subject.setting(try Policy.systemCalls(try string(node), subject))
      case "user_namespace":
        policy.processes.userNamespace = subject.setting(try Policy.userNamespace(try string(node), subject))
      default:
        switch try string(node) {
        case "hidden": policy.processes.seesHostProcesses = subject.setting(false)
        case "visible": policy.processes.seesHostProcesses = subject.setting(true)
        case let text: throw subject.failure("is neither \"hidden\" nor \"visible\"", text)
        }
      }
    }
  }

  mutating func limits(_ node: TOMLNode) throws(PolicyError) {
    for (key, node) in try entries(node, LimitName.allCases.map(\.rawValue)) {
      guard let name = LimitName(rawValue: key) else { continue }
      let subject = subject(node)
      let text: String
      switch node.value {
      case .string(let string): text = string
      case .integer(let number): text = String(number)
      case .double(let number): text = number.description
      default: throw mismatch(node, "a number or a string")
      }
      policy.limits[name] = try name.parse(text, subject).map { subject.setting($0) }
    }
  }

  mutating func environment(_ node: TOMLNode) throws(PolicyError) {
    guard case .table = node.value else { throw mismatch(node, "a table of NAME = \"value\"") }
    for (key, node) in try members(node) {
      let subject = subject(node)
      if key.utf8.contains(UInt8(ascii: "=")) { throw subject.failure("has = in its name", key) }
      let text = key + "=" + (try string(node))
      if let variable = try Policy.environmentVariable(text, subject, from: { _ in nil }) {
        policy.setEnvironment(variable, subject.origin)
      }
    }
  }

  // MARK: Values

  /// A table's entries, each of them known: one that is not is refused with the nearest known key.
  func entries(_ node: TOMLNode, _ known: [String]) throws(PolicyError) -> [(key: String, node: TOMLNode)] {
    guard case .table = node.value else {
      throw mismatch(node, "a table with \(known.joined(separator: ", "))")
    }
    let members = try members(node)
    for (key, child) in members where !known.contains(key) {
      let name = node.keyPath.isEmpty ? key : node.keyPath + "." + key
      let place = Subject(node.keyPath, origin: .file(path: path, line: child.line))
      if let what = PolicyFile.later[name] {
        throw Subject(name, origin: place.origin).failure("not supported yet: \(what) is not enforced by any wall")
      }
      let hint =
        NearestName.of(key, among: known).map { "did you mean \($0)?" } ?? "known are \(known.joined(separator: ", "))"
      throw place.failure("is not a key of a policy: \(hint)", key)
    }
    return members
  }

  func members(_ node: TOMLNode) throws(PolicyError) -> [(key: String, node: TOMLNode)] {
    do { return try node.members() } catch { throw PolicyError(error, path: path) }
  }

  func string(_ node: TOMLNode) throws(PolicyError) -> String {
    guard case .string(let text) = node.value else { throw mismatch(node, "a string") }
    return text
  }

  func bool(_ node: TOMLNode) throws(PolicyError) -> Bool {
    guard case .bool(let value) = node.value else { throw mismatch(node, "true or false") }
    return value
  }

  func array(_ node: TOMLNode, _ wanted: String) throws(PolicyError) -> [TOMLNode] {
    guard case .array = node.value else { throw mismatch(node, wanted) }
    do { return try node.elements() } catch { throw PolicyError(error, path: path) }
  }
}
