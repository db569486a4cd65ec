import Formats

extension Policy {
  /// Every rule in the order people read them: files, network, processes, limits, devices, environment.
  public var rules: [Rule] {
    var rules: [Rule] = []
    for file in files {
      rules.append(
        Rule(
          .files(file.value), name: "files.\(file.value.access.rawValue)", value: file.value.text,
          origin: file.origin))
    }
    rules.append(Rule(.network(network.value), name: "network", value: network.value.text, origin: network.origin))
    rules.append(
      Rule(
        .hostProcesses, name: "processes.others", value: processes.seesHostProcesses.value ? "visible" : "hidden",
        origin: processes.seesHostProcesses.origin))
    rules.append(
      Rule(
        .newPrivileges(processes.newPrivileges.value), name: "processes.new_privileges",
        value: processes.newPrivileges.value ? "allowed" : "refused", origin: processes.newPrivileges.origin))
    rules.append(
      Rule(
        .userNamespace(processes.userNamespace.value), name: "processes.user_namespace",
        value: processes.userNamespace.value.rawValue, origin: processes.userNamespace.origin))
    rules.append(
      Rule(
        .capabilities, name: "processes.capabilities", value: processes.capabilitiesText,
        origin: processes.capabilities?.origin ?? .builtIn))
    rules.append(
      Rule(
        .seccomp(processes.seccomp.value), name: "processes.seccomp", value: processes.seccomp.value,
        origin: processes.seccomp.origin))
    if let calls = processes.systemCalls {
      rules.append(
        Rule(
          .systemCalls(calls.value), name: "processes.system_calls", value: calls.value.rawValue, origin: calls.origin))
    }
    rules += limits.rules
    for device in devices {
      rules.append(Rule(.device(device.value), name: "devices", value: device.value.path, origin: device.origin))
    }
    if !environment.isEmpty {
      rules.append(
        Rule(
          .environment, name: "environment",
          value: environment.count == 1 ? "1 variable" : "\(environment.count) variables",
          origin: environment[0].origin))
    }
    return rules
  }
}

extension Limits {
  var rules: [Rule] {
    var rules: [Rule] = []
    for name in LimitName.allCases {
      guard let setting = self[name] else { continue }
      rules.append(
        Rule(
          name.ruleKey, name: "limits." + name.rawValue, value: name.text(setting.value), origin: setting.origin))
    }
    return rules
  }
}

extension ProcessRules {
  /// "default", "none", "all", or the names without their CAP_.
  var capabilitiesText: String {
    guard let mask = capabilities?.value, mask != CapabilityName.dockerDefaultMask else { return "default" }
    if mask == 0 { return "none" }
    if mask == CapabilityName.everyMask { return "all" }
    return CapabilityName.names(in: mask).map { $0.dropFirst(4).lowercased() }.joined(separator: " ")
  }
}

extension FileRule {
  /// "PATH" or "PATH at DESTINATION".
  public var text: String {
    (path == destination ? path : "\(path) at \(destination)") + (sockets ? ", sockets too" : "")
  }
}

extension NetworkRule {
  public var text: String {
    switch self {
    case .none: return "none"
    case .host: return "host"
    case .user(let ports, let allowPrivate):
      let forwards = ports.map { " " + $0.text }.joined()
      return "user" + forwards + (allowPrivate ? ", private addresses too" : "")
    }
  }
}
