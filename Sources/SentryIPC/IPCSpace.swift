/// The objects of System V's inter-process communication that one sandbox has (the kernel's `ipc_namespace`; sysvipc(7)).
public final class IPCSpace {
  public let semaphores = IPCTable<SemaphoreSet>(limit: SemaphoreLimits.sets)
  public let queues = IPCTable<MessageQueue>(limit: MessageLimits.queues)
  /// POSIX's message queues: a mount of the mqueue file system shows them.
  public private(set) lazy var named = NamedQueueFileSystem.tree()
  public let segments = IPCTable<SharedSegment>(limit: SegmentLimits.segments)
  /// Semaphores of all sets.
  public internal(set) var semaphoreCount = 0
  /// Processes for which something is to be undone.
  var undoers: Set<ObjectIdentifier> = []
  /// Bytes of all messages that wait.
  var messageBytes = 0
  public init() {}

  /// Whether something is to be undone for the process.
  public func undoes(for process: ObjectIdentifier) -> Bool { undoers.contains(process) }

  /// A process has ended: its semaphores are set back (SEM_UNDO; exit_sem, ipc/sem.c).
  public func processEnded(_ process: ObjectIdentifier, id: Int32, now: Int64) {
    guard undoers.remove(process) != nil else { return }
    for (_, set) in semaphores.sorted { set.undo(for: process, id: id, now: now) }
  }
}
