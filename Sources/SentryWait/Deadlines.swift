/// Times at which waiters are woken, soonest first: a binary heap over the host's CLOCK_MONOTONIC.
public final class Deadlines {
  /// Names one deadline, so that it can be taken back.
  public struct Token: Equatable, Hashable, Sendable {
    fileprivate let number: UInt64
  }
  private struct Entry {
    let time: UInt64
    let token: Token
    let waiter: Waiter
  }
  private var heap: [Entry] = []
  /// Those that are neither fired nor taken back.
  private var live: Set<Token> = []
  private var last: UInt64 = 0
  public init() {}

  /// - Parameter time: nanoseconds of CLOCK_MONOTONIC.
  public func add(_ waiter: Waiter, at time: UInt64) -> Token {
    last &+= 1
    let token = Token(number: last)
    live.insert(token)
    heap.append(Entry(time: time, token: token, waiter: waiter))
    var child = heap.count - 1
    while child > 0, heap[child].time < heap[(child - 1) / 2].time {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
    return token
  }

  public func cancel(_ token: Token) {
    guard live.remove(token) != nil else { return }
    dropCancelled()
    // Far ones that were taken back do not stay until their time: a guest would fill the memory with them.
    if heap.count > 2 * live.count + 64 { compact() }
  }

  /// The soonest one, for the time-out of the sentry's own wait.
  public var next: UInt64? { heap.first?.time }

  /// Wakes all whose time has come, in the order of their times.
  public func fire(now: UInt64) {
    // Those that a waiter adds meanwhile wait for the next time, however soon they are.
    var due: [Entry] = []
    while let first = heap.first, first.time <= now {
      removeFirst()
      due.append(first)
    }
    for entry in due where live.remove(entry.token) != nil { entry.waiter.wake(.any) }
    dropCancelled()
  }

  private func dropCancelled() {
    while let first = heap.first, !live.contains(first.token) { removeFirst() }
  }

  private func compact() {
    // In the order of their times an array is a heap.
    heap = heap.filter { live.contains($0.token) }.sorted { $0.time < $1.time }
  }

  /// Entries that are kept, for tests.
  public var count: Int { heap.count }

  private func removeFirst() {
    guard let tail = heap.popLast(), !heap.isEmpty else { return }
    heap[0] = tail
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].time < heap[least].time {
        least = child
      }
      if least == parent { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
