import CLinux
public import Linux

/// Descriptors of the host whose readiness wakes guests: sockets, and the streams that a sandbox was given. One epoll(7), edge-triggered,
/// that the sentry's loop waits on together with its own descriptors.
public final class HostEvents {
  /// The epoll itself, for a loop that wants to wait in another way; -1 where the host gave none.
  public let descriptor: Int32
  private var queues: [Int32: WaitQueue] = [:]
  /// Who waits for them.
  private let waiters = WaiterCount()
  /// Descriptors of the loop: level-triggered, told by `wait`.
  private var own: Set<Int32> = []

  public init() {
    let result = systemCall(Int(SYS_epoll_create1), UInt(O_CLOEXEC))
    descriptor = result < 0 ? -1 : Int32(truncatingIfNeeded: result)
  }
  deinit { if descriptor >= 0 { _ = systemCall(Int(SYS_close), word(descriptor)) } }

  /// Whether somebody waits for a descriptor of those that are urgent.
  public var areAwaited: Bool { waiters.count > 0 }

  /// Wakes `queue` at every change of the descriptor's readiness until `forget`.
  /// - Parameter isUrgent: false for what may wait some milliseconds while guests are busy.
  /// - Throws: EPERM for what is always ready (a regular file).
  public func watch(_ watched: Int32, _ queue: WaitQueue, isUrgent: Bool = true) throws(Errno) {
    try control(1, watched, PollEvents([.readable, .writable, .priority, .readHangup]).rawValue | 1 << 31)
    queues[watched] = queue
    if isUrgent { queue.count(in: waiters) }
  }

  /// Must come before the descriptor is closed.
  public func forget(_ watched: Int32) {
    guard let queue = queues.removeValue(forKey: watched) else { return }
    queue.count(in: nil)
    // A descriptor that is gone already has left by itself.
    do throws(Errno) { try control(2, watched, 0) } catch {}
  }

  /// A descriptor of the loop, told by `wait` as long as it is readable.
  public func add(own watched: Int32) throws(Errno) {
    try control(1, watched, PollEvents.readable.rawValue)
    own.insert(watched)
  }
  /// Closes it, with which it leaves by itself: nobody else has that file open (epoll(7)).
  public func close(own watched: Int32) {
    own.remove(watched)
    _ = systemCall(Int(SYS_close), word(watched))
  }

  /// Waits, wakes the queues of what came, and calls `body` for each of the loop's own descriptors that is readable or hung up, with what it is.
  /// - Parameter milliseconds: -1 for no bound.
  public func wait(milliseconds: Int32, _ body: (Int32, PollEvents) -> Void) {
    let capacity = 64
    unsafe withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: capacity) { events in
      // SAFETY: the kernel fills at most `capacity` entries, and only those that it counted are read.
      let count = systemCall(
        Int(SYS_epoll_pwait), word(descriptor), UInt(bitPattern: events.baseAddress), UInt(capacity),
        word(milliseconds), 0, 8)
      // A signal ends the wait early: the loop looks again.
      for index in 0..<max(0, count) {
        let tag = unsafe Int32(truncatingIfNeeded: events[index].data.u64)
        let told = unsafe PollEvents(rawValue: events[index].events)
        if let queue = queues[tag] { queue.wake(told) } else if own.contains(tag) { body(tag, told) }
      }
    }
  }

  private func control(_ operation: UInt, _ watched: Int32, _ events: UInt32) throws(Errno) {
    var event = unsafe epoll_event()
    unsafe event.events = events
    unsafe event.data.u64 = UInt64(UInt32(bitPattern: watched))
    // SAFETY: the kernel reads one epoll_event, alive across the call.
    let result = unsafe withUnsafePointer(to: &event) { pointer in
      systemCall(Int(SYS_epoll_ctl), word(descriptor), operation, word(watched), UInt(bitPattern: pointer))
    }
    if result < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
  }
}
