import CLinux
import Linux
import SentryABI
import SentryFiles
import SentryIPC
import SentryMemory
import SentrySignals
import SentryTasks
import SentryWait

/// POSIX's message queues (mq_overview(7)): files of the sentry's mqueue file system.
enum NamedQueueCalls {
  static let rows: [CallRow] = [
    CallRow(240, "mq_open") { (call, task) throws(Errno) in try open(call, task) },
    CallRow(241, "mq_unlink") { (call, task) throws(Errno) in try unlink(call, task) },
    CallRow(242, "mq_timedsend", blocksOn: "message queue, time") { (call, task) throws(Errno) in
      try send(call, task)
    },
    CallRow(243, "mq_timedreceive", blocksOn: "message queue, time") { (call, task) throws(Errno) in
      try receive(call, task)
    },
    CallRow(244, "mq_notify", .part("SIGEV_THREAD, which libraries have told through a netlink socket: EINVAL")) {
      (call, task) throws(Errno) in try notify(call, task)
    },
    CallRow(245, "mq_getsetattr") { (call, task) throws(Errno) in try attributes(call, task) },
  ]

  /// A name as lookup_one_len() of fs/namei.c takes it: C libraries have cut the slash.
  private static func name(_ address: GuestAddress, _ task: Task) throws(Errno) -> [UInt8] {
    let name = try task.text(address)
    if name.isEmpty { throw .noEntry }
    if name == [0x2e] || name == [0x2e, 0x2e] || name.contains(0x2f) { throw .accessDenied }
    if name.count > 255 { throw .nameTooLong }
    return name
  }

  private static func open(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let flags = call.arguments.1.int32
    var shape: (messages: Int64, size: Int64)?
    let given = call.arguments.3.address
    if !given.isNull {
      let bytes = try task.memory.bytes(given, count: 64)
      shape = (Int64(bitPattern: bytes.little64(8)), Int64(bitPattern: bytes.little64(16)))
    }
    let name = try name(call.arguments.0.address, task)
    let directory = task.namespaces.objects.named
    let who = task.credentials
    let queue: NamedQueue
    if let found = directory.queue(name) {
      if flags & (OpenFlags.create | OpenFlags.exclusive) == OpenFlags.create | OpenFlags.exclusive { throw .exists }
      let access: FileAccess
      switch flags & OpenFlags.accessMode {
      case 0: access = .read
      case 1: access = .write
      case 2: access = [.read, .write]
      default: throw .invalid
      }
      try who.check(access, of: found.attributes)
      queue = found
    } else {
      guard flags & OpenFlags.create != 0 else { throw .noEntry }
      try who.check([.write, .execute], of: directory.attributes)
      let file = NewFile(
        kind: .regular, permissions: call.arguments.2.uint32 & 0o7777 & ~task.paths.umask, user: who.fileUser,
        group: who.fileGroup)
      queue = try directory.make(
        name, file, messages: shape?.messages ?? NamedQueueLimits.messages, size: shape?.size ?? NamedQueueLimits.size,
        limit: task.group.limits[12].soft, for: who)
    }
    let file = NamedQueueFile(queue, flags: flags & (OpenFlags.accessMode | OpenFlags.nonBlocking))
    file.path = Path(unnamed: queue, name: [0x2f] + name)
    return try task.install(file, closesOnExec: true)
  }

  private static func unlink(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let name = try name(call.arguments.0.address, task)
    let directory = task.namespaces.objects.named
    guard let queue = directory.queue(name) else { throw .noEntry }
    let who = task.credentials
    try who.check([.write, .execute], of: directory.attributes)
    // may_delete() of fs/namei.c: the directory is sticky.
    if directory.attributes.permissions & 0o1000 != 0, !who.owns(queue.attributes),
      directory.attributes.user != who.fileUser
    {
      throw .notPermitted
    }
    directory.unlink(name)
    return .zero
  }

  /// - Throws: EBADF.
  private static func file(_ number: GuestWord, _ task: Task) throws(Errno) -> NamedQueueFile {
    guard let file = try task.descriptors.file(number.int32) as? NamedQueueFile else { throw .badDescriptor }
    return file
  }

  /// An absolute time of CLOCK_REALTIME, as the host's monotonic clock will have it.
  private static func deadline(_ address: GuestAddress, _ task: Task) throws(Errno) -> UInt64? {
    if address.isNull { return nil }
    let time = TimeSpec(try task.memory.bytes(address, count: 16))
    guard time.isValid else { throw .invalid }
    return try GuestClock.deadline(GuestClock.realTime, at: time)
  }

