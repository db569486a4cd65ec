import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks

/// Locks of byte ranges (fcntl_locking(2)).
enum LockCalls {
  /// Whose a lock is: the process's descriptor table, or the open file itself.
  private static func owner(_ file: OpenFile, _ isOpenFile: Bool, _ task: Task) -> ObjectIdentifier {
    isOpenFile ? ObjectIdentifier(file) : ObjectIdentifier(task.descriptors)
  }

  /// - Throws: EINVAL for a range before the file, EOVERFLOW for one beyond every file.
  private static func range(_ record: LockRecord, _ file: OpenFile, _ inode: Inode) throws(Errno) -> ClosedRange<Int64>
  {
    let base: Int64
    switch record.whence {
    case 0: base = 0
    case 1: base = file.position
    case 2:
      if !inode.fileSystem.isStable { try inode.refresh() }
      base = inode.attributes.size
    default: throw .invalid
    }
    var (first, overflow) = base.addingReportingOverflow(record.start)
    guard !overflow else { throw .overflow }
    guard first >= 0 else { throw .invalid }
    if record.length == 0 { return first...Int64.max }
    if record.length > 0 {
      let (last, overflow) = first.addingReportingOverflow(record.length - 1)
      guard !overflow else { throw .overflow }
      return first...last
    }
    let last = first &- 1
    first = first &+ record.length
    guard first >= 0 else { throw .invalid }
    return first...last
  }

  static func ask(_ file: OpenFile, _ address: GuestAddress, isOpenFile: Bool, _ task: Task) throws(Errno) -> Outcome {
    var record = LockRecord(try task.memory.bytes(address, count: LockRecord.size))
    // With F_UNLCK Linux 6.15 tells of any lock there, also the caller's own (F_OFD_GETLK).
    let asksForAny = isOpenFile && record.type == LockRecord.unlock
    guard asksForAny || record.type == LockRecord.read || record.type == LockRecord.write else { throw .invalid }
    if isOpenFile, record.process != 0 { throw .invalid }
    guard let inode = file.inode else { throw .badDescriptor }
    let range = try range(record, file, inode)
    let other = inode.locks?.conflict(
      asksForAny ? nil : owner(file, isOpenFile, task), isExclusive: record.type != LockRecord.read, range)
    if let other {
      record.type = other.isExclusive ? LockRecord.write : LockRecord.read
      record.whence = 0
      record.start = other.range.lowerBound
      record.length = other.range.upperBound == .max ? 0 : other.range.upperBound - other.range.lowerBound + 1
      record.process = other.process
    } else {
      record.type = LockRecord.unlock
    }
    try task.memory.store(record.bytes, at: address)
    return .zero
  }

  static func set(
    _ file: OpenFile, _ address: GuestAddress, isOpenFile: Bool, waits: Bool, _ task: Task
  ) throws(Errno) -> Outcome {
    let record = LockRecord(try task.memory.bytes(address, count: LockRecord.size))
    if isOpenFile, record.process != 0 { throw .invalid }
    guard let inode = file.inode else { throw .badDescriptor }
    let range = try range(record, file, inode)
    let owner = owner(file, isOpenFile, task)
    switch record.type {
    case LockRecord.unlock:
      inode.locks?.unlock(owner, range)
      return .zero
    case LockRecord.read: guard file.isReadable else { throw .badDescriptor }
    case LockRecord.write: guard file.isWritable else { throw .badDescriptor }
    default: throw .invalid
    }
    let locks = inode.fileLocks
    do throws(Errno) {
      try locks.lock(
        owner, process: isOpenFile ? -1 : task.group.id, isExclusive: record.type == LockRecord.write, range)
      file.holdsLocks = true
      return .zero
    } catch {
      guard error == .again, waits else { throw error }
      // Whoever waits for one that waits for it would sleep for ever.
      guard let other = locks.conflict(owner, isExclusive: record.type == LockRecord.write, range) else { throw error }
      let waits = LockWaits.of(task)
      if !isOpenFile, waits.wouldClose(from: owner, to: other.owner) { throw .deadlock }
      waits.add(owner, other.owner, task)
      return task.wait(on: locks.queue)
    }
  }
}

/// Who sleeps in fcntl(2) for whose lock.
final class LockWaits {
  private struct Edge {
    let other: ObjectIdentifier
    weak var task: Task?
    /// It may have been woken, or given up, since.
    var holds: Bool { task?.parked?.call.number == 72 }
  }
  private var edges: [ObjectIdentifier: Edge] = [:]

  static func of(_ task: Task) -> LockWaits {
    if let known = task.paths.namespace.lockWaits as? LockWaits { return known }
    let made = LockWaits()
    task.paths.namespace.lockWaits = made
    return made
  }

  func wouldClose(from owner: ObjectIdentifier, to other: ObjectIdentifier) -> Bool {
    var at = other
    // A chain is no longer than there are edges.
    for _ in 0...edges.count {
      if at == owner { return true }
      guard let edge = edges[at], edge.holds else { return false }
      at = edge.other
    }
    return false
  }

  func add(_ owner: ObjectIdentifier, _ other: ObjectIdentifier, _ task: Task) {
    edges = edges.filter { $0.value.holds }
    edges[owner] = Edge(other: other, task: task)
  }
}
