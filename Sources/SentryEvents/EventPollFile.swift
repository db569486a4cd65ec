public import Linux
public import SentryABI
public import SentryFiles
public import SentryWait

/// What an epoll_ctl(2) asks for: EPOLL* bits, and a word that comes back.
public struct EventInterest: Equatable, Sendable {
  public var events: UInt32
  public var data: UInt64
  public init(events: UInt32, data: UInt64) {
    self.events = events
    self.data = data
  }
  static let exclusive: UInt32 = 1 << 28
  static let oneShot: UInt32 = 1 << 30
  static let edge: UInt32 = 1 << 31
  /// What an exclusive interest may ask for (EPOLLEXCLUSIVE_OK_BITS, fs/eventpoll.c).
  static let exclusiveBits: UInt32 = 0x1 | 0x4 | 0x8 | 0x10 | 0x40 | 0x100 | 1 << 29 | edge | exclusive
  var asked: PollEvents { PollEvents(rawValue: events & 0x0fff_ffff).union([.error, .hangup]) }
}

/// An epoll(7): files whose readiness it collects.
///
/// An interest does not keep its file open. One whose file has been closed everywhere is dropped when it is next met.
public final class EventPollFile: OpenFile {
  struct Key: Hashable {
    let number: Int32
    let file: ObjectIdentifier
  }
  private var items: [Key: EventPollItem] = [:]
  /// Interests that something happened to, in order.
  private var ready: [EventPollItem] = []
  private let changes = WaitQueue()
  private var sweepAt = 64
  /// Interests that others have in this one.
  private var above: [EventPollItem] = []

  public init() { super.init(flags: 2) }

  public override func released() {
    for item in items.values { drop(item) }
    items.removeAll()
    ready.removeAll()
  }

  public override var queue: WaitQueue? { changes }
  public override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 { position }
  public override var readiness: PollEvents {
    // What is not ready any more is not looked at again before something happens to it: epolls within epolls would be looked at once for
    // each way that leads to them.
    var stale = 0
    defer { ready.removeFirst(stale) }
    for item in ready {
      if !item.isDropped && !item.now.isEmpty { return .readable }
      item.isListed = false
      stale += 1
    }
    return []
  }

  /// No request is known (ep_eventpoll_ioctl of fs/eventpoll.c).
  public override func control(_ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller) throws(Errno) -> Int64
  {
    throw .invalid
  }

  fileprivate func happened(_ item: EventPollItem) {
    guard !item.isListed else { return }
    item.isListed = true
    ready.append(item)
    changes.wake(.readable)
  }

  /// EPOLL_CTL_ADD.
  /// - Throws: EEXIST, EPERM for a file that is always ready, EINVAL, ELOOP for epolls in a ring or too deep.
  public func add(_ file: OpenFile, _ number: Int32, _ interest: EventInterest) throws(Errno) {
    guard let queue = file.queue else { throw .notPermitted }
    if interest.events & EventInterest.exclusive != 0 {
      if file is EventPollFile || interest.events & ~EventInterest.exclusiveBits != 0 { throw .invalid }
    }
    if let inner = file as? EventPollFile, inner.reaches(self) || height + inner.depth > 5 { throw .loop }
    sweep()
    guard unsafe Self.interests < Self.limit else { throw .noSpace }
    let key = Key(number: number, file: ObjectIdentifier(file))
    if let old = items[key], !old.isClosed { throw .exists }
    let item = EventPollItem(self, file, interest)
    unsafe Self.interests += 1
    items[key] = item
    (file as? EventPollFile)?.above.append(item)
    item.join(queue)
    if !item.now.isEmpty { happened(item) }
  }

  /// EPOLL_CTL_MOD.
  public func change(_ file: OpenFile, _ number: Int32, _ interest: EventInterest) throws(Errno) {
    if interest.events & EventInterest.exclusive != 0 { throw .invalid }
    guard let item = items[Key(number: number, file: ObjectIdentifier(file))], !item.isClosed else { throw .noEntry }
    if item.interest.events & EventInterest.exclusive != 0 { throw .invalid }
    item.interest = interest
    item.isSpent = false
    item.leave()
    if let queue = file.queue { item.join(queue) }
    if !item.now.isEmpty { happened(item) }
  }

