public import Linux
import SentryABI
public import SentryWait

/// include/uapi/linux/sem.h. Of all semaphores together fewer are given than Linux tells: they are the sentry's memory.
public enum SemaphoreLimits {
  /// SEMMNI, SEMMSL, SEMOPM, SEMVMX and SEMAEM.
  public static let sets = 32000
  public static let perSet: Int32 = 32000
  public static let operations = 500
  public static let value: Int32 = 32767
  public static let told: Int32 = 1_024_000_000
  static let all = 262_144
}

/// A set of semaphores (semop(2)).
public final class SemaphoreSet: IPCObject {
  /// One struct sembuf.
  public struct Operation: Equatable, Sendable {
    public let number: UInt16
    public let change: Int16
    public let flags: Int16
    public static let size = 6

    public init(_ bytes: [UInt8], at start: Int) {
      number = bytes.little16(start)
      change = Int16(bitPattern: bytes.little16(start + 2))
      flags = Int16(bitPattern: bytes.little16(start + 4))
    }
    public var undoes: Bool { flags & 0x1000 != 0 }
    public var doesNotWait: Bool { flags & 0o4000 != 0 }
  }
  private struct Waiting {
    let number: UInt16
    let isForZero: Bool
  }

  public var permissions: IPCPermissions
  public private(set) var values: [Int32]
  /// Who changed each last.
  public private(set) var processes: [Int32]
  /// Seconds since 1970.
  public var changed: Int64
  public private(set) var operated: Int64 = 0
  public let queue = WaitQueue()
  /// What each process's end adds to each semaphore.
  private var adjustments: [ObjectIdentifier: [Int32]] = [:]
  /// Calls that sleep, by the platform's names for them.
  private var waiting: [UInt64: Waiting] = [:]
  private static let leastCrowd = 64
  private var crowd = leastCrowd
  private unowned let space: IPCSpace

  /// - Throws: ENOSPC.
  public init(_ count: Int32, _ permissions: IPCPermissions, _ space: IPCSpace, now: Int64) throws(Errno) {
    guard space.semaphoreCount + Int(count) <= SemaphoreLimits.all else { throw .noSpace }
    space.semaphoreCount += Int(count)
    values = [Int32](repeating: 0, count: Int(count))
    processes = values
    self.permissions = permissions
    self.space = space
    changed = now
  }

  /// IPC_RMID: whoever waits looks, and finds that it is gone.
  public func removed() {
    space.semaphoreCount -= values.count
    queue.wake()
  }

  /// All of them or none (perform_atomic_semop, ipc/sem.c).
  /// - Returns: false where one of them cannot be done now; `call` then waits for it.
  /// - Throws: EFBIG, ERANGE, EAGAIN.
  public func perform(
    _ operations: [Operation], by process: ObjectIdentifier, id: Int32, call: UInt64, now: Int64
  ) throws(Errno) -> Bool {
    waiting[call] = nil
    var after = values
    var undone = adjustments[process]
    for operation in operations {
      let number = Int(operation.number)
      guard number < values.count else { throw .fileTooBig }
      let change = Int32(operation.change)
      if change == 0 ? after[number] != 0 : after[number] + change < 0 {
        if operation.doesNotWait { throw .again }
        waiting[call] = Waiting(number: operation.number, isForZero: change == 0)
        return false
      }
      guard after[number] + change <= SemaphoreLimits.value else { throw .range }
      after[number] += change
      if operation.undoes {
        var own = undone ?? [Int32](repeating: 0, count: values.count)
        own[number] -= change
        guard abs(own[number]) <= SemaphoreLimits.value else { throw .range }
        undone = own
      }
    }
    if let undone, undone != adjustments[process] {
      adjustments[process] = undone
      space.undoers.insert(process)
    }
    for operation in operations { processes[Int(operation.number)] = id }
    operated = now
    if after != values {
      values = after
      queue.wake()
    }
    return true
  }

  /// SETVAL and SETALL, from `first` on: what was to be undone there is forgotten.
  public func set(_ wanted: [Int32], from first: Int, id: Int32, now: Int64) {
    for (offset, value) in wanted.enumerated() {
      values[first + offset] = value
      processes[first + offset] = id
    }
    for process in Array(adjustments.keys) {
      for offset in wanted.indices { adjustments[process]?[first + offset] = 0 }
    }
    changed = now
    queue.wake()
  }

  func undo(for process: ObjectIdentifier, id: Int32, now: Int64) {
    guard let own = adjustments.removeValue(forKey: process) else { return }
    for (number, change) in own.enumerated() where change != 0 {
      values[number] = min(max(0, values[number] + change), SemaphoreLimits.value)
      processes[number] = id
    }
    operated = now
    queue.wake()
  }

  /// So many calls are said to sleep that those had better be looked for that a signal ended.
  public var isCrowded: Bool { waiting.count >= crowd }
  public func prune(sleeps: (UInt64) -> Bool) {
    waiting = waiting.filter { sleeps($0.key) }
    crowd = max(Self.leastCrowd, 2 * waiting.count)
  }

  /// A call that sleeps no more.
  public func forget(_ call: UInt64) { waiting[call] = nil }

  /// GETNCNT and GETZCNT.
  /// - Parameter sleeps: whether a call that was waiting is still; one that a signal ended is not.
  public func waiters(_ number: Int, forZero: Bool, sleeps: (UInt64) -> Bool) -> Int {
    prune(sleeps: sleeps)
    return waiting.values.count { Int($0.number) == number && $0.isForZero == forZero }
  }
}
