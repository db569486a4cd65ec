import CLinux
import Linux

/// The descriptors that one turn of a loop waits for.
struct WaitList {
  private var entries: [pollfd] = []

  mutating func removeAll() { entries.removeAll(keepingCapacity: true) }

  /// Waits for `events` of a descriptor too; what to ask `events(_:)` with. Errors and hang-ups are always reported (poll(2)).
  mutating func add(_ descriptor: Int32, _ events: Int32) -> Int {
    entries.append(pollfd(fd: descriptor, events: Int16(events), revents: 0))
    return entries.count - 1
  }

  /// How many of the descriptors are ready; 0 when the time has passed.
  @discardableResult
  mutating func wait(nanoseconds: UInt64?) throws(SystemError) -> Int {
    try Poll.wait(&entries, nanoseconds: nanoseconds)
  }

  func events(_ index: Int?) -> Int32 {
    guard let index else { return 0 }
    return Int32(entries[index].revents)
  }
}
