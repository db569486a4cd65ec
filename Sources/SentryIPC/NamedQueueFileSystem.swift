public import Linux
public import SentryABI
public import SentryFiles

/// The mqueue file system (mq_overview(7)): one directory, whose files are POSIX's message queues.
public final class NamedQueueFileSystem: PseudoFileSystem {
  /// Bytes of all messages together, each with what it costs beside them: less than Linux's would be, as they are the sentry's memory. For all of
  /// the sandbox's namespaces: who may make one may make very many.
  private static let all = 16 << 20
  private static let overhead = 64
  // SAFETY: the sentry is one thread; it serves one sandbox.
  nonisolated(unsafe) private static var held = 0
  nonisolated(unsafe) private static var living = 0
  /// What the queues of each user count for (RLIMIT_MSGQUEUE).
  private var costs: [UInt32: UInt64] = [:]
  private var count = 0

  public init() { super.init(type: "mqueue", magic: 0x1980_0202) }

  public static func tree() -> NamedQueueDirectory { NamedQueueDirectory(NamedQueueFileSystem()) }

  /// A new queue (mqueue_get_inode, ipc/mqueue.c).
  /// - Parameters:
  ///   - limit: the caller's RLIMIT_MSGQUEUE, in bytes.
  ///   - shape: messages and bytes of each; nil takes the usual ones.
  /// - Throws: EINVAL, EMFILE beyond the limit, ENOSPC beyond `NamedQueueLimits.queues`.
  func make(
    _ file: NewFile, messages: Int64, size: Int64, limit: UInt64, for caller: Credentials
  ) throws(Errno) -> NamedQueue {
    let isFree = caller.has(Capability.resources)
    if count >= NamedQueueLimits.queues, !isFree { throw .noSpace }
    if unsafe Self.living >= NamedQueueLimits.mostQueues { throw .noSpace }
    guard messages > 0, size > 0,
      messages <= (isFree ? NamedQueueLimits.mostMessages : NamedQueueLimits.messages),
      size <= (isFree ? NamedQueueLimits.greatestSize : NamedQueueLimits.size)
    else { throw .invalid }
    // A struct msg_msg and a struct posix_msg_tree_node for each message, 48 bytes either; both factors are bounded above.
    let cost =
      UInt64(messages) * 48 + UInt64(min(messages, Int64(NamedQueueLimits.priorities))) * 48
      + UInt64(messages) * UInt64(size)
    let before = costs[file.user] ?? 0
    guard before + cost <= limit else { throw .tooManyFiles }
    costs[file.user] = before + cost
    count += 1
    unsafe Self.living += 1
    return NamedQueue(self, file, messages: messages, size: size, cost: cost)
  }

  func gone(_ queue: NamedQueue) {
    count -= 1
    unsafe Self.living -= 1
    let left = (costs[queue.maker] ?? 0) - queue.cost
    costs[queue.maker] = left == 0 ? nil : left
  }

  func take(_ bytes: Int) throws(Errno) {
    guard unsafe Self.held + bytes + Self.overhead <= Self.all else { throw .noMemory }
    unsafe Self.held += bytes + Self.overhead
  }
  func giveBack(_ bytes: Int, messages: Int = 1) { unsafe Self.held -= bytes + messages * Self.overhead }
}

/// Its directory, which everybody may make queues in, each removed by its owner alone.
public final class NamedQueueDirectory: PseudoDirectory {
  private let queues: NamedQueueFileSystem
  private var names: [[UInt8]: NamedQueue] = [:]

  init(_ queues: NamedQueueFileSystem) {
    self.queues = queues
    super.init(queues, permissions: 0o1777)
  }

  /// One that is there.
  public func queue(_ name: [UInt8]) -> NamedQueue? { names[name] }

  public func make(
    _ name: [UInt8], _ file: NewFile, messages: Int64 = NamedQueueLimits.messages,
    size: Int64 = NamedQueueLimits.size, limit: UInt64, for caller: Credentials
  ) throws(Errno) -> NamedQueue {
    let queue = try queues.make(file, messages: messages, size: size, limit: limit, for: caller)
    names[name] = queue
    changed()
    return queue
  }

  /// mq_unlink(3), after who may has been looked at.
  public func unlink(_ name: [UInt8]) {
    guard let queue = names.removeValue(forKey: name) else { return }
    changed()
    queue.unlinked()
  }

  private func changed() {
    // DIRENT_SIZE of ipc/mqueue.c.
    attributes.size = Int64(names.count * 20)
    attributes.modified = .now()
    attributes.changed = attributes.modified
  }

  public override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? { names[name] }
  public override func list(_ caller: FileCaller) throws(Errno) -> [DirectoryEntry] {
    names.sorted { $0.value.number < $1.value.number }.map {
      DirectoryEntry(name: $0.key, inode: $0.value.number, kind: .regular, next: Int64($0.value.number) + 3)
    }
  }
  /// open(2) with O_CREAT makes one too, of the usual shape.
  public override func create(_ name: [UInt8], _ file: NewFile) throws(Errno) -> Inode {
    guard file.kind == .regular else { throw .notPermitted }
    // No process's limit is known here: the usual one.
    return try make(name, file, limit: 819_200, for: Credentials())
  }
  public override func remove(_ name: [UInt8], _ file: Inode) throws(Errno) { unlink(name) }
  public override func change(_ change: AttributeChange) throws(Errno) { attributes.apply(change) }
}
