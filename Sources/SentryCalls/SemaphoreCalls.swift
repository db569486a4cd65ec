import Linux
import SentryABI
import SentryIPC
import SentryMemory
import SentryTasks

/// System V's semaphores (semget(2), semop(2), semctl(2)), held by the sentry.
enum SemaphoreCalls {
  static let rows: [CallRow] = [
    CallRow(64, "semget") { (call, task) throws(Errno) in try get(call, task) },
    CallRow(65, "semop", .part("SEM_UNDO is of the process, whatever CLONE_SYSVSEM says"), blocksOn: "semaphore, time")
    {
      (call, task) throws(Errno) in try operate(call, timeout: GuestAddress(0), task)
    },
    CallRow(
      220, "semtimedop", .part("SEM_UNDO is of the process, whatever CLONE_SYSVSEM says"), blocksOn: "semaphore, time"
    ) { (call, task) throws(Errno) in try operate(call, timeout: call.arguments.3.address, task) },
    CallRow(66, "semctl") { (call, task) throws(Errno) in try control(call, task) },
  ]

  private static func get(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (key, count, flags) = (call.arguments.0.int32, call.arguments.1.int32, call.arguments.2.int32)
    guard (0...SemaphoreLimits.perSet).contains(count) else { throw .invalid }
    let space = task.namespaces.objects
    let id = try space.semaphores.get(
      key, flags, task.credentials,
      check: { (set) throws(Errno) in if Int(count) > set.values.count { throw .invalid } },
      make: { () throws(Errno) in
        guard count > 0 else { throw .invalid }
        let permissions = IPCPermissions(key: key, flags: flags, task.credentials)
        return (try SemaphoreSet(count, permissions, space, now: IPCTime.now), nil)
      })
    return .value(Int64(id))
  }

  private static func operate(_ call: Call, timeout: GuestAddress, _ task: Task) throws(Errno) -> Outcome {
    let (id, count) = (call.arguments.0.int32, call.arguments.2.uint32)
    guard count > 0, id >= 0 else { throw .invalid }
    guard count <= SemaphoreLimits.operations else { throw .tooBig }
    let bytes = try task.memory.bytes(
      call.arguments.1.address, count: Int(count) * SemaphoreSet.Operation.size)
    let operations = (0..<Int(count)).map {
      SemaphoreSet.Operation(bytes, at: $0 * SemaphoreSet.Operation.size)
    }
    if !timeout.isNull { try IPCTime.setDeadline(timeout, task) }
    let set = try IPCTime.find(id, in: task.namespaces.objects.semaphores, task)
    // The table's bounds before the permissions (do_semtimedop, ipc/sem.c).
    guard operations.allSatisfy({ Int($0.number) < set.values.count }) else { throw .fileTooBig }
    try set.permissions.check(operations.contains { $0.change != 0 } ? 0o222 : 0o444, for: task.credentials)
    let parked = task.parked?.id ?? 0
    let isDone = try set.perform(
      operations, by: ObjectIdentifier(task.group), id: task.group.id, call: parked, now: IPCTime.now)
    if isDone { return .zero }
    if task.hasTimedOut {
      set.forget(parked)
      throw .again
    }
    if set.isCrowded {
      let asleep = asleep(task)
      set.prune { $0 == parked || asleep.contains($0) }
    }
    task.parked?.ending = .never
    return task.wait(on: set.queue)
  }

  private static func control(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (id, number, command) = (call.arguments.0.int32, call.arguments.1.int32, call.arguments.2.int32)
    let argument = call.arguments.3
    let table = task.namespaces.objects.semaphores
    guard id >= 0 else { throw .invalid }
    switch command {
    case IPCCommand.info, IPCCommand.semaphoreInfo:
      try task.memory.store(facts(task.namespaces.objects, inUse: command != IPCCommand.info), at: argument.address)
      return .value(Int64(table.lastIndex))
    case IPCCommand.semaphoreStat, IPCCommand.semaphoreStatAny:
      let found = try table.find(index: id).id
      let set = try table.find(found)
      if command == IPCCommand.semaphoreStat { try set.permissions.check(0o444, for: task.credentials) }
      try task.memory.store(record(set, found), at: argument.address)
      return .value(Int64(found))
    case IPCCommand.stat:
      let set = try table.find(id)
      try set.permissions.check(0o444, for: task.credentials)
      try task.memory.store(record(set, id), at: argument.address)
    case IPCCommand.set:
      let given = try task.memory.bytes(argument.address, count: 48)
      let set = try table.find(id)
      try set.permissions.checkOwner(task.credentials)
      set.permissions.set(from: given)
      set.changed = IPCTime.now
    case IPCCommand.remove:
      let set = try table.find(id)
      try set.permissions.checkOwner(task.credentials)
      table.remove(id)
      set.removed()
    case 13:
      let set = try table.find(id)
      try set.permissions.check(0o444, for: task.credentials)
      var bytes: [UInt8] = []
      for value in set.values { bytes.append(little: UInt16(truncatingIfNeeded: value)) }
      try task.memory.store(bytes, at: argument.address)
    case 17:
      let set = try table.find(id)
      try set.permissions.check(0o222, for: task.credentials)
      let bytes = try task.memory.bytes(argument.address, count: 2 * set.values.count)
      let values = set.values.indices.map { Int32(bytes.little16(2 * $0)) }
      guard values.allSatisfy({ $0 <= SemaphoreLimits.value }) else { throw .range }
      set.set(values, from: 0, id: task.group.id, now: IPCTime.now)
    case 11, 12, 14, 15, 16:
      return try one(command, try table.find(id), number, argument.int32, task)
    default: throw .invalid
    }
    return .zero
  }

