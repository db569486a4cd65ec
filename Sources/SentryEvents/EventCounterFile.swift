public import Linux
import SentryABI
public import SentryFiles
public import SentryMemory
public import SentryWait

/// eventfd(2): a counter.
public final class EventCounterFile: OpenFile {
  private var count: UInt64
  /// EFD_SEMAPHORE: a read takes one.
  private let isSemaphore: Bool
  private let changes = WaitQueue()

  public init(_ count: UInt32, isSemaphore: Bool, flags: Int32) {
    self.count = UInt64(count)
    self.isSemaphore = isSemaphore
    super.init(flags: flags | 2)
  }

  public override var queue: WaitQueue? { changes }
  public override var writableBands: UInt32 { 0 }
  public override var readableBands: UInt32 { 0 }
  public override var readiness: PollEvents {
    var events: PollEvents = []
    if count > 0 { events.insert(.readable) }
    if count < .max - 1 { events.insert(.writable) }
    return events
  }

  public override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 { position }

  public override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    guard buffer.remaining >= 8 else { throw .invalid }
    if count == 0 { throw .again }
    var bytes: [UInt8] = []
    bytes.append(little: isSemaphore ? 1 : count)
    // Taken, whether it can be stored or not (eventfd_read of fs/eventfd.c).
    count = isSemaphore ? count - 1 : 0
    changes.wake(.writable)
    guard try buffer.put(bytes) == 8 else { throw .badAddress }
    return 8
  }

  public override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    // No more and no less (eventfd_write of fs/eventfd.c, Linux 6.9).
    guard buffer.remaining == 8 else { throw .invalid }
    var copy = buffer
    let bytes = try copy.take(8)
    guard bytes.count == 8 else { throw .badAddress }
    let value = bytes.little64(0)
    if value == .max { throw .invalid }
    let (sum, overflow) = count.addingReportingOverflow(value)
    if overflow || sum == .max { throw .again }
    count = sum
    buffer = copy
    if value > 0 { changes.wake(.readable) }
    return 8
  }
}
