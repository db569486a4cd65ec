public import Linux
public import SentryWait

/// The locks of an inode: flock(2)'s, whole and owned by the open file, and fcntl(2)'s, ranges owned by a process (its descriptor
/// table) or by an open file (F_OFD_*). The two kinds don't see each other.
public final class FileLocks {
  /// Who waits for a range or for the file.
  public let queue = WaitQueue()
  public struct RangeLock {
    public let owner: ObjectIdentifier
    /// Process id for F_GETLK; -1 for an open file's.
    public let process: Int32
    public var isExclusive: Bool
    /// Bytes from...through; through Int64.max is "to the end, wherever that is".
    public var range: ClosedRange<Int64>
  }
  private var ranges: [RangeLock] = []
  private var whole: [(owner: ObjectIdentifier, isExclusive: Bool)] = []
  public init() {}

  /// In the order of their beginnings, for /proc/locks and tests.
  public var all: [RangeLock] { ranges.sorted { $0.range.lowerBound < $1.range.lowerBound } }

  /// - Returns: a lock of somebody else that stands in the way.
  public func conflict(_ owner: ObjectIdentifier?, isExclusive: Bool, _ range: ClosedRange<Int64>) -> RangeLock? {
    ranges.lazy.filter { $0.owner != owner && ($0.isExclusive || isExclusive) && $0.range.overlaps(range) }
      .min { $0.range.lowerBound < $1.range.lowerBound }
  }

  /// Takes a range, what the owner had of it before changed.
  /// - Throws: EAGAIN where somebody else has a part of it; ENOLCK beyond 65536 locks of a file.
  public func lock(
    _ owner: ObjectIdentifier, process: Int32, isExclusive: Bool, _ range: ClosedRange<Int64>
  ) throws(Errno) {
    guard conflict(owner, isExclusive: isExclusive, range) == nil else { throw .again }
    guard ranges.count < 65536 else { throw .noLocks }
    cut(owner, range)
    var joined = RangeLock(owner: owner, process: process, isExclusive: isExclusive, range: range)
    // Neighbours of the same kind become one lock.
    ranges.removeAll { other in
      guard other.owner == owner, other.isExclusive == isExclusive else { return false }
      let touches =
        other.range.overlaps(joined.range)
        || other.range.upperBound != .max && other.range.upperBound + 1 == joined.range.lowerBound
        || joined.range.upperBound != .max && joined.range.upperBound + 1 == other.range.lowerBound
      if touches {
        joined.range =
          min(other.range.lowerBound, joined.range.lowerBound)...max(other.range.upperBound, joined.range.upperBound)
      }
      return touches
    }
    ranges.append(joined)
    // A lock that became a shared one may let others in.
    queue.wake()
  }

  public func unlock(_ owner: ObjectIdentifier, _ range: ClosedRange<Int64> = 0...Int64.max) {
    if cut(owner, range) { queue.wake() }
  }

  @discardableResult
  private func cut(_ owner: ObjectIdentifier, _ range: ClosedRange<Int64>) -> Bool {
    var kept: [RangeLock] = []
    var changed = false
    for lock in ranges {
      guard lock.owner == owner, lock.range.overlaps(range) else {
        kept.append(lock)
        continue
      }
      changed = true
      if lock.range.lowerBound < range.lowerBound {
        var before = lock
        before.range = lock.range.lowerBound...range.lowerBound - 1
        kept.append(before)
      }
      if lock.range.upperBound > range.upperBound {
        var after = lock
        after.range = range.upperBound + 1...lock.range.upperBound
        kept.append(after)
      }
    }
    ranges = kept
    return changed
  }

  /// flock(2).
  /// - Throws: EAGAIN.
  public func lockWhole(_ owner: ObjectIdentifier, isExclusive: Bool) throws(Errno) {
    guard !whole.contains(where: { $0.owner != owner && ($0.isExclusive || isExclusive) }) else {
      // As Linux does it, a conversion that must wait has given up what it had.
      unlockWhole(owner)
      throw .again
    }
    whole.removeAll { $0.owner == owner }
    whole.append((owner, isExclusive))
    queue.wake()
  }

  public func unlockWhole(_ owner: ObjectIdentifier) {
    let count = whole.count
    whole.removeAll { $0.owner == owner }
    if whole.count != count { queue.wake() }
  }
}
