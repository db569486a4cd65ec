import SentryABI

/// siginfo_t (sigaction(2)): 128 bytes, of which the first twelve say what the others are.
public struct SignalInfo: Equatable, Sendable {
  public static let size = 128
  public let bytes: [UInt8]

  public static let user: Int32 = 0
  public static let queued: Int32 = -1
  public static let timer: Int32 = -2
  public static let messageQueue: Int32 = -3
  public static let threadKill: Int32 = -6

  /// - Parameter bytes: as a guest gave it; cut or filled up with zeros to `size`.
  public init(_ bytes: [UInt8]) {
    self.bytes = [UInt8]((bytes + [UInt8](repeating: 0, count: Self.size)).prefix(Self.size))
  }

  /// Sent by a process: _kill and _rt of the union.
  public init(signal: Int32, code: Int32, process: Int32, user: UInt32, value: UInt64 = 0) {
    var bytes: [UInt8] = []
    bytes.append(little: UInt32(bitPattern: signal))
    bytes.append(little: UInt32(0))
    bytes.append(little: UInt32(bitPattern: code))
    bytes.append(little: UInt32(0))
    bytes.append(little: UInt32(bitPattern: process))
    bytes.append(little: user)
    bytes.append(little: value)
    self.init(bytes)
  }

  /// By a timer: timer's id, overruns, value (_timer of the union).
  public init(signal: Int32, timer: Int32, overruns: Int32, value: UInt64) {
    var bytes: [UInt8] = []
    bytes.append(little: UInt32(bitPattern: signal))
    bytes.append(little: UInt32(0))
    bytes.append(little: UInt32(bitPattern: Self.timer))
    bytes.append(little: UInt32(0))
    bytes.append(little: UInt32(bitPattern: timer))
    bytes.append(little: UInt32(bitPattern: overruns))
    bytes.append(little: value)
    self.init(bytes)
  }

  public var signal: Int32 { Int32(bitPattern: bytes.little32(0)) }
  public var code: Int32 { Int32(bitPattern: bytes.little32(8)) }

  /// The same, for another signal: rt_sigqueueinfo(2) takes the number from its argument.
  public func with(signal: Int32) -> SignalInfo {
    var head: [UInt8] = []
    head.append(little: UInt32(bitPattern: signal))
    return SignalInfo(head + bytes[4...])
  }
}
