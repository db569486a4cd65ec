extension RuntimeConfiguration {
  /// The value as config.json: what is read from it again is equal. Fields that say nothing are left out.
  public var json: JSONValue {
    var root = Members()
    root.put("ociVersion", .string(ociVersion))
    root.put("process", process.json)
    var rootFilesystem = Members()
    rootFilesystem.put("path", rootPath.map { .string($0) })
    rootFilesystem.put("readonly", flag(rootReadOnly))
    root.put("root", rootFilesystem.json)
    root.put("hostname", hostname.map { .string($0) })
    root.put("domainname", domainname.map { .string($0) })
    root.put("mounts", .array(mounts.map(\.json)))
    root.put("hooks", hooks.json)
    root.put("annotations", dictionary(annotations))
    root.put("linux", linuxJSON)
    return root.json
  }

  private var linuxJSON: JSONValue {
    var linux = Members()
    linux.put("uidMappings", .array(userMappings.map(\.json)))
    linux.put("gidMappings", .array(groupMappings.map(\.json)))
    var offsets = Members()
    for offset in timeOffsets {
      var members = Members()
      members.keep("secs", .integer(offset.seconds))
      members.put("nanosecs", number(offset.nanoseconds))
      offsets.put(offset.clock.rawValue, members.json)
    }
    linux.put("timeOffsets", offsets.json)
    linux.put("sysctl", dictionary(sysctl))
    linux.put("resources", resources.json)
    linux.put("cgroupsPath", cgroupsPath.map { .string($0) })
    linux.put(
      "namespaces",
      .array(
        namespaces.map { namespace in
          var members = Members()
          members.put("type", .string(namespace.kind.rawValue))
          members.put("path", namespace.path.map { .string($0) })
          return members.json
        }))
    linux.put("devices", .array(devices.map(\.json)))
    var devices = JSONObject()
    for device in netDevices {
      var members = JSONObject()
      if device.inside != device.outside { members["name"] = .string(device.inside) }
      devices[device.outside] = .object(members)
    }
    linux.put("netDevices", .object(devices))
    linux.put("rootfsPropagation", rootPropagation.map { .string($0) })
    linux.put("seccomp", seccomp, keepZero: true)
    linux.put("maskedPaths", strings(maskedPaths))
    linux.put("readonlyPaths", strings(readonlyPaths))
    if let personality { linux.put("personality", .object(object("domain", .string(personality.rawValue)))) }
    return linux.json
  }
}

extension ProcessConfiguration {
  /// As process.json has it.
  public var json: JSONValue {
    var members = Members()
    members.put("terminal", flag(terminal))
    if let consoleSize {
      var size = Members()
      size.keep("height", .integer(Int64(consoleSize.height)))
      size.keep("width", .integer(Int64(consoleSize.width)))
      members.put("consoleSize", size.json)
    }
    var id = Members()
    id.keep("uid", number(user.user))
    id.keep("gid", number(user.group))
    id.put("umask", user.umask.map { number($0) }, keepZero: true)
    id.put("additionalGids", .array(user.additionalGroups.map { number($0) }))
    members.put("user", id.json)
    members.put("args", strings(arguments))
    members.put("env", strings(environment))
    members.put("cwd", .string(workingDirectory))
    members.put("capabilities", capabilities.json)
    members.put(
      "rlimits",
      .array(
        rlimits.map { limit in
          var members = Members()
          members.put("type", .string(ResourceLimitName.name(limit.kind) ?? "\(limit.kind)"))
          members.keep("hard", JSONValue(limit.hard))
          members.keep("soft", JSONValue(limit.soft))
          return members.json
        }))
    members.put("noNewPrivileges", flag(noNewPrivileges))
    members.put("oomScoreAdj", oomScoreAdjustment.map { .integer(Int64($0)) }, keepZero: true)
    if let scheduler { members.keep("scheduler", scheduler.json) }
    if let ioPriority {
      var priority = Members()
      priority.put("class", .string(ioPriority.kind.name))
      priority.keep("priority", number(ioPriority.level))
      members.put("ioPriority", priority.json)
    }
    if let cpuAffinity {
      var affinity = Members()
      affinity.put("initial", cpuAffinity.initial.map { .string($0) }, keepZero: true)
      affinity.put("final", cpuAffinity.final.map { .string($0) }, keepZero: true)
      members.keep("execCPUAffinity", affinity.json)
    }
    return members.json
  }
}