  /// GETPID, GETVAL, GETNCNT, GETZCNT, SETVAL.
  private static func one(_ command: Int32, _ set: SemaphoreSet, _ number: Int32, _ value: Int32, _ task: Task)
    throws(Errno) -> Outcome
  {
    if command == 16, !(0...SemaphoreLimits.value).contains(value) { throw .range }
    try set.permissions.check(command == 16 ? 0o222 : 0o444, for: task.credentials)
    guard number >= 0, Int(number) < set.values.count else { throw .invalid }
    switch command {
    case 11: return .value(Int64(set.processes[Int(number)]))
    case 12: return .value(Int64(set.values[Int(number)]))
    case 16:
      set.set([value], from: Int(number), id: task.group.id, now: IPCTime.now)
      return .zero
    default:
      let asleep = asleep(task)
      return .value(Int64(set.waiters(Int(number), forZero: command == 15) { asleep.contains($0) }))
    }
  }

  /// The platform's names of all calls that sleep.
  private static func asleep(_ task: Task) -> Set<UInt64> { Set(task.kernel.tasks.values.compactMap { $0.parked?.id }) }

  /// struct semid64_ds, 104 bytes (asm/sembuf.h).
  private static func record(_ set: SemaphoreSet, _ id: Int32) -> [UInt8] {
    var bytes = set.permissions.encoded(id: id)
    for word in [set.operated, 0, set.changed, 0, Int64(set.values.count), 0, 0] {
      bytes.append(little: UInt64(bitPattern: word))
    }
    return bytes
  }

  /// struct seminfo, 40 bytes: semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem; with SEM_INFO semusz is the
  /// sets in use and semaem the semaphores.
  private static func facts(_ space: IPCSpace, inUse: Bool) -> [UInt8] {
    let told = SemaphoreLimits.told
    let words: [Int32] = [
      told, Int32(SemaphoreLimits.sets), told, told, SemaphoreLimits.perSet, Int32(SemaphoreLimits.operations),
      Int32(SemaphoreLimits.operations), inUse ? Int32(space.semaphores.count) : 20, SemaphoreLimits.value,
      inUse ? Int32(space.semaphoreCount) : SemaphoreLimits.value,
    ]
    var bytes: [UInt8] = []
    for word in words { bytes.append(little: UInt32(bitPattern: word)) }
    return bytes
  }
}

/// Commands of semctl(2), shmctl(2) and msgctl(2) (linux/ipc.h, sem.h, shm.h, msg.h).
enum IPCCommand {
  static let remove: Int32 = 0
  static let set: Int32 = 1
  static let stat: Int32 = 2
  static let info: Int32 = 3
  static let semaphoreStat: Int32 = 18
  static let semaphoreInfo: Int32 = 19
  static let semaphoreStatAny: Int32 = 20
}

enum IPCTime {
  /// Seconds since 1970.
  static var now: Int64 { Int64(truncatingIfNeeded: Clock.realTime().seconds) }

  /// A struct timespec from now on.
  /// - Throws: EINVAL, EFAULT.
  static func setDeadline(_ address: GuestAddress, _ task: Task) throws(Errno) {
    if task.parked?.deadline != nil { return }
    let time = TimeSpec(try task.memory.bytes(address, count: 16))
    guard time.isValid else { throw .invalid }
    task.setDeadline(task.kernel.now.later(by: time.total))
  }

  /// One that was there when the call began to sleep and is not any more was removed.
  /// - Throws: EINVAL, EIDRM.
  static func find<Object: IPCObject>(_ id: Int32, in table: IPCTable<Object>, _ task: Task) throws(Errno) -> Object {
    do throws(Errno) { return try table.find(id) } catch {
      throw task.parked?.hasSlept == true ? .identifierRemoved : error
    }
  }
}
