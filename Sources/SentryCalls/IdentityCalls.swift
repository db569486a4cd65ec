import Linux
import SentryABI
import SentryMemory
import SentryTasks

/// Numbers and ids of the caller (getpid(2), credentials(7)).
enum IdentityCalls {
  static let rows: [CallRow] = [
    CallRow(39, "getpid") { (_, task) in .value(Int64(task.group.id)) },
    CallRow(186, "gettid") { (_, task) in .value(Int64(task.id)) },
    CallRow(110, "getppid") { (_, task) in .value(Int64(task.group.parentID)) },
    CallRow(102, "getuid") { (_, task) in .value(Int64(task.credentials.user)) },
    CallRow(107, "geteuid") { (_, task) in .value(Int64(task.credentials.effectiveUser)) },
    CallRow(104, "getgid") { (_, task) in .value(Int64(task.credentials.group)) },
    CallRow(108, "getegid") { (_, task) in .value(Int64(task.credentials.effectiveGroup)) },
    CallRow(118, "getresuid") { (call, task) throws(Errno) in
      let ids = task.credentials
      return try store(ids.user, ids.effectiveUser, ids.savedUser, call, task)
    },
    CallRow(120, "getresgid") { (call, task) throws(Errno) in
      let ids = task.credentials
      return try store(ids.group, ids.effectiveGroup, ids.savedGroup, call, task)
    },
    CallRow(105, "setuid") { (call, task) throws(Errno) in
      let id = call.arguments.0.uint32
      guard id != .max else { throw .invalid }
      return try change(task) { $0.setUser(id) }
    },
    CallRow(106, "setgid") { (call, task) throws(Errno) in
      let id = call.arguments.0.uint32
      guard id != .max else { throw .invalid }
      return try change(task) { $0.setGroup(id) }
    },
    CallRow(113, "setreuid") { (call, task) throws(Errno) in
      try change(task) { $0.setUsers(real: call.arguments.0.uint32, effective: call.arguments.1.uint32) }
    },
    CallRow(114, "setregid") { (call, task) throws(Errno) in
      try change(task) { $0.setGroups(real: call.arguments.0.uint32, effective: call.arguments.1.uint32) }
    },
    CallRow(117, "setresuid") { (call, task) throws(Errno) in
      let ids = call.arguments
      return try change(task, always: false) {
        $0.setUsers(real: ids.0.uint32, effective: ids.1.uint32, saved: ids.2.uint32)
      }
    },
    CallRow(119, "setresgid") { (call, task) throws(Errno) in
      let ids = call.arguments
      return try change(task, always: false) {
        $0.setGroups(real: ids.0.uint32, effective: ids.1.uint32, saved: ids.2.uint32)
      }
    },
    CallRow(122, "setfsuid") { (call, task) in
      let before = task.credentials.fileUser
      var now = task.credentials
      if call.arguments.0.uint32 != .max { now.setFileUser(call.arguments.0.uint32) }
      if now != task.credentials { become(now, task) }
      return .value(Int64(before))
    },
    CallRow(123, "setfsgid") { (call, task) in
      let before = task.credentials.fileGroup
      var now = task.credentials
      if call.arguments.0.uint32 != .max { now.setFileGroup(call.arguments.0.uint32) }
      if now != task.credentials { become(now, task) }
      return .value(Int64(before))
    },
    CallRow(115, "getgroups") { (call, task) throws(Errno) in
      let room = call.arguments.0.int32
      let groups = task.credentials.supplementaryGroups
      guard room >= 0 else { throw .invalid }
      if room == 0 { return .value(Int64(groups.count)) }
      guard groups.count <= Int(room) else { throw .invalid }
      var bytes: [UInt8] = []
      for group in groups { bytes.append(little: group) }
      try task.memory.store(bytes, at: call.arguments.1.address)
      return .value(Int64(groups.count))
    },
    CallRow(116, "setgroups") { (call, task) throws(Errno) in
      guard task.credentials.has(Capability.setGroup) else { throw .notPermitted }
      let count = call.arguments.0.uint32
      // NGROUPS_MAX of linux/limits.h.
      guard count <= 65536 else { throw .invalid }
      let bytes = try task.memory.bytes(call.arguments.1.address, count: Int(count) * 4)
      let groups = (0..<Int(count)).map { bytes.little32(4 * $0) }
      guard !groups.contains(.max) else { throw .invalid }
      task.credentials.supplementaryGroups = groups.sorted()
      return .zero
    },
  ]

  /// - Parameter always: new ones also where nothing changes; setresuid(2) has none then (kernel/sys.c).
  private static func change(
    _ task: Task, always: Bool = true, _ change: (inout Credentials) -> Bool
  ) throws(Errno) -> Outcome {
    var now = task.credentials
    guard change(&now) else { throw .notPermitted }
    if always || now != task.credentials { become(now, task) }
    return .zero
  }

  /// commit_creds of kernel/cred.c.
  private static func become(_ now: Credentials, _ task: Task) {
    let before = task.credentials
    task.credentials = now
    if now.effectiveUser != before.effectiveUser || now.effectiveGroup != before.effectiveGroup
      || now.fileUser != before.fileUser || now.fileGroup != before.fileGroup || now.permitted & ~before.permitted != 0
    {
      task.group.traits.isDumpable = false
      task.traits.parentDeathSignal = 0
    }
  }

  private static func store(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ call: Call, _ task: Task) throws(Errno) -> Outcome
  {
    try task.memory.store(a, at: call.arguments.0.address)
    try task.memory.store(b, at: call.arguments.1.address)
    try task.memory.store(c, at: call.arguments.2.address)
    return .zero
  }
}
