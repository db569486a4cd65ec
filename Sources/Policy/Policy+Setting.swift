extension Policy {
  /// Adds a file rule; one for the same place in the box gives way, so that options win over a file.
  public mutating func set(_ rule: FileRule, _ origin: Origin) {
    files.removeAll { $0.value.destination == rule.destination }
    files.append(Setting(rule, origin))
  }

  /// Adds a device, once.
  public mutating func set(_ device: DevicePath, _ origin: Origin) {
    devices.removeAll { $0.value == device }
    devices.append(Setting(device, origin))
  }

  /// Sets "NAME=value"; an earlier value of the same name gives way.
  public mutating func setEnvironment(_ variable: String, _ origin: Origin) {
    let name = variable.prefix { $0 != "=" }
    environment.removeAll { $0.value.prefix { $0 != "=" } == name }
    environment.append(Setting(variable, origin))
  }
}
