import CLinux
import Linux
import SentryABI
import SentryMemory
import SentryTasks

/// Priorities and policies (sched(7)). The host schedules the guests' threads; niceness and policy are remembered, and affinity is that of
/// the sandbox.
enum SchedulingCalls {
  static let rows: [CallRow] = [
    // Whoever asks has yielded to the sentry.
    CallRow(24, "sched_yield") { (_, _) in .zero },
    CallRow(140, "getpriority") { (call, task) throws(Errno) in
      let found = try targets(call, task)
      guard !found.isEmpty else { throw .noProcess }
      // 1 to 40, so that an error stands apart.
      return .value(Int64(20 - (found.map(\.traits.niceness).min() ?? 0)))
    },
    CallRow(141, "setpriority", .part("remembered, without effect")) { (call, task) throws(Errno) in
      let found = try targets(call, task)
      guard !found.isEmpty else { throw .noProcess }
      let wanted = max(-20, min(19, call.arguments.2.int32))
      // One that may not be changed is told once the others are (set_one_prio of kernel/sys.c).
      var failure: Errno?
      for other in found {
        let (mine, its) = (task.credentials, other.credentials)
        let isFree = mine.has(Capability.priority)
        if its.user != mine.effectiveUser, its.effectiveUser != mine.effectiveUser, !isFree {
          failure = .notPermitted
        } else if wanted < other.traits.niceness, !isFree,
          UInt64(20 - wanted) > other.group.limits[Limits.niceness].soft  // from 1 (19) to 40 (-20)
        {
          failure = .accessDenied
        } else {
          other.traits.niceness = wanted
        }
      }
      if let failure { throw failure }
      return .zero
    },
    CallRow(142, "sched_setparam", policies) { (call, task) throws(Errno) in
      guard !call.arguments.1.address.isNull else { throw .invalid }
      _ = try thread(call.arguments.0, task)
      guard try task.memory.load(call.arguments.1.address, as: Int32.self) == 0 else { throw .invalid }
      return .zero
    },
    CallRow(143, "sched_getparam") { (call, task) throws(Errno) in
      guard !call.arguments.1.address.isNull else { throw .invalid }
      _ = try thread(call.arguments.0, task)
      try task.memory.store(Int32(0), at: call.arguments.1.address)
      return .zero
    },
    CallRow(144, "sched_setscheduler", policies) { (call, task) throws(Errno) in
      guard call.arguments.1.int32 >= 0, !call.arguments.2.address.isNull else { throw .invalid }
      let priority = try task.memory.load(call.arguments.2.address, as: Int32.self)
      try set(call.arguments.1.int32, priority: priority, try thread(call.arguments.0, task))
      return .zero
    },
    CallRow(145, "sched_getscheduler") { (call, task) throws(Errno) in
      .value(Int64(try thread(call.arguments.0, task).traits.schedulingPolicy))
    },
    CallRow(146, "sched_get_priority_max") { (call, _) throws(Errno) in
      .value(try priorities(call.arguments.0.int32).max)
    },
    CallRow(147, "sched_get_priority_min") { (call, _) throws(Errno) in
      .value(try priorities(call.arguments.0.int32).min)
    },
    CallRow(148, "sched_rr_get_interval", .part("always 3 ms")) { (call, task) throws(Errno) in
      _ = try thread(call.arguments.0, task)
      try task.memory.store(TimeSpec(seconds: 0, nanoseconds: 3_000_000).bytes, at: call.arguments.1.address)
      return .zero
    },
    CallRow(203, "sched_setaffinity", .part("remembered, without effect: the host schedules")) {
      (call, task) throws(Errno) in
      let size = min(call.arguments.1.uint32, 1024)
      let mask = try task.memory.bytes(call.arguments.2.address, count: Int(size))
      let other = try anyThread(call.arguments.0, task)
      let (mine, its) = (task.credentials, other.credentials)
      guard mine.effectiveUser == its.user || mine.effectiveUser == its.effectiveUser || mine.has(Capability.priority)
      else { throw .notPermitted }
      let wanted = zip(mask, HostProcessors.allowed()).map { $0 & $1 }
      guard wanted.contains(where: { $0 != 0 }) else { throw .invalid }
      other.traits.processors = wanted
      return .zero
    },
    CallRow(204, "sched_getaffinity") { (call, task) throws(Errno) in
      let size = call.arguments.1.uint32
      let there = HostProcessors.allowed()
      guard size % 8 == 0, Int(size) >= there.count else { throw .invalid }
      let other = try anyThread(call.arguments.0, task)
      // The host may take processors away that a guest has chosen.
      var mask = there
      if !other.traits.processors.isEmpty {
        for (at, chosen) in zip(mask.indices, other.traits.processors) { mask[at] &= chosen }
        for at in mask.indices.dropFirst(other.traits.processors.count) { mask[at] = 0 }
        if !mask.contains(where: { $0 != 0 }) { mask = there }
      }
      try task.memory.store(mask, at: call.arguments.2.address)
      return .value(Int64(there.count))
    },
    CallRow(314, "sched_setattr", policies) { (call, task) throws(Errno) in
      guard call.arguments.2.uint32 == 0, !call.arguments.1.address.isNull, call.arguments.0.int32 >= 0 else {
        throw .invalid
      }
      let size = try task.memory.load(call.arguments.1.address, as: UInt32.self)
      guard size == 0 || size >= 48, size <= 4096 else {
        try task.memory.store(UInt32(56), at: call.arguments.1.address)
        throw .tooBig
      }
      let bytes = try task.memory.bytes(call.arguments.1.address, count: 48)
      let other = try thread(call.arguments.0, task)
      try set(Int32(bitPattern: bytes.little32(4)), priority: Int32(bitPattern: bytes.little32(20)), other)
      other.traits.niceness = max(-20, min(19, Int32(bitPattern: bytes.little32(16))))
      return .zero
    },
    CallRow(315, "sched_getattr") { (call, task) throws(Errno) in
      let size = call.arguments.2.uint32
      guard size >= 48, size <= 4096, call.arguments.3.uint32 == 0, call.arguments.0.int32 >= 0,
        !call.arguments.1.address.isNull
      else { throw .invalid }
      let other = try thread(call.arguments.0, task)
      var bytes: [UInt8] = []
      bytes.append(little: min(size, 56))
      bytes.append(little: UInt32(bitPattern: other.traits.schedulingPolicy & 0xff))
      bytes.append(little: UInt64(0))
      bytes.append(little: UInt32(bitPattern: other.traits.niceness))
      bytes += [UInt8](repeating: 0, count: 36)
      try task.memory.store([UInt8](bytes.prefix(Int(min(size, 56)))), at: call.arguments.1.address)
      return .zero
    },
    CallRow(309, "getcpu", .part("one NUMA node")) { (call, task) throws(Errno) in
      if !call.arguments.0.address.isNull {
        try task.memory.store(HostProcessors.last(of: task), at: call.arguments.0.address)
      }
      if !call.arguments.1.address.isNull { try task.memory.store(UInt32(0), at: call.arguments.1.address) }
      return .zero
    },
    CallRow(251, "ioprio_set", .part("remembered, without effect; IOPRIO_WHO_PGRP, IOPRIO_WHO_USER: EINVAL")) {
      (call, task) throws(Errno) in
      guard call.arguments.0.int32 == 1, call.arguments.2.uint32 >> 13 <= 3, call.arguments.2.uint32 <= 0xffff else {
        throw .invalid
      }
      if call.arguments.2.uint32 >> 13 == 1, !task.credentials.has(Capability.administer) { throw .notPermitted }
      try thread(call.arguments.1, task).traits.inputOutputPriority = call.arguments.2.int32
      return .zero
    },
    CallRow(252, "ioprio_get", .part("IOPRIO_WHO_PGRP, IOPRIO_WHO_USER: the caller's own")) {
      (call, task) throws(Errno) in
      guard call.arguments.0.int32 >= 1, call.arguments.0.int32 <= 3 else { throw .invalid }
      if call.arguments.0.int32 == 1 {
        return .value(Int64(try thread(call.arguments.1, task).traits.inputOutputPriority))
      }
      return .value(Int64(task.traits.inputOutputPriority))
    },
  ]

