public import Linux
public import SentryABI
public import SentryFiles
public import SentryMemory
public import SentryWait

/// inotify(7): what happens to watched inodes through calls of this sandbox.
public final class FileWatchFile: OpenFile {
  /// Events that it holds at most (/proc/sys/fs/inotify/max_queued_events), then one that says so.
  private static let limit = 16384
  private struct Event: Equatable {
    var watch: Int32
    var mask: UInt32
    var cookie: UInt32
    var name: [UInt8]

    /// struct inotify_event, the name padded with NULs to a multiple of 16 bytes.
    var encoded: [UInt8] {
      let length = name.isEmpty ? 0 : (name.count + 16) & ~15
      var bytes: [UInt8] = []
      bytes.append(little: UInt32(bitPattern: watch))
      bytes.append(little: mask)
      bytes.append(little: cookie)
      bytes.append(little: UInt32(truncatingIfNeeded: length))
      bytes += name
      bytes += [UInt8](repeating: 0, count: length - name.count)
      return bytes
    }
  }
  private var events: [Event] = []
  private var watches: [Int32: (inode: Inode, mask: UInt32)] = [:]
  private var last: Int32 = 0
  private let changes = WaitQueue()

  static let ignored: UInt32 = 0x8000
  static let overflow: UInt32 = 0x4000
  static let isDirectory: UInt32 = 0x4000_0000
  static let oneShot: UInt32 = 0x8000_0000
  static let adds: UInt32 = 0x2000_0000
  static let creates: UInt32 = 0x1000_0000

  /// - Throws: EMFILE beyond 128 of the sandbox (/proc/sys/fs/inotify/max_user_instances).
  public static func make(flags: Int32) throws(Errno) -> FileWatchFile {
    guard unsafe instances < 128 else { throw .tooManyFiles }
    return FileWatchFile(flags: flags)
  }
  private override init(flags: Int32) {
    super.init(flags: flags)
    unsafe Self.instances += 1
  }
  deinit { unsafe Self.instances -= 1 }
  // SAFETY: the sentry is one thread; it serves one sandbox.
  nonisolated(unsafe) private static var instances = 0

  public override func released() {
    for (inode, _) in watches.values { FileWatchList.of(inode).remove(self) }
    watches.removeAll()
  }

  public override var queue: WaitQueue? { changes }
  public override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 { position }
  public override var readiness: PollEvents { events.isEmpty ? [] : .readable }

  /// inotify_add_watch(2).
  /// - Parameter mask: IN_* bits.
  public func watch(_ inode: Inode, _ mask: UInt32) throws(Errno) -> Int32 {
    let kept = mask & (0xfff | Self.oneShot | 0x0600_0000)
    if let (number, old) = watches.first(where: { $0.value.inode === inode }) {
      if mask & Self.creates != 0 { throw .exists }
      watches[number] = (inode, mask & Self.adds != 0 ? old.mask | kept : kept)
      return number
    }
    guard last < .max, FileWatchList.count < FileWatchList.limit else { throw .noSpace }
    last += 1
    watches[last] = (inode, kept)
    FileWatchList.of(inode).add(self, last)
    return last
  }

  /// inotify_rm_watch(2).
  /// - Throws: EINVAL for a watch that is not there.
  public func unwatch(_ number: Int32) throws(Errno) {
    guard let (inode, _) = watches.removeValue(forKey: number) else { throw .invalid }
    FileWatchList.of(inode).remove(self)
    append(Event(watch: number, mask: Self.ignored, cookie: 0, name: []))
  }

  func happened(_ number: Int32, _ mask: UInt32, _ name: [UInt8]?, _ cookie: UInt32) {
    guard let watch = watches[number] else { return }
    let isGone = mask & (FileEvent.removedSelf | FileEvent.unmounted) != 0
    if watch.mask & mask & 0xfff != 0 || mask & 0x2000 != 0 {
      append(Event(watch: number, mask: mask, cookie: cookie, name: name ?? []))
    }
    if isGone || watch.mask & mask & 0xfff != 0 && watch.mask & Self.oneShot != 0 {
      watches[number] = nil
      FileWatchList.of(watch.inode).remove(self)
      append(Event(watch: number, mask: Self.ignored, cookie: 0, name: []))
    }
  }

  private func append(_ event: Event) {
    // The same thing twice in a row is told once (inotify(7)).
    if events.last == event { return }
    if events.count >= Self.limit {
      if events.last?.mask != Self.overflow {
        events.append(Event(watch: -1, mask: Self.overflow, cookie: 0, name: []))
      }
      return
    }
    events.append(event)
    changes.wake(.readable)
  }

  public override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    if events.isEmpty { throw .again }
    var bytes: [UInt8] = []
    var taken = 0
    while taken < events.count, taken < 256 {
      let next = events[taken].encoded
      if bytes.count + next.count > buffer.remaining { break }
      bytes += next
      taken += 1
    }
    // Not even the first one has room.
    if taken == 0 { throw .invalid }
    guard try buffer.put(bytes) == bytes.count else { throw .badAddress }
    events.removeFirst(taken)
    return bytes.count
  }

  public override func control(_ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller) throws(Errno) -> Int64
  {
    guard request == 0x541B else { throw .notTerminal }
    let count = events.reduce(0) { $0 + $1.encoded.count }
    try caller.memory.store(Int32(truncatingIfNeeded: count), at: argument.address)
    return 0
  }
}

/// Those who watch one inode.
final class FileWatchList: FileWatchers {
  private var list: [(file: FileWatchFile, number: Int32)] = []
  /// Watches of the sandbox at most (/proc/sys/fs/inotify/max_user_watches).
  static let limit = 65536
  // SAFETY: the sentry is one thread; it serves one sandbox.
  nonisolated(unsafe) private static var total = 0
  static var count: Int { unsafe total }
  deinit { unsafe Self.total -= list.count }

  static func of(_ inode: Inode) -> FileWatchList {
    if let list = inode.watchers as? FileWatchList { return list }
    let list = FileWatchList()
    inode.watchers = list
    return list
  }

  func add(_ file: FileWatchFile, _ number: Int32) {
    list.append((file, number))
    unsafe Self.total += 1
  }
  func remove(_ file: FileWatchFile) {
    let before = list.count
    list.removeAll { $0.file === file }
    unsafe Self.total -= before - list.count
  }

  override func happened(_ events: UInt32, name: [UInt8]?, cookie: UInt32) {
    for (file, number) in list { file.happened(number, events, name, cookie) }
  }
}