extension CapabilityConfiguration {
  var json: JSONValue {
    var members = Members()
    for (name, mask) in [
      ("bounding", bounding), ("effective", effective), ("permitted", permitted), ("inheritable", inheritable),
      ("ambient", ambient),
    ] { members.put(name, strings(CapabilityName.names(in: mask))) }
    return members.json
  }
}

extension SchedulerConfiguration {
  var json: JSONValue {
    var members = Members()
    members.put("policy", .string(policy.name))
    members.put("nice", .integer(Int64(nice)))
    members.put("priority", number(priority))
    members.put(
      "flags", strings(Self.flagNames.indices.filter { flags & (1 << UInt64($0)) != 0 }.map { Self.flagNames[$0] }))
    members.put("runtime", JSONValue(runtime))
    members.put("deadline", JSONValue(deadline))
    members.put("period", JSONValue(period))
    return members.json
  }
}

extension MountConfiguration {
  var json: JSONValue {
    var members = Members()
    members.put("destination", .string(destination))
    members.put("type", .string(type))
    members.put("source", .string(source))
    members.put("options", strings(options))
    members.put("uidMappings", .array(userMappings.map(\.json)))
    members.put("gidMappings", .array(groupMappings.map(\.json)))
    return members.json
  }
}

extension IDMapping {
  var json: JSONValue {
    var members = Members()
    members.keep("containerID", number(inside))
    members.keep("hostID", number(outside))
    members.keep("size", number(count))
    return members.json
  }
}

extension DeviceConfiguration {
  var json: JSONValue {
    var members = Members()
    members.put("path", .string(path))
    members.put("type", .string(kind.rawValue))
    members.keep("major", number(major))
    members.keep("minor", number(minor))
    members.keep("fileMode", number(mode))
    members.put("uid", number(user))
    members.put("gid", number(group))
    return members.json
  }
}

extension HookConfiguration {
  var json: JSONValue {
    var members = Members()
    for moment in Moment.allCases {
      members.put(
        moment.rawValue,
        .array(
          self[moment].map { hook in
            var members = Members()
            members.put("path", .string(hook.path))
            members.put("args", strings(hook.arguments))
            members.put("env", strings(hook.environment))
            members.put("timeout", hook.timeout.map { number($0) }, keepZero: true)
            return members.json
          }))
    }
    return members.json
  }
}

