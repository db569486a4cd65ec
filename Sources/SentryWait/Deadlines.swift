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
  private var cancelled: Set<Token> = []
  private var last: UInt64 = 0
  public init() {}

  /// - Parameter time: nanoseconds of CLOCK_MONOTONIC.
  public func add(_ waiter: Waiter, at time: UInt64) -> Token {
    last &+= 1
    let token = Token(number: last)
    heap.append(Entry(time: time, token: token, waiter: waiter))
    var child = heap.count - 1
    while child > 0, heap[child].time < heap[(child - 1) / 2].time {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
    return token
  }

  public func cancel(_ token: Token) {
    guard heap.contains(where: { $0.token == token }) else { return }
    cancelled.insert(token)
    dropCancelled()
  }

  /// The soonest one, for the time-out of the sentry's own wait.
  public var next: UInt64? { heap.first?.time }

  /// Wakes all whose time has come, in the order of their times.
  public func fire(now: UInt64) {
    while let first = heap.first, first.time <= now {
      removeFirst()
      if cancelled.remove(first.token) == nil { first.waiter.wake(.any) }
    }
    dropCancelled()
  }

  private func dropCancelled() {
    while let first = heap.first, cancelled.remove(first.token) != nil { removeFirst() }
  }

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
