import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks

/// Limits and what was used (getrlimit(2), getrusage(2), times(2)).
enum LimitCalls {
  static let rows: [CallRow] = [
    CallRow(97, "getrlimit") { (call, task) throws(Errno) in
      let kind = try kind(call.arguments.0)
      try store(task.group.limits[kind], at: call.arguments.1.address, task)
      return .zero
    },
    CallRow(160, "setrlimit", extent) { (call, task) throws(Errno) in
      let kind = try kind(call.arguments.0)
      let wanted = try load(call.arguments.1.address, task)
      try set(kind, wanted, of: task.group, by: task)
      return .zero
    },
    CallRow(302, "prlimit64", extent) { (call, task) throws(Errno) in
      let kind = try kind(call.arguments.1)
      let (new, old) = (call.arguments.2.address, call.arguments.3.address)
      let wanted = new.isNull ? nil : try load(new, task)
      let group = try task.kernel.group(call.arguments.0.int32, of: task)
      if group !== task.group && !mayChange(group, task) { throw .notPermitted }
      if group.isKeeper && wanted != nil { throw .notPermitted }
      let before = group.limits[kind]
      if let wanted { try set(kind, wanted, of: group, by: task) }
      if !old.isNull { try store(before, at: old, task) }
      return .zero
    },
    CallRow(
      98, "getrusage",
      .part("hundredths of a second; ru_inblock, ru_oublock 0; RUSAGE_CHILDREN: times and faults alone")
    ) { (call, task) throws(Errno) in
      let usage: ResourceUsage
      switch call.arguments.0.int32 {
      case 0: usage = ResourceUsage(of: task.group)
      case -1: usage = ResourceUsage(ofChildren: task.group)
      case 1: usage = ResourceUsage(of: task)
      default: throw .invalid
      }
      try task.memory.store(usage.bytes, at: call.arguments.1.address)
      return .zero
    },
    CallRow(100, "times") { (call, task) throws(Errno) in
      let stat = HostStat(task.kernel.host.contents(task.group.hostID, "stat", limit: 4096))
      if !call.arguments.0.address.isNull {
        var bytes: [UInt8] = []
        for ticks in [stat.userTicks, stat.systemTicks, stat.childUserTicks, stat.childSystemTicks] {
          bytes.append(little: ticks)
        }
        try task.memory.store(bytes, at: call.arguments.0.address)
      }
      return .value(Int64(truncatingIfNeeded: task.kernel.now / 10_000_000))
    },
  ]

  private static let extent = CallRow.Extent.part(
    "descriptors, stack, data, address space, processor time and locked memory bind; the rest is remembered")

  private static func kind(_ word: GuestWord) throws(Errno) -> Int32 {
    let kind = word.uint32
    guard kind < UInt32(Limits.count) else { throw .invalid }
    return Int32(truncatingIfNeeded: kind)
  }

  private static func load(_ address: GuestAddress, _ task: Task) throws(Errno) -> Limits.Pair {
    let bytes = try task.memory.bytes(address, count: 16)
    return Limits.Pair(soft: bytes.little64(0), hard: bytes.little64(8))
  }

  private static func store(_ pair: Limits.Pair, at address: GuestAddress, _ task: Task) throws(Errno) {
    var bytes: [UInt8] = []
    bytes.append(little: pair.soft)
    bytes.append(little: pair.hard)
    try task.memory.store(bytes, at: address)
  }

  /// check_prlimit_permission() of kernel/sys.c.
  private static func mayChange(_ group: ThreadGroup, _ task: Task) -> Bool {
    if task.credentials.has(Capability.resources) { return true }
    guard let its = group.tasks.first?.credentials else { return false }
    let mine = task.credentials
    return [its.user, its.effectiveUser, its.savedUser].allSatisfy { $0 == mine.user }
      && [its.group, its.effectiveGroup, its.savedGroup].allSatisfy { $0 == mine.group }
  }

  /// do_prlimit() of kernel/sys.c.
  private static func set(_ kind: Int32, _ wanted: Limits.Pair, of group: ThreadGroup, by task: Task) throws(Errno) {
    guard wanted.soft <= wanted.hard else { throw .invalid }
    // fs.nr_open, which bounds every table of descriptors.
    if kind == Limits.descriptors && wanted.hard > 1 << 20 { throw .notPermitted }
    let before = group.limits[kind]
    if wanted.hard > before.hard && !task.credentials.has(Capability.resources) { throw .notPermitted }
    try task.kernel.host.limit(group, kind, wanted)
    group.limits[kind] = wanted
    if kind == Limits.descriptors {
      for each in group.tasks { each.descriptors.limit = Int32(clamping: wanted.soft) }
    }
  }
}