extension ResourceConfiguration {
  /// As `update` reads it.
  public var json: JSONValue {
    var all = Members()
    all.put("devices", .array(deviceRules.map(\.json)))
    var memory = Members()
    for (key, size) in [
      ("limit", memoryLimit), ("reservation", memoryReservation), ("swap", memorySwapLimit),
      ("kernelTCP", kernelTCPLimit),
    ] { memory.put(key, size.map { .integer($0) }, keepZero: true) }
    memory.put("swappiness", swappiness.map { JSONValue($0) }, keepZero: true)
    memory.put("disableOOMKiller", disableOOMKiller.map { .bool($0) }, keepZero: true)
    memory.put("useHierarchy", useHierarchy.map { .bool($0) }, keepZero: true)
    memory.put("checkBeforeUpdate", checkBeforeUpdate.map { .bool($0) }, keepZero: true)
    all.put("memory", memory.json)
    var cpu = Members()
    cpu.put("shares", cpuShares.map { JSONValue($0) }, keepZero: true)
    cpu.put("quota", cpuQuota.map { .integer($0) }, keepZero: true)
    cpu.put("burst", cpuBurst.map { JSONValue($0) }, keepZero: true)
    cpu.put("period", cpuPeriod.map { JSONValue($0) }, keepZero: true)
    cpu.put("realtimeRuntime", realtimeRuntime.map { .integer($0) }, keepZero: true)
    cpu.put("realtimePeriod", realtimePeriod.map { JSONValue($0) }, keepZero: true)
    cpu.put("cpus", cpus.map { .string($0) }, keepZero: true)
    cpu.put("mems", mems.map { .string($0) }, keepZero: true)
    cpu.put("idle", cpuIdle.map { .integer($0) }, keepZero: true)
    all.put("cpu", cpu.json)
    if let pidsLimit { all.put("pids", .object(object("limit", .integer(pidsLimit)))) }
    all.put("blockIO", blockJSON)
    all.put(
      "hugepageLimits",
      .array(
        hugepageLimits.map { limit in
          var members = Members()
          members.put("pageSize", .string(limit.pageSize))
          members.keep("limit", JSONValue(limit.bytes))
          return members.json
        }))
    var network = Members()
    network.put("classID", networkClass.map { number($0) }, keepZero: true)
    network.put(
      "priorities",
      .array(
        networkPriorities.map { priority in
          var members = Members()
          members.put("name", .string(priority.interface))
          members.keep("priority", number(priority.priority))
          return members.json
        }))
    all.put("network", network.json)
    var devices = JSONObject()
    for limit in rdma {
      var members = Members()
      members.put("hcaHandles", limit.handles.map { number($0) }, keepZero: true)
      members.put("hcaObjects", limit.objects.map { number($0) }, keepZero: true)
      devices[limit.device] = members.json
    }
    all.put("rdma", .object(devices))
    all.put("unified", dictionary(unified))
    return all.json
  }

  private var blockJSON: JSONValue {
    var block = Members()
    block.put("weight", blockWeight.map { .integer(Int64($0)) }, keepZero: true)
    block.put(
      "weightDevice",
      .array(
        blockDeviceWeights.map { device in
          var members = Members()
          members.keep("major", number(device.major))
          members.keep("minor", number(device.minor))
          members.keep("weight", .integer(Int64(device.weight)))
          return members.json
        }))
    for (key, kind) in ConfigurationReader.throttles {
      block.put(
        key,
        .array(
          blockThrottles.filter { $0.kind == kind }.map { throttle in
            var members = Members()
            members.keep("major", number(throttle.major))
            members.keep("minor", number(throttle.minor))
            members.keep("rate", JSONValue(throttle.rate))
            return members.json
          }))
    }
    return block.json
  }
}

extension DeviceRule {
  var json: JSONValue {
    var members = Members()
    members.keep("allow", .bool(allow))
    members.put("type", .string(String(type)))
    members.put("major", major.map { .integer($0) }, keepZero: true)
    members.put("minor", minor.map { .integer($0) }, keepZero: true)
    members.put("access", .string(access))
    return members.json
  }
}

/// An object's members as they are written: none that says nothing, but where zero or false is something else than nothing.
private struct Members {
  private var object = JSONObject()
  mutating func put(_ key: String, _ value: JSONValue?, keepZero: Bool = false) {
    guard let value, keepZero || !value.saysNothing else { return }
    object[key] = value
  }
  mutating func keep(_ key: String, _ value: JSONValue) { object[key] = value }
  var json: JSONValue { .object(object) }
}

private func number(_ value: UInt32) -> JSONValue { .integer(Int64(value)) }
private func strings(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
/// Absent where false.
private func flag(_ value: Bool) -> JSONValue? { value ? .bool(true) : nil }
private func object(_ key: String, _ value: JSONValue) -> JSONObject {
  var object = JSONObject()
  object[key] = value
  return object
}
private func dictionary(_ texts: [String: String]) -> JSONValue {
  var object = JSONObject()
  for (key, value) in texts.sorted(by: { $0.key < $1.key }) { object[key] = .string(value) }
  return .object(object)
}
