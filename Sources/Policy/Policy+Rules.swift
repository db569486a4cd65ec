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
    if let capabilities = processes.capabilities {
      rules.append(
        Rule(
          .capabilities, name: "processes.capabilities", value: "0x" + String(capabilities.value, radix: 16),
          origin: capabilities.origin))
    }
    rules.append(
      Rule(
        .seccomp(processes.seccomp.value), name: "processes.seccomp", value: processes.seccomp.value,
        origin: processes.seccomp.origin))
    rules += limits.rules
    for device in devices {
      rules.append(Rule(.device(device.value), name: "devices", value: device.value.path, origin: device.origin))
    }
    if !environment.isEmpty {
      rules.append(
        Rule(
          .environment, name: "environment", value: "\(environment.count) variables", origin: environment[0].origin))
    }
    return rules
  }
}

extension Limits {
  var rules: [Rule] {
    var rules: [Rule] = []
    func add(_ setting: Setting<UInt64>?, _ key: Rule.Key, _ name: String, _ text: (UInt64) -> String) {
      guard let setting else { return }
      rules.append(Rule(key, name: "limits.\(name)", value: text(setting.value), origin: setting.origin))
    }
    add(memory, .memory, "memory", Quantity.bytes)
    add(milliCPUs, .cpus, "cpus", Quantity.thousandths)
    add(pids, .pids, "pids", { "\($0)" })
    add(openFiles, .openFiles, "open_files", { "\($0)" })
    add(coreSize, .coreSize, "core_size", Quantity.bytes)
    add(fileSize, .fileSize, "file_size", Quantity.bytes)
    add(scratch, .scratch, "scratch", Quantity.bytes)
    add(log, .log, "log", Quantity.bytes)
    add(timeout, .timeout, "timeout", Quantity.milliseconds)
    add(output, .output, "output", Quantity.bytes)
    add(cpuTime, .cpuTime, "cpu_time", Quantity.milliseconds)
    add(diskBytesPerSecond, .diskBytes, "disk_bps", { Quantity.bytes($0) + "/s" })
    add(diskOperationsPerSecond, .diskOperations, "disk_iops", { "\($0)/s" })
    return rules
  }
}

extension FileRule {
  /// "PATH" or "PATH at DESTINATION".
  public var text: String { path == destination ? path : "\(path) at \(destination)" }
}

extension NetworkRule {
  public var text: String {
    switch self {
    case .none: return "none"
    case .host: return "host"
    case .user(let ports, let allowPrivate):
      let forwards = ports.map { " \($0.hostPort):\($0.boxPort)" }.joined()
      return "user" + forwards + (allowPrivate ? ", private addresses too" : "")
    }
  }
}
