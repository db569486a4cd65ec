/// struct timespec (timespec(3type)), as a guest wrote it.
public struct TimeSpec: Equatable, Sendable, BitwiseCopyable {
  public var seconds: Int64
  public var nanoseconds: Int64
  public init(seconds: Int64, nanoseconds: Int64) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  /// - Parameter total: nanoseconds.
  public init(nanoseconds total: UInt64) {
    seconds = Int64(total / 1_000_000_000)
    nanoseconds = Int64(total % 1_000_000_000)
  }

  /// What Linux takes (timespec64_valid, linux/time64.h).
  public var isValid: Bool { seconds >= 0 && nanoseconds >= 0 && nanoseconds < 1_000_000_000 }

  /// The whole in nanoseconds, at most some 292 years (KTIME_MAX); for valid values.
  public var total: UInt64 {
    guard seconds < 9_223_372_035 else { return UInt64(Int64.max) }
    return UInt64(truncatingIfNeeded: seconds &* 1_000_000_000 &+ nanoseconds)
  }

  /// - Parameter microseconds: of a struct timeval, carried over as select(2) does.
  public init(seconds: Int64, microseconds: Int64) {
    self.seconds = seconds &+ microseconds / 1_000_000
    nanoseconds = microseconds % 1_000_000 &* 1000
  }
}

extension UInt64 {
  /// A time after this one, at the end of time at most.
  public func later(by nanoseconds: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(nanoseconds)
    return overflow ? .max : sum
  }
}

extension TimeSpec {
  /// struct timespec; `timeval` where the small part is in microseconds.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(little: UInt64(bitPattern: seconds))
    bytes.append(little: UInt64(bitPattern: nanoseconds))
    return bytes
  }
  public var timeval: [UInt8] { TimeSpec(seconds: seconds, nanoseconds: nanoseconds / 1000).bytes }

  /// - Parameter bytes: of a struct timespec at `start`, all there.
  public init(_ bytes: [UInt8], at start: Int = 0) {
    seconds = Int64(bitPattern: bytes.little64(start))
    nanoseconds = Int64(bitPattern: bytes.little64(start + 8))
  }
}