  /// EPOLL_CTL_DEL.
  public func remove(_ file: OpenFile, _ number: Int32) throws(Errno) {
    guard let item = items.removeValue(forKey: Key(number: number, file: ObjectIdentifier(file))), !item.isClosed else {
      throw .noEntry
    }
    drop(item)
  }

  // SAFETY: the sentry is one thread; it serves one sandbox.
  nonisolated(unsafe) private static var interests = 0
  /// Interests of the sandbox at most (/proc/sys/fs/epoll/max_user_watches).
  private static let limit = 262_144

  private func drop(_ item: EventPollItem) {
    if !item.isDropped { unsafe Self.interests -= 1 }
    (item.file as? EventPollFile)?.above.removeAll { $0 === item }
    item.isDropped = true
    item.leave()
  }

  /// What is ready now, at most so many. Level-triggered interests are looked at again next time.
  public func collect(_ limit: Int) -> [EventInterest] {
    var found: [EventInterest] = []
    var again: [EventPollItem] = []
    let list = ready
    ready = []
    for (index, item) in list.enumerated() {
      if found.count == limit {
        again.insert(contentsOf: list[index...], at: 0)
        break
      }
      item.isListed = false
      if item.isClosed { forget(item) }
      if item.isDropped || item.isSpent { continue }
      let events = item.now
      if events.isEmpty { continue }
      found.append(EventInterest(events: events.rawValue, data: item.interest.data))
      if item.interest.events & EventInterest.oneShot != 0 {
        item.isSpent = true
      } else if item.interest.events & EventInterest.edge == 0 {
        item.isListed = true
        again.append(item)
      }
    }
    ready = again + ready
    return found
  }

  /// What `collect` gave could not be stored: all is looked at again.
  public func restore() {
    for item in items.values where !item.isListed {
      item.isSpent = false
      if !item.now.isEmpty { happened(item) }
    }
  }

  private func forget(_ item: EventPollItem) {
    drop(item)
    items = items.filter { $0.value !== item }
  }

  private func sweep() {
    guard items.count >= sweepAt else { return }
    for item in items.values where item.isClosed { drop(item) }
    items = items.filter { !$0.value.isDropped }
    sweepAt = max(64, 2 * items.count)
  }

  /// Each is looked at once, however many ways lead to it.
  private func reaches(_ other: EventPollFile) -> Bool {
    var seen: Set<ObjectIdentifier> = []
    var open = [self]
    while let poll = open.popLast() {
      if poll === other { return true }
      if !seen.insert(ObjectIdentifier(poll)).inserted { continue }
      for item in poll.items.values { if let inner = item.file as? EventPollFile { open.append(inner) } }
    }
    return false
  }
  /// Epolls that hold this one, one within the other, with itself; `depth` are those that it holds.
  private var height: Int { levels { $0.above.map(\.poll) } }
  private var depth: Int { levels { $0.items.values.compactMap { $0.file as? EventPollFile } } }

  /// How often one can go on from it; no further than is of interest.
  private func levels(_ next: (EventPollFile) -> [EventPollFile]) -> Int {
    var level = [self]
    for count in 1...6 {
      var found: [ObjectIdentifier: EventPollFile] = [:]
      for poll in level { for other in next(poll) { found[ObjectIdentifier(other)] = other } }
      if found.isEmpty { return count }
      level = Array(found.values)
    }
    return 6
  }
}

/// One interest.
final class EventPollItem: Waiter {
  fileprivate unowned let poll: EventPollFile
  let file: OpenFile
  var interest: EventInterest
  /// In the list of those that something happened to.
  var isListed = false
  /// EPOLLONESHOT told once.
  var isSpent = false
  var isDropped = false

  init(_ poll: EventPollFile, _ file: OpenFile, _ interest: EventInterest) {
    self.poll = poll
    self.file = file
    self.interest = interest
  }

  var isClosed: Bool { file.references == 0 }
  /// What it asks for and is there.
  var now: PollEvents { isClosed || isSpent ? [] : file.readinessWithBands.intersection(interest.asked) }

  func join(_ queue: WaitQueue) {
    queue.add(self, for: interest.asked, isExclusive: interest.events & EventInterest.exclusive != 0)
  }

  override func wake(_ events: PollEvents) {
    if !isDropped && !isSpent { poll.happened(self) }
  }
}
