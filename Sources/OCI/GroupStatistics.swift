package import Formats
package import Linux

/// What a container's control groups count, in the shape of runc's `events` (its types/events.go): the same keys, those left out that are
/// zero there. A controller that does not count the container has no object, but for blkio and hugetlb, which are then empty.
package struct GroupStatistics {
  private let group: Cgroup
  private var isUnified: Bool { group.places.count == 1 && group.places[0].isUnified }

  package init(_ group: Cgroup) { self.group = group }

  package var data: JSONObject {
    var data = JSONObject()
    data["cpu"] = isUnified ? unifiedCPU : legacyCPU
    data["cpuset"] = cpuset
    data["memory"] = isUnified ? unifiedMemory : legacyMemory
    data["pids"] = pids
    data["blkio"] = .object(isUnified ? unifiedBlocks : legacyBlocks)
    data["hugetlb"] = .object(hugePages)
    return data
  }

  // MARK: Files

  private func folder(_ controller: CgroupController) -> String? {
    if isUnified { return group.unifiedPath }
    return group.places.first { $0.controller == controller }?.path
  }

  /// A file's text; nil where it is not there, as with a controller or a kernel that has no such count.
  private func text(_ controller: CgroupController, _ file: String) -> String? {
    folder(controller).flatMap { try? File.text($0 + "/" + file) }
  }

  private func number(_ controller: CgroupController, _ file: String) -> UInt64? {
    guard let text = text(controller, file)?.filter({ $0 != "\n" }) else { return nil }
    // As runc says that there is no limit.
    return text == "max" ? UInt64.max : UInt64(text)
  }

  private func numbers(_ text: String?) -> [JSONValue] {
    (text ?? "").split(whereSeparator: { $0 == " " || $0 == "\n" }).compactMap { UInt64($0).map { JSONValue($0) } }
  }

  /// Lines of "key value" (memory.stat).
  private func table(_ text: String?) -> JSONObject {
    var table = JSONObject()
    for line in (text ?? "").split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2, let number = UInt64(words[1]) { table[String(words[0])] = JSONValue(number) }
    }
    return table
  }

  /// What Go's omitempty leaves out.
  private func put(_ value: UInt64?, _ key: String, _ object: inout JSONObject) {
    if let value, value != 0 { object[key] = JSONValue(value) }
  }

  private func throttling(_ stat: JSONObject, _ time: String, _ factor: UInt64) -> JSONValue {
    var result = JSONObject()
    put(stat.number("nr_periods"), "periods", &result)
    put(stat.number("nr_throttled"), "throttledPeriods", &result)
    put(stat.number(time).map { $0 &* factor }, "throttledTime", &result)
    return .object(result)
  }

  // MARK: CPU

  private var legacyCPU: JSONValue? {
    guard let total = number(.cpuacct, "cpuacct.usage") else { return nil }
    var usage = JSONObject()
    put(total, "total", &usage)
    usage["percpu"] = .array(numbers(text(.cpuacct, "cpuacct.usage_percpu")))
    // "cpu user system", then a line for each CPU.
    let all = (text(.cpuacct, "cpuacct.usage_all") ?? "").split(separator: "\n").dropFirst()
      .map { $0.split(separator: " ").compactMap { UInt64($0) } }.filter { $0.count == 3 }
    if !all.isEmpty {
      usage["percpu_kernel"] = .array(all.map { JSONValue($0[2]) })
      usage["percpu_user"] = .array(all.map { JSONValue($0[1]) })
    }
    // Ticks of 10 ms.
    let stat = table(text(.cpuacct, "cpuacct.stat"))
    usage["kernel"] = JSONValue((stat.number("system") ?? 0) &* 10_000_000)
    usage["user"] = JSONValue((stat.number("user") ?? 0) &* 10_000_000)
    let cpu = table(text(.cpu, "cpu.stat"))
    return ["usage": .object(usage), "throttling": throttling(cpu, "throttled_time", 1)]
  }

  private var unifiedCPU: JSONValue? {
    guard let text = text(.cpu, "cpu.stat") else { return nil }
    let stat = table(text)
    var usage = JSONObject()
    put(stat.number("usage_usec").map { $0 &* 1000 }, "total", &usage)
    usage["kernel"] = JSONValue((stat.number("system_usec") ?? 0) &* 1000)
    usage["user"] = JSONValue((stat.number("user_usec") ?? 0) &* 1000)
    var cpu = JSONObject()
    cpu["usage"] = .object(usage)
    cpu["throttling"] = throttling(stat, "throttled_usec", 1000)
    cpu["psi"] = pressure(.cpu, "cpu.pressure")
    return .object(cpu)
  }

  private var cpuset: JSONValue? {
    guard !isUnified, let cpus = text(.cpuset, "cpuset.cpus") else { return nil }
    var result = JSONObject()
    func list(_ text: String?, _ key: String) {
      let members = CPUList.numbers((text ?? "").filter { $0 != "\n" }) ?? []
      if !members.isEmpty { result[key] = .array(members.map { JSONValue(Int($0)) }) }
    }
    list(cpus, "cpus")
    func flag(_ file: String, _ key: String) { result[key] = JSONValue(number(.cpuset, "cpuset." + file) ?? 0) }
    flag("cpu_exclusive", "cpu_exclusive")
    list(text(.cpuset, "cpuset.mems"), "mems")
    flag("mem_hardwall", "mem_hardwall")
    flag("mem_exclusive", "mem_exclusive")
    flag("memory_migrate", "memory_migrate")
    flag("memory_spread_page", "memory_spread_page")
    flag("memory_spread_slab", "memory_spread_slab")
    flag("memory_pressure", "memory_pressure")
    flag("sched_load_balance", "sched_load_balance")
    let level = text(.cpuset, "cpuset.sched_relax_domain_level").flatMap { Int64($0.filter { $0 != "\n" }) }
    result["sched_relax_domain_level"] = .integer(level ?? 0)
    return .object(result)
  }

  // MARK: Memory

  private func entry(limit: UInt64?, usage: UInt64?, max: UInt64?, failures: UInt64?) -> JSONValue {
    var entry = JSONObject()
    entry["limit"] = JSONValue(limit ?? 0)
    put(usage, "usage", &entry)
    put(max, "max", &entry)
    entry["failcnt"] = JSONValue(failures ?? 0)
    return .object(entry)
  }

  private var legacyMemory: JSONValue? {
    guard folder(.memory) != nil else { return nil }
    func entry(_ name: String) -> JSONValue {
      self.entry(
        limit: number(.memory, name + ".limit_in_bytes"), usage: number(.memory, name + ".usage_in_bytes"),
        max: number(.memory, name + ".max_usage_in_bytes"), failures: number(.memory, name + ".failcnt"))
    }
    let stat = table(text(.memory, "memory.stat"))
    var memory = JSONObject()
    put(stat.number("cache"), "cache", &memory)
    memory["usage"] = entry("memory")
    memory["swap"] = entry("memory.memsw")
    memory["kernel"] = entry("memory.kmem")
    memory["kernelTCP"] = entry("memory.kmem.tcp")
    memory["raw"] = .object(stat)
    return .object(memory)
  }

  /// `swap` is memory and swap together, as in version 1.
  private var unifiedMemory: JSONValue? {
    guard let current = number(.memory, "memory.current") else { return nil }
    let stat = table(text(.memory, "memory.stat"))
    let limit = number(.memory, "memory.max") ?? UInt64.max
    let failures = table(text(.memory, "memory.events")).number("max")
    func sum(_ a: UInt64, _ b: UInt64?) -> UInt64 {
      let (sum, isOver) = a.addingReportingOverflow(b ?? 0)
      return isOver ? UInt64.max : sum
    }
    var memory = JSONObject()
    put(stat.number("file"), "cache", &memory)
    memory["usage"] = entry(
      limit: limit, usage: current, max: number(.memory, "memory.peak"), failures: failures)
    memory["swap"] = entry(
      limit: sum(limit, number(.memory, "memory.swap.max")),
      usage: sum(current, number(.memory, "memory.swap.current")),
      max: nil, failures: nil)
    memory["kernel"] = entry(limit: nil, usage: nil, max: nil, failures: nil)
    memory["kernelTCP"] = entry(limit: nil, usage: nil, max: nil, failures: nil)
    memory["raw"] = .object(stat)
    memory["psi"] = pressure(.memory, "memory.pressure")
    return .object(memory)
  }

  /// How long tasks waited (Documentation/accounting/psi.rst): "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and "full …".
  private func pressure(_ controller: CgroupController, _ file: String) -> JSONValue? {
    guard let text = text(controller, file) else { return nil }
    var result = JSONObject()
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard let kind = words.first else { continue }
      var values = JSONObject()
      for word in words.dropFirst() {
        let parts = word.split(separator: "=")
        guard parts.count == 2 else { continue }
        if parts[0] == "total" {
          values["total"] = JSONValue(UInt64(parts[1]) ?? 0)
        } else {
          values[String(parts[0])] = .double(Double(parts[1]) ?? 0)
        }
      }
      result[String(kind)] = .object(values)
    }
    return .object(result)
  }

  private var pids: JSONValue? {
    guard let current = number(.pids, "pids.current") else { return nil }
    var pids = JSONObject()
    put(current, "current", &pids)
    let limit = number(.pids, "pids.max")
    put(limit == UInt64.max ? nil : limit, "limit", &pids)
    return .object(pids)
  }

  // MARK: Disks and large pages

  private func block(_ device: Substring, _ operation: String, _ value: UInt64) -> JSONValue? {
    let parts = device.split(separator: ":").compactMap { UInt64($0) }
    guard parts.count == 2 else { return nil }
    var entry = JSONObject()
    put(parts[0], "major", &entry)
    put(parts[1], "minor", &entry)
    entry["op"] = .string(operation)
    put(value, "value", &entry)
    return .object(entry)
  }

  /// BFQ's counts where a disk has that scheduler and the group used it, else those of the throttle. "Total" is left out.
  private var legacyBlocks: JSONObject {
    func entries(_ file: String) -> [JSONValue] {
      (text(.blkio, file) ?? "").split(separator: "\n").compactMap { line in
        let words = line.split(separator: " ")
        guard words.count == 3, let value = UInt64(words[2]) else { return nil }
        return block(words[0], String(words[1]), value)
      }
    }
    var result = JSONObject()
    for (key, name) in [("ioServiceBytesRecursive", "io_service_bytes"), ("ioServicedRecursive", "io_serviced")] {
      for prefix in ["blkio.bfq.", "blkio.throttle."] {
        let found = entries(prefix + name + "_recursive")
        if found.isEmpty { continue }
        result[key] = .array(found)
        break
      }
    }
    return result
  }

  private var unifiedBlocks: JSONObject {
    var bytes: [JSONValue] = []
    var operations: [JSONValue] = []
    for line in (text(.blkio, "io.stat") ?? "").split(separator: "\n") {
      let words = line.split(separator: " ")
      for word in words.dropFirst() {
        let parts = word.split(separator: "=")
        guard parts.count == 2, let value = UInt64(parts[1]) else { continue }
        let names: [Substring: String] = ["r": "Read", "w": "Write", "d": "Discard"]
        guard let name = names[parts[0].prefix(1)], let entry = block(words[0], name, value) else { continue }
        if parts[0].dropFirst() == "bytes" { bytes.append(entry) }
        if parts[0].dropFirst() == "ios" { operations.append(entry) }
      }
    }
    var result = JSONObject()
    if !bytes.isEmpty { result["ioServiceBytesRecursive"] = .array(bytes) }
    if !operations.isEmpty { result["ioServicedRecursive"] = .array(operations) }
    result["psi"] = pressure(.blkio, "io.pressure")
    return result
  }

  private var hugePages: JSONObject {
    var result = JSONObject()
    guard let folder = folder(.hugetlb), let files = try? File.names(inDirectory: folder) else { return result }
    let ending = isUnified ? ".current" : ".usage_in_bytes"
    for file in files.sorted() where file.hasPrefix("hugetlb.") && file.hasSuffix(ending) && !file.contains(".rsvd.") {
      let size = String(file.dropFirst("hugetlb.".utf8.count).dropLast(ending.utf8.count))
      let base = "hugetlb." + size
      var entry = JSONObject()
      put(number(.hugetlb, file), "usage", &entry)
      if !isUnified { put(number(.hugetlb, base + ".max_usage_in_bytes"), "max", &entry) }
      let failures =
        isUnified ? table(text(.hugetlb, base + ".events")).number("max") : number(.hugetlb, base + ".failcnt")
      entry["failcnt"] = JSONValue(failures ?? 0)
      result[size] = .object(entry)
    }
    return result
  }
}