  private static func wait(_ queue: WaitQueue, _ file: NamedQueueFile, until deadline: UInt64?, _ task: Task)
    throws(Errno) -> Outcome
  {
    if file.isNonBlocking { throw .again }
    if let deadline { task.setDeadline(deadline) }
    if task.hasTimedOut { throw .timedOut }
    return task.wait(on: queue)
  }

  private static func send(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let deadline = try deadline(call.arguments.4.address, task)
    let priority = call.arguments.3.uint32
    guard priority < NamedQueueLimits.priorities else { throw .invalid }
    let file = try file(call.arguments.0, task)
    guard file.isWritable else { throw .badDescriptor }
    guard let size = call.arguments.2.size, Int64(size) <= file.messages.messageSize else { throw .messageSize }
    let bytes = try task.memory.bytes(call.arguments.1.address, count: size)
    if file.messages.isFull { return try wait(file.messages.senders, file, until: deadline, task) }
    // Whom a notification names.
    task.kernel.current = task
    try file.messages.send(NamedQueue.Message(priority: priority, bytes: bytes))
    return .zero
  }

  private static func receive(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let deadline = try deadline(call.arguments.4.address, task)
    let file = try file(call.arguments.0, task)
    guard file.isReadable else { throw .badDescriptor }
    if let room = call.arguments.2.size, Int64(room) < file.messages.messageSize { throw .messageSize }
    guard let message = file.messages.receive() else {
      return try wait(file.messages.receivers, file, until: deadline, task)
    }
    // As with Linux, what cannot be put down is lost.
    let priority = call.arguments.3.address
    if !priority.isNull { try task.memory.store(message.priority, at: priority) }
    if !message.bytes.isEmpty { try task.memory.store(message.bytes, at: call.arguments.1.address) }
    return .value(Int64(message.bytes.count))
  }

  /// struct sigevent: value, signal, how (sigevent(3type)).
  private static func notify(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let event = call.arguments.1.address
    let owner = ObjectIdentifier(task.descriptors)
    if event.isNull {
      try file(call.arguments.0, task).messages.unregister(owner)
      return .zero
    }
    let bytes = try task.memory.bytes(event, count: 64)
    let (signal, kind) = (Int32(bitPattern: bytes.little32(8)), Int32(bitPattern: bytes.little32(12)))
    // SIGEV_SIGNAL 0, SIGEV_NONE 1.
    guard kind == 1 || kind == 0 && (signal == 0 || Signal.isValid(signal)) else { throw .invalid }
    let value = bytes.little64(0)
    let (group, kernel) = (task.group, task.kernel)
    let registered = NamedQueue.Notification(
      owner: owner, process: group.id, kind: kind, signal: signal
    ) { [weak group, weak kernel] in
      guard let group, let kernel, kind == 0, signal != 0 else { return }
      let sender = kernel.current
      let info = SignalInfo(
        signal: signal, code: SignalInfo.messageQueue, process: sender?.group.id ?? 0,
        user: sender?.credentials.user ?? 0, value: value)
      // It has ended meanwhile: nobody is told.
      do throws(Errno) { try kernel.send(signal, to: group, info: info) } catch {}
    }
    try file(call.arguments.0, task).messages.register(registered)
    return .zero
  }

  /// struct mq_attr: flags, messages at most, bytes of each, messages now, and room for four more words.
  private static func attributes(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (new, old) = (call.arguments.1.address, call.arguments.2.address)
    var wanted: Int64?
    if !new.isNull {
      let flags = Int64(bitPattern: try task.memory.bytes(new, count: 64).little64(0))
      guard flags & ~Int64(OpenFlags.nonBlocking) == 0 else { throw .invalid }
      wanted = flags
    }
    let file = try file(call.arguments.0, task)
    let queue = file.messages
    var bytes: [UInt8] = []
    for word in [Int64(file.flags & OpenFlags.nonBlocking), queue.mostMessages, queue.messageSize, queue.count] {
      bytes.append(little: UInt64(bitPattern: word))
    }
    bytes += [UInt8](repeating: 0, count: 32)
    if let wanted {
      file.flags = file.flags & ~OpenFlags.nonBlocking | Int32(truncatingIfNeeded: wanted)
    }
    if !old.isNull { try task.memory.store(bytes, at: old) }
    return .zero
  }
}

extension Errno {
  fileprivate static let messageSize = Errno(rawValue: EMSGSIZE)
}