  private static let policies = CallRow.Extent.part(
    "SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, remembered; no real-time ones")

  /// As affinity looks for it: no number is invalid, some are nobody's.
  private static func anyThread(_ word: GuestWord, _ task: Task) throws(Errno) -> Task {
    if word.int32 < 0 { throw .noProcess }
    return try thread(word, task)
  }

  private static func thread(_ word: GuestWord, _ task: Task) throws(Errno) -> Task {
    let id = word.int32
    guard id >= 0 else { throw .invalid }
    if id == 0 { return task }
    guard let other = task.kernel.tasks[id] else { throw .noProcess }
    return other
  }

  private static func set(_ policy: Int32, priority: Int32, _ task: Task) throws(Errno) {
    switch policy & ~0x4000_0000 {
    case 0, 3, 5: guard priority == 0 else { throw .invalid }
    case 1, 2:
      guard priority >= 1, priority <= 99 else { throw .invalid }
      // RLIMIT_RTPRIO is 0, as for any program without the right.
      throw .notPermitted
    case 6: throw .notPermitted
    default: throw .invalid
    }
    task.traits.schedulingPolicy = policy
  }

  private static func priorities(_ policy: Int32) throws(Errno) -> (min: Int64, max: Int64) {
    switch policy {
    case 0, 3, 5, 6: (0, 0)
    case 1, 2: (1, 99)
    default: throw .invalid
    }
  }

  /// PRIO_PROCESS, PRIO_PGRP, PRIO_USER.
  private static func targets(_ call: Call, _ task: Task) throws(Errno) -> [Task] {
    let id = call.arguments.1.int32
    let all = task.kernel.tasks.values
    switch call.arguments.0.int32 {
    case 0: return id == 0 ? [task] : all.filter { $0.id == id }
    case 1:
      let number = id == 0 ? task.group.processGroup : id
      return all.filter { $0.group.processGroup == number }
    case 2:
      let user = id == 0 ? task.credentials.user : UInt32(bitPattern: id)
      return all.filter { $0.credentials.user == user }
    default: throw .invalid
    }
  }
}
