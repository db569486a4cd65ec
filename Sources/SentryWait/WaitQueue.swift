/// What poll(2) tells of a file: POLLIN, POLLOUT and so on, with epoll(7)'s numbers, which are the same.
public struct PollEvents: OptionSet, Hashable, Sendable, BitwiseCopyable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public static let readable = PollEvents(rawValue: 0x001)
  public static let priority = PollEvents(rawValue: 0x002)
  public static let writable = PollEvents(rawValue: 0x004)
  public static let error = PollEvents(rawValue: 0x008)
  public static let hangup = PollEvents(rawValue: 0x010)
  public static let readHangup = PollEvents(rawValue: 0x2000)
  /// For wakes that are about no file: a child's end, a lock.
  public static let any = PollEvents(rawValue: 0xffff_ffff)
}

/// Who waits in queues: a task in a call, or an epoll item (the kernel's `wait_queue_entry`, linux/wait.h).
open class Waiter {
  fileprivate var queues: [WaitQueue] = []
  public init() {}

  /// Called when something that it waits for may have happened; it stays in its queues. Must not block, and must not leave queues
  /// that are being woken: what wakes is looked at afterwards.
  open func wake(_ events: PollEvents) {}

  /// Leaves every queue.
  public final func leave() {
    if queues.isEmpty { return }
    for queue in queues { queue.remove(self) }
    queues.removeAll(keepingCapacity: true)
  }
}

/// How many wait in some queues together.
final class WaiterCount {
  var count = 0
}

/// Those who wait for one thing.
public final class WaitQueue {
  private struct Entry {
    let waiter: Waiter
    let events: PollEvents
    let isExclusive: Bool
  }
  private var entries: [Entry] = []
  private var counter: WaiterCount?
  public init() {}

  /// From here on its waiters are counted there.
  func count(in counter: WaiterCount?) {
    self.counter?.count -= entries.count
    counter?.count += entries.count
    self.counter = counter
  }

  public var isEmpty: Bool { entries.isEmpty }

  /// - Parameter isExclusive: at most one of the exclusive waiters is woken at a time (EPOLLEXCLUSIVE, accept(2)).
  public func add(_ waiter: Waiter, for events: PollEvents = .any, isExclusive: Bool = false) {
    entries.append(Entry(waiter: waiter, events: events, isExclusive: isExclusive))
    waiter.queues.append(self)
    counter?.count += 1
  }

  fileprivate func remove(_ waiter: Waiter) {
    let before = entries.count
    entries.removeAll { $0.waiter === waiter }
    counter?.count -= before - entries.count
  }

  /// Wakes those who wait for any of these events; error and hangup are waited for by all (poll(2)).
  public func wake(_ events: PollEvents = .any) {
    let told = events.union(events.isDisjoint(with: [.error, .hangup]) ? [] : .any)
    var exclusiveDone = false
    // The list as it is now: a waiter that is woken may add others.
    for entry in entries where !entry.events.isDisjoint(with: told) {
      if entry.isExclusive {
        if exclusiveDone { continue }
        exclusiveDone = true
      }
      entry.waiter.wake(events)
    }
  }
}
