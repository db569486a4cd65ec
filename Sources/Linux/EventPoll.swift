import CLinux

/// Readiness of many descriptors (epoll(7), level-triggered).
public struct EventPoll: ~Copyable, Sendable {
  public struct Events: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let readable = Events(rawValue: 0x001)
    public static let writable = Events(rawValue: 0x004)
    /// An error or a full hang-up; always reported.
    public static let failed = Events(rawValue: 0x008 | 0x010)
  }

  private let descriptor: FileDescriptor

  public init() throws(SystemError) {
    let closeOnExec = UInt(O_CLOEXEC)
    descriptor = FileDescriptor(
      owning: Int32(try checked("epoll_create1", "", systemCall(Int(SYS_epoll_create1), closeOnExec))))
  }

  /// Watches a descriptor; `tag` comes back with its events.
  public borrowing func add(_ watched: Int32, _ events: Events, tag: UInt64) throws(SystemError) {
    try control(1, watched, events, tag)
  }
  public borrowing func change(_ watched: Int32, _ events: Events, tag: UInt64) throws(SystemError) {
    try control(3, watched, events, tag)
  }
  public borrowing func remove(_ watched: Int32) throws(SystemError) { try control(2, watched, [], 0) }

  private borrowing func control(
    _ operation: UInt, _ watched: Int32, _ events: Events, _ tag: UInt64
  ) throws(SystemError) {
    var event = unsafe epoll_event()
    unsafe event.events = events.rawValue
    unsafe event.data.u64 = tag
    // SAFETY: the kernel reads one epoll_event, alive across the call.
    let result = unsafe withUnsafePointer(to: &event) { pointer in
      systemCall(
        Int(SYS_epoll_ctl), word(descriptor.rawValue), operation, word(watched), UInt(bitPattern: pointer))
    }
    try checked("epoll_ctl", "\(watched)", result)
  }

  /// What is ready, at most 64 descriptors; none when so many milliseconds passed first (-1: no bound).
  public borrowing func wait(milliseconds: Int32) throws(SystemError) -> [(tag: UInt64, events: Events)] {
    let capacity = 64
    var failure = 0
    // SAFETY: the kernel fills at most `capacity` entries and returns how many.
    let events = unsafe [epoll_event](unsafeUninitializedCapacity: capacity) { storage, count in
      let address = UInt(bitPattern: storage.baseAddress)
      let result = retrying {
        systemCall(
          Int(SYS_epoll_pwait), word(descriptor.rawValue), address, UInt(capacity), word(milliseconds), 0, 8)
      }
      if result < 0 { failure = result } else { count = result }
    }
    try checked("epoll_wait", "", failure)
    // SAFETY: `data` is the tag that `control` put there.
    return unsafe events.map { unsafe ($0.data.u64, Events(rawValue: $0.events)) }
  }
}
