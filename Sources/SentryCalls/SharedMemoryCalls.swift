import Linux
import SentryABI
import SentryIPC
import SentryMemory
import SentryTasks

/// System V's shared memory (shmget(2), shmop(2), shmctl(2)): segments of the host's, for which the sentry says who may have them.
enum SharedMemoryCalls {
  static let rows: [CallRow] = [
    CallRow(29, "shmget", .part("SHM_HUGETLB: ENOMEM")) { (call, task) throws(Errno) in try get(call, task) },
    // The host's kernel attaches it: identifier, address and flags are registers.
    CallRow(30, "shmat", .native) { (call, task) throws(Errno) in
      let segment = try task.namespaces.objects.segments.findLiving(call.arguments.0.int32).segment
      let (readOnly, executes): (Int32, Int32) = (0o10000, 0o100000)
      let flags = call.arguments.2.int32
      try segment.permissions.check(
        (flags & readOnly != 0 ? 0o444 : 0o666) | (flags & executes != 0 ? 0o111 : 0), for: task.credentials)
      return .native
    },
    CallRow(67, "shmdt", .native) { (_, _) throws(Errno) in .native },
    CallRow(31, "shmctl", .part("SHM_LOCK is remembered, without effect")) { (call, task) throws(Errno) in
      try control(call, task)
    },
  ]

  private static func get(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (key, size, flags) = (call.arguments.0.int32, call.arguments.1.bits, call.arguments.2.int32)
    let table = task.namespaces.objects.segments
    table.prune()
    let id = try table.get(
      key, flags, task.credentials,
      check: { (segment) throws(Errno) in if size > segment.size { throw .invalid } },
      make: { () throws(Errno) in
        guard size > 0, size <= SegmentLimits.size else { throw .invalid }
        let huge: Int32 = 0o4000
        if flags & huge != 0 { throw .noMemory }
        let permissions = IPCPermissions(key: key, flags: flags, task.credentials)
        let (segment, id) = try SharedSegment.make(
          size: size, flags: flags, permissions, creator: task.group.id, now: IPCTime.now)
        return (segment, id)
      })
    return .value(Int64(id))
  }

  private static func control(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (id, command, address) = (call.arguments.0.int32, call.arguments.1.int32, call.arguments.2.address)
    let table = task.namespaces.objects.segments
    guard id >= 0, command >= 0 else { throw .invalid }
    let (infoInUse, statByIndex, statAny): (Int32, Int32, Int32) = (14, 13, 15)
    switch command {
    case IPCCommand.info:
      try task.memory.store(limits(), at: address)
      return .value(Int64(table.lastIndex))
    case infoInUse:
      table.prune()
      try task.memory.store(inUse(table), at: address)
      return .value(Int64(table.lastIndex))
    case statByIndex, statAny:
      let found = try table.find(index: id).id
      let (segment, facts) = try table.findLiving(found)
      if command == statByIndex { try segment.permissions.check(0o444, for: task.credentials) }
      try task.memory.store(record(segment, found, facts, task), at: address)
      return .value(Int64(found))
    case IPCCommand.stat:
      let (segment, facts) = try table.findLiving(id)
      try segment.permissions.check(0o444, for: task.credentials)
      try task.memory.store(record(segment, id, facts, task), at: address)
    case IPCCommand.set:
      let given = try task.memory.bytes(address, count: 48)
      let segment = try table.findLiving(id).segment
      try segment.permissions.checkOwner(task.credentials)
      segment.permissions.set(from: given)
      segment.changed = IPCTime.now
    case IPCCommand.remove:
      let segment = try table.findLiving(id).segment
      try segment.permissions.checkOwner(task.credentials)
      table.hide(id)
      segment.remove()
    case 11, 12:
      let segment = try table.findLiving(id).segment
      if !task.credentials.has(Capability.lockMemory) {
        try segment.permissions.checkOwner(task.credentials)
        if command == 11, task.group.limits[Limits.lockedMemory].soft == 0 { throw .notPermitted }
      }
      let locked: UInt32 = 0o2000
      segment.permissions.mode = command == 11 ? segment.permissions.mode | locked : segment.permissions.mode & ~locked
    default: throw .invalid
    }
    return .zero
  }

  /// struct shmid64_ds, 112 bytes (asm-generic/shmbuf.h).
  private static func record(_ segment: SharedSegment, _ id: Int32, _ facts: SharedSegment.Facts, _ task: Task)
    -> [UInt8]
  {
    var bytes = segment.permissions.encoded(id: id)
    bytes.append(little: segment.size)
    for word in [facts.attached, facts.detached, segment.changed] { bytes.append(little: UInt64(bitPattern: word)) }
    bytes.append(little: UInt32(bitPattern: segment.creator))
    bytes.append(little: UInt32(bitPattern: task.kernel.guestNumber(ofHost: facts.lastProcess)))
    bytes.append(little: facts.attachments)
    return bytes + [UInt8](repeating: 0, count: 16)
  }

  /// struct shminfo64, 72 bytes: shmmax, shmmin, shmmni, shmseg, shmall.
  private static func limits() -> [UInt8] {
    var bytes: [UInt8] = []
    let count = UInt64(SegmentLimits.segments)
    for word in [SegmentLimits.size, 1, count, count, SegmentLimits.size, 0, 0, 0, 0] { bytes.append(little: word) }
    return bytes
  }

  /// struct shm_info, 48 bytes: segments, their pages, those in memory and in swap.
  private static func inUse(_ table: IPCTable<SharedSegment>) -> [UInt8] {
    let pages = table.sorted.reduce(UInt64(0)) { $0 &+ ($1.object.size &+ 4095) / 4096 }
    var bytes: [UInt8] = []
    for word in [UInt64(table.count), pages, pages, 0, 0, 0] { bytes.append(little: word) }
    return bytes
  }
}

extension Kernel {
  /// A process by its number as guests know it; 0 where it is none of theirs any more.
  func guestNumber(ofHost process: Int32) -> Int32 {
    groups.values.first { $0.hostID == process }?.id ?? 0
  }
}
