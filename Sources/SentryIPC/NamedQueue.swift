public import Linux
public import SentryFiles
public import SentryMemory
public import SentryWait

/// Bounds of POSIX's message queues (mq_overview(7); DFLT_ and HARD_ of linux/ipc_namespace.h), as /proc/sys/fs/mqueue shows them.
public enum NamedQueueLimits {
  /// MQ_PRIO_MAX.
  public static let priorities: UInt32 = 32768
  /// Messages of a queue, and bytes of a message: what there are where nobody said, and at most without CAP_SYS_RESOURCE.
  public static let messages: Int64 = 10
  public static let size: Int64 = 8192
  /// With it.
  public static let mostMessages: Int64 = 65536
  public static let greatestSize: Int64 = 16 << 20
  public static let queues = 256
  /// Of all namespaces together, for whoever has it.
  public static let mostQueues = 4096
}

/// A message queue with a name (mq_overview(7)): an inode of the mqueue file system.
public final class NamedQueue: Inode {
  public struct Message: Equatable, Sendable {
    public let priority: UInt32
    public let bytes: [UInt8]
    public init(priority: UInt32, bytes: [UInt8]) {
      self.priority = priority
      self.bytes = bytes
    }
  }
  /// Who is told, once, when a message comes into the empty queue and nobody waits for it (mq_notify(3)).
  public struct Notification {
    /// The process's table of descriptors: any close of the queue there takes the notification back.
    let owner: ObjectIdentifier
    let process: Int32
    let kind: Int32
    let signal: Int32
    let tell: () -> Void
    public init(owner: ObjectIdentifier, process: Int32, kind: Int32, signal: Int32, tell: @escaping () -> Void) {
      self.owner = owner
      self.process = process
      self.kind = kind
      self.signal = signal
      self.tell = tell
    }
  }

  public let mostMessages: Int64
  public let messageSize: Int64
  /// By priority, highest first, and then by age.
  private var messages: [Message] = []
  private var bytes: Int { messages.reduce(0) { $0 + $1.bytes.count } }
  private var notification: Notification?
  /// Who sleeps in mq_receive(3) and mq_send(3), and who polls.
  public let receivers = WaitQueue()
  public let senders = WaitQueue()
  let changes = WaitQueue()
  private unowned let queues: NamedQueueFileSystem
  /// What it counts for against its maker's RLIMIT_MSGQUEUE.
  let cost: UInt64
  let maker: UInt32
  private var isLinked = true
  private var opened = 0

  init(_ queues: NamedQueueFileSystem, _ file: NewFile, messages: Int64, size: Int64, cost: UInt64) {
    self.queues = queues
    self.cost = cost
    mostMessages = messages
    messageSize = size
    maker = file.user
    super.init(
      queues, .pseudo(queues, .regular, file.permissions, user: file.user, group: file.group))
    // FILENT_SIZE of ipc/mqueue.c: the text that a read gives.
    attributes.size = 80
  }

  public var count: Int64 { Int64(messages.count) }
  public var isFull: Bool { count >= mostMessages }

  public override func open(_ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) -> OpenFile {
    NamedQueueFile(self, flags: flags)
  }
  public override func change(_ change: AttributeChange) throws(Errno) { attributes.apply(change) }

  // MARK: Messages

  /// - Throws: ENOMEM where all queues of the sandbox together hold what they may.
  public func send(_ message: Message) throws(Errno) {
    try queues.take(message.bytes.count)
    let place = messages.firstIndex { $0.priority < message.priority } ?? messages.count
    let wasEmpty = messages.isEmpty
    messages.insert(message, at: place)
    attributes.modified = .now()
    attributes.changed = attributes.modified
    // Who sleeps in mq_receive(3) gets it, and nobody is told.
    if wasEmpty, receivers.isEmpty, let told = notification {
      notification = nil
      told.tell()
    }
    receivers.wake(.readable)
    changes.wake(.readable)
  }

  public func receive() -> Message? {
    guard !messages.isEmpty else { return nil }
    let message = messages.removeFirst()
    queues.giveBack(message.bytes.count)
    attributes.accessed = .now()
    senders.wake(.writable)
    changes.wake(.writable)
    return message
  }

  // MARK: Notification

  /// - Throws: EBUSY where somebody is told already.
  public func register(_ new: Notification) throws(Errno) {
    if notification != nil { throw .busy }
    notification = new
  }
  public func unregister(_ owner: ObjectIdentifier) {
    if notification?.owner == owner { notification = nil }
  }

  /// What reading the queue's file tells (mqueue_read_file, ipc/mqueue.c).
  var text: [UInt8] {
    func padded(_ value: Int64, _ width: Int) -> String {
      let text = String(value)
      return text + String(repeating: " ", count: max(0, width - text.utf8.count))
    }
    let told = notification
    let isSignal = told?.kind == 0
    return Array(
      "QSIZE:\(padded(Int64(bytes), 10)) NOTIFY:\(padded(Int64(told?.kind ?? 0), 5)) SIGNO:\(padded(isSignal ? Int64(told?.signal ?? 0) : 0, 5)) NOTIFY_PID:\(padded(Int64(told?.process ?? 0), 6))\n"
        .utf8)
  }

  // MARK: Its life

  func unlinked() {
    isLinked = false
    attributes.links = 0
    endIfUnused()
  }
  func opening() { opened += 1 }
  func closed() {
    opened -= 1
    endIfUnused()
  }
  private func endIfUnused() {
    guard !isLinked, opened == 0 else { return }
    queues.giveBack(bytes, messages: messages.count)
    messages = []
    queues.gone(self)
  }
}

/// An open queue: what mq_open(3) gives, and open(2) of its file too.
public final class NamedQueueFile: OpenFile {
  public let messages: NamedQueue

  public init(_ queue: NamedQueue, flags: Int32) {
    messages = queue
    super.init(flags: flags)
    queue.opening()
  }

  public override func released() { messages.closed() }
  public override func closing(_ table: ObjectIdentifier) { messages.unregister(table) }

  public override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    let start = offset ?? position
    guard start >= 0 else { throw .invalid }
    let text = messages.text
    guard start < Int64(text.count) else { return 0 }
    let count = try buffer.put(Array(text[Int(start)...]))
    if offset == nil { position += Int64(count) }
    return count
  }

  /// default_llseek: within the 80 bytes that the file shows.
  public override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 {
    let base: Int64
    switch whence {
    case 0: base = 0
    case 1: base = position
    case 2: base = messages.attributes.size
    default: throw .invalid
    }
    let (target, overflow) = base.addingReportingOverflow(offset)
    guard !overflow, target >= 0 else { throw .invalid }
    position = target
    return target
  }

  public override var queue: WaitQueue? { messages.changes }
  public override var readiness: PollEvents {
    var events: PollEvents = []
    if messages.count > 0 { events.insert(.readable) }
    if !messages.isFull { events.insert(.writable) }
    return events
  }
}
