/// Signals by x86-64's and arm64's numbers (signal(7)), 1 to 64, and what each does where nothing else was said.
public enum Signal {
  public static let hangup: Int32 = 1
  public static let interrupt: Int32 = 2
  public static let quit: Int32 = 3
  public static let illegal: Int32 = 4
  public static let trap: Int32 = 5
  public static let abort: Int32 = 6
  public static let bus: Int32 = 7
  public static let floatingPoint: Int32 = 8
  public static let kill: Int32 = 9
  public static let user1: Int32 = 10
  public static let segmentation: Int32 = 11
  public static let user2: Int32 = 12
  public static let pipe: Int32 = 13
  public static let alarm: Int32 = 14
  public static let terminate: Int32 = 15
  public static let child: Int32 = 17
  public static let `continue`: Int32 = 18
  public static let stop: Int32 = 19
  public static let terminalStop: Int32 = 20
  public static let terminalInput: Int32 = 21
  public static let terminalOutput: Int32 = 22
  public static let urgent: Int32 = 23
  public static let cpuTime: Int32 = 24
  public static let fileSize: Int32 = 25
  public static let virtualAlarm: Int32 = 26
  public static let profiling: Int32 = 27
  public static let windowChange: Int32 = 28
  public static let inputOutput: Int32 = 29
  public static let badCall: Int32 = 31
  /// _NSIG.
  public static let last: Int32 = 64

  public static func isValid(_ number: Int32) -> Bool { number >= 1 && number <= last }

  public enum DefaultAction: Sendable, Equatable { case end, dump, ignore, stop, `continue` }

  /// signal(7), "Standard signals"; real-time signals end the process.
  public static func defaultAction(_ number: Int32) -> DefaultAction {
    switch number {
    case quit, illegal, trap, abort, bus, floatingPoint, segmentation, cpuTime, fileSize, badCall: .dump
    case child, urgent, windowChange: .ignore
    case stop, terminalStop, terminalInput, terminalOutput: .stop
    case `continue`: .continue
    default: .end
    }
  }
}

/// Some of the 64 signals (sigset_t as system calls take it): bit 0 is signal 1.
public struct SignalBits: Equatable, Hashable, Sendable, BitwiseCopyable {
  public var bits: UInt64
  public init(_ bits: UInt64 = 0) { self.bits = bits }

  /// - Parameter number: others than 1 to 64 are never in it.
  public func contains(_ number: Int32) -> Bool {
    Signal.isValid(number) && bits & (1 << UInt64(number &- 1)) != 0
  }
  public mutating func insert(_ number: Int32) {
    if Signal.isValid(number) { bits |= 1 << UInt64(number &- 1) }
  }
  public mutating func remove(_ number: Int32) {
    if Signal.isValid(number) { bits &= ~(1 << UInt64(number &- 1)) }
  }
  public var isEmpty: Bool { bits == 0 }
  public func union(_ other: SignalBits) -> SignalBits { SignalBits(bits | other.bits) }
  public func subtracting(_ other: SignalBits) -> SignalBits { SignalBits(bits & ~other.bits) }

  /// Those in it, in the order in which the kernel delivers them (next_signal, kernel/signal.c): faults first, then by number.
  public var inOrder: [Int32] {
    var order: [Int32] = []
    for number in Self.faults where contains(number) { order.append(number) }
    for number in 1...Signal.last where contains(number) && !Self.faults.contains(number) { order.append(number) }
    return order
  }
  /// SYNCHRONOUS_MASK, ascending.
  private static let faults: [Int32] = [
    Signal.illegal, Signal.trap, Signal.bus, Signal.floatingPoint, Signal.segmentation, Signal.badCall,
  ]
}