/// Counts of a container's network devices, as the kernel tells them of its first process (proc_pid_net(5)): what is read is no file of the
/// container's.
enum NetworkStatistics {
  /// Null where there is no device but the loopback, or the network is the runtime's own.
  static func interfaces(of pid: Int32) -> JSONValue {
    guard let own = try? File.readLink("/proc/self/ns/net"), let theirs = try? File.readLink("/proc/\(pid)/ns/net"),
      own != theirs, let text = try? File.text("/proc/\(pid)/net/dev")
    else { return .null }
    var devices: [JSONValue] = []
    // "name: bytes packets errs drop fifo frame compressed multicast", and the same of what was sent; two lines of headings.
    for line in text.split(separator: "\n").dropFirst(2) {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let name = parts[0].filter { $0 != " " }
      let counts = parts[1].split(separator: " ").compactMap { UInt64($0) }
      guard name != "lo", counts.count >= 12 else { continue }
      var device = JSONObject()
      device["Name"] = .string(String(name))
      for (index, key) in ["Bytes", "Packets", "Errors", "Dropped"].enumerated() {
        device["Rx" + key] = JSONValue(counts[index])
        device["Tx" + key] = JSONValue(counts[8 + index])
      }
      devices.append(.object(device))
    }
    return devices.isEmpty ? .null : .array(devices)
  }
}

extension JSONObject {
  /// A member that is a whole number, not negative.
  fileprivate func number(_ key: String) -> UInt64? {
    switch self[key] {
    case .integer(let number)?: UInt64(exactly: number)
    case .unsigned(let number)?: number
    default: nil
    }
  }
}
