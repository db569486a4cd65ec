public import Linux
public import SentryWait

/// include/uapi/linux/msg.h. All queues together hold less than Linux's would: they are the sentry's memory.
public enum MessageLimits {
  /// MSGMNI, MSGMAX, MSGMNB.
  public static let queues = 32000
  public static let message = 8192
  public static let queue: UInt64 = 16384
  static let all = 16 << 20
  /// What a message costs beside its bytes.
  static let overhead = 64
}

/// A queue of messages (msgop(2)).
public final class MessageQueue: IPCObject {
  public struct Message: Equatable, Sendable {
    public let type: Int64
    public let bytes: [UInt8]
    public init(type: Int64, bytes: [UInt8]) {
      self.type = type
      self.bytes = bytes
    }
  }
  /// Which message is wanted.
  public enum Choice: Equatable, Sendable {
    case first
    case type(Int64)
    case otherThan(Int64)
    /// The least type that is at most this.
    case atMost(Int64)

    /// - Parameters:
    ///   - type: msgrcv(2)'s.
    ///   - excepts: MSG_EXCEPT.
    public init(_ type: Int64, excepts: Bool) {
      if type == 0 {
        self = .first
      } else if type < 0 {
        self = .atMost(type == .min ? .max : -type)
      } else {
        self = excepts ? .otherThan(type) : .type(type)
      }
    }
  }

  public var permissions: IPCPermissions
  private var messages: [Message] = []
  public private(set) var bytes: UInt64 = 0
  /// msg_qbytes.
  public var limit = MessageLimits.queue
  /// Seconds since 1970.
  public private(set) var sent: Int64 = 0
  public private(set) var received: Int64 = 0
  public var changed: Int64
  public private(set) var lastSender: Int32 = 0
  public private(set) var lastReceiver: Int32 = 0
  public let readers = WaitQueue()
  public let writers = WaitQueue()
  private unowned let space: IPCSpace

  public init(_ permissions: IPCPermissions, _ space: IPCSpace, now: Int64) {
    self.permissions = permissions
    self.space = space
    changed = now
  }

  public var count: Int { messages.count }

  public func removed() {
    space.messageBytes -= Int(bytes) + messages.count * MessageLimits.overhead
    messages.removeAll()
    readers.wake()
    writers.wake()
  }

  /// - Returns: false where there is no room.
  /// - Throws: ENOMEM where all queues together hold what they may.
  public func send(_ message: Message, by process: Int32, now: Int64) throws(Errno) -> Bool {
    guard bytes + UInt64(message.bytes.count) <= limit, UInt64(messages.count) < limit else { return false }
    let cost = message.bytes.count + MessageLimits.overhead
    guard space.messageBytes + cost <= MessageLimits.all else { throw .noMemory }
    space.messageBytes += cost
    messages.append(message)
    bytes += UInt64(message.bytes.count)
    (lastSender, sent) = (process, now)
    readers.wake(.readable)
    return true
  }

  /// - Parameter room: bytes that a message may have, unless it may be cut.
  /// - Returns: nil where none is as wanted.
  /// - Throws: E2BIG.
  public func receive(_ choice: Choice, room: Int, cuts: Bool, by process: Int32, now: Int64) throws(Errno)
    -> Message?
  {
    guard let index = find(choice) else { return nil }
    let message = messages[index]
    if message.bytes.count > room, !cuts { throw .tooBig }
    messages.remove(at: index)
    bytes -= UInt64(message.bytes.count)
    space.messageBytes -= message.bytes.count + MessageLimits.overhead
    (lastReceiver, received) = (process, now)
    writers.wake(.writable)
    return message
  }

  private func find(_ choice: Choice) -> Int? {
    switch choice {
    case .first: return messages.isEmpty ? nil : 0
    case .type(let type): return messages.firstIndex { $0.type == type }
    case .otherThan(let type): return messages.firstIndex { $0.type != type }
    case .atMost(let bound):
      guard let least = messages.lazy.map(\.type).filter({ $0 <= bound }).min() else { return nil }
      return messages.firstIndex { $0.type == least }
    }
  }
}
