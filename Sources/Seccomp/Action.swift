/// What the kernel does with a call (seccomp(2), "Filters"; config-linux.md, `defaultAction`).
public enum Action: Sendable, Hashable {
  case killProcess
  case killThread
  case trap
  /// The call is not made and fails with this errno, 0...4095.
  case errno(UInt16)
  case notify
  /// The tracer is asked, with this message; ENOSYS without one.
  case trace(UInt16)
  case log
  case allow

  /// The filter's return value: `SECCOMP_RET_*` (linux/seccomp.h) with the data in the low 16 bits.
  public var value: UInt32 {
    switch self {
    case .killProcess: 0x8000_0000
    case .killThread: 0
    case .trap: 0x0003_0000
    case .errno(let number): 0x0005_0000 | UInt32(number)
    case .notify: 0x7fc0_0000
    case .trace(let message): 0x7ff0_0000 | UInt32(message)
    case .log: 0x7ffc_0000
    case .allow: 0x7fff_0000
    }
  }

  /// The action a return value means to the kernel; an unknown one kills the process (`__seccomp_filter`).
  public init(value: UInt32) {
    let data = UInt16(truncatingIfNeeded: value)
    switch value & 0xffff_0000 {
    case 0: self = .killThread
    case 0x0003_0000: self = .trap
    case 0x0005_0000: self = .errno(min(data, 4095))
    case 0x7fc0_0000: self = .notify
    case 0x7ff0_0000: self = .trace(data)
    case 0x7ffc_0000: self = .log
    case 0x7fff_0000: self = .allow
    default: self = .killProcess
    }
  }

  /// How much the action lets through, 0 the least: the order in which the kernel prefers the answers of stacked
  /// filters.
  public var permissiveness: UInt8 {
    switch self {
    case .killProcess: 0
    case .killThread: 1
    case .trap: 2
    case .errno: 3
    case .notify: 4
    case .trace: 5
    case .log: 6
    case .allow: 7
    }
  }
}
