import CLinux
import Linux
import SentryABI
import SentryIPC
import SentryMemory
import SentryTasks
import SentryWait

/// System V's message queues (msgget(2), msgop(2), msgctl(2)), held by the sentry.
enum MessageQueueCalls {
  static let rows: [CallRow] = [
    CallRow(68, "msgget") { (call, task) throws(Errno) in try get(call, task) },
    CallRow(69, "msgsnd", blocksOn: "message queue") { (call, task) throws(Errno) in try send(call, task) },
    CallRow(70, "msgrcv", .part("MSG_COPY: ENOSYS"), blocksOn: "message queue") { (call, task) throws(Errno) in
      try receive(call, task)
    },
    CallRow(71, "msgctl") { (call, task) throws(Errno) in try control(call, task) },
  ]

  private enum Flag {
    static let doesNotWait: Int32 = 0o4000
    static let cuts: Int32 = 0o10000
    static let excepts: Int32 = 0o20000
    static let copies: Int32 = 0o40000
  }

  private static func get(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (key, flags, space) = (call.arguments.0.int32, call.arguments.1.int32, task.namespaces.objects)
    let id = try space.queues.get(
      key, flags, task.credentials, check: { (_) throws(Errno) in },
      make: { () throws(Errno) in
        (
          MessageQueue(IPCPermissions(key: key, flags: flags, task.credentials), space, now: IPCTime.now), nil
        )
      })
    return .value(Int64(id))
  }

  private static func send(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (id, address, flags) = (call.arguments.0.int32, call.arguments.1.address, call.arguments.3.int32)
    let type: Int64 = try task.memory.load(address)
    guard let size = call.arguments.2.size, size <= MessageLimits.message, id >= 0, type > 0 else { throw .invalid }
    let bytes = try task.memory.bytes(address.advanced(by: 8), count: size)
    let queue = try IPCTime.find(id, in: task.namespaces.objects.queues, task)
    try queue.permissions.check(0o222, for: task.credentials)
    let message = MessageQueue.Message(type: type, bytes: bytes)
    if try queue.send(message, by: task.group.id, now: IPCTime.now) { return .zero }
    if flags & Flag.doesNotWait != 0 { throw .again }
    task.parked?.ending = .restartsUnhandled
    return task.wait(on: queue.writers)
  }

  private static func receive(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (id, address, flags) = (call.arguments.0.int32, call.arguments.1.address, call.arguments.4.int32)
    guard id >= 0, call.arguments.2.int64 >= 0 else { throw .invalid }
    if flags & Flag.copies != 0 { throw .notImplemented }
    let queue = try IPCTime.find(id, in: task.namespaces.objects.queues, task)
    try queue.permissions.check(0o444, for: task.credentials)
    let room = Int(clamping: call.arguments.2.bits)
    let choice = MessageQueue.Choice(call.arguments.3.int64, excepts: flags & Flag.excepts != 0)
    let found = try queue.receive(
      choice, room: room, cuts: flags & Flag.cuts != 0, by: task.group.id, now: IPCTime.now)
    guard let message = found else {
      if flags & Flag.doesNotWait != 0 { throw .noMessage }
      task.parked?.ending = .restartsUnhandled
      return task.wait(on: queue.readers)
    }
    let text = message.bytes.prefix(room)
    // As with Linux, what cannot be put down is lost.
    try task.memory.store(message.type, at: address)
    if !text.isEmpty { try task.memory.store(Array(text), at: address.advanced(by: 8)) }
    return .value(Int64(text.count))
  }

  private static func control(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (id, command, address) = (call.arguments.0.int32, call.arguments.1.int32, call.arguments.2.address)
    let table = task.namespaces.objects.queues
    guard id >= 0, command >= 0 else { throw .invalid }
    let (statByIndex, infoInUse, statAny): (Int32, Int32, Int32) = (11, 12, 13)
    switch command {
    case IPCCommand.info, infoInUse:
      try task.memory.store(facts(table, inUse: command == infoInUse), at: address)
      return .value(Int64(table.lastIndex))
    case statByIndex, statAny:
      let found = try table.find(index: id).id
      let queue = try table.find(found)
      if command == statByIndex { try queue.permissions.check(0o444, for: task.credentials) }
      try task.memory.store(record(queue, found), at: address)
      return .value(Int64(found))
    case IPCCommand.stat:
      let queue = try table.find(id)
      try queue.permissions.check(0o444, for: task.credentials)
      try task.memory.store(record(queue, id), at: address)
    case IPCCommand.set:
      // msg_qbytes lies behind the permissions, three times and the bytes and messages in it.
      let given = try task.memory.bytes(address, count: 96)
      let queue = try table.find(id)
      try queue.permissions.checkOwner(task.credentials)
      let limit = given.little64(88)
      if limit > MessageLimits.queue, !task.credentials.has(Capability.resources) { throw .notPermitted }
      queue.permissions.set(from: given)
      queue.limit = limit
      queue.changed = IPCTime.now
      queue.writers.wake(.writable)
    case IPCCommand.remove:
      let queue = try table.find(id)
      try queue.permissions.checkOwner(task.credentials)
      table.remove(id)
      queue.removed()
    default: throw .invalid
    }
    return .zero
  }

  /// struct msqid64_ds, 120 bytes (asm-generic/msgbuf.h).
  private static func record(_ queue: MessageQueue, _ id: Int32) -> [UInt8] {
    var bytes = queue.permissions.encoded(id: id)
    for word in [queue.sent, queue.received, queue.changed] { bytes.append(little: UInt64(bitPattern: word)) }
    for word in [queue.bytes, UInt64(queue.count), queue.limit] { bytes.append(little: word) }
    for word in [queue.lastSender, queue.lastReceiver] { bytes.append(little: UInt32(bitPattern: word)) }
    return bytes + [UInt8](repeating: 0, count: 16)
  }

  /// struct msginfo, 32 bytes: msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql, msgseg; with MSG_INFO the first is the queues in use,
  /// msgmap the messages and msgtql their bytes.
  private static func facts(_ table: IPCTable<MessageQueue>, inUse: Bool) -> [UInt8] {
    let queues = table.sorted.map(\.object)
    let limit = Int(MessageLimits.queue)
    let pool = MessageLimits.queues * limit / 1024
    var words = [pool, limit, MessageLimits.message, limit, MessageLimits.queues, 16, limit, 0xffff]
    if inUse {
      words[0] = queues.count
      words[1] = queues.reduce(0) { $0 + $1.count }
      words[6] = queues.reduce(0) { $0 + Int(clamping: $1.bytes) }
    }
    var bytes: [UInt8] = []
    for word in words { bytes.append(little: UInt32(truncatingIfNeeded: word)) }
    return bytes
  }
}

extension Errno {
  static let noMessage = Errno(rawValue: ENOMSG)
  static let identifierRemoved = Errno(rawValue: EIDRM)
}
