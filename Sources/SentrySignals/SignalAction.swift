import SentryABI

/// What a process does with a signal: struct sigaction as rt_sigaction(2) takes it on x86-64 and arm64.
public struct SignalAction: Equatable, Sendable, BitwiseCopyable {
  public static let size = 32
  /// SIG_DFL is 0, SIG_IGN 1.
  public var handler: UInt64 = 0
  /// SA_*.
  public var flags: UInt64 = 0
  public var restorer: UInt64 = 0
  public var mask = SignalBits()

  public static let noChildStops: UInt64 = 1
  public static let tellsInfo: UInt64 = 4
  public static let restart: UInt64 = 0x1000_0000
  public static let resetsHandler: UInt64 = 0x8000_0000
  /// Offset of `flags` in the struct.
  public static let flagsOffset = 8

  public init() {}

  /// - Parameter bytes: `size` of them.
  public init(_ bytes: [UInt8]) {
    handler = bytes.little64(0)
    flags = bytes.little64(8)
    restorer = bytes.little64(16)
    mask = SignalBits(bytes.little64(24))
  }

  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.size)
    bytes.append(little: handler)
    bytes.append(little: flags)
    bytes.append(little: restorer)
    bytes.append(little: mask.bits)
    return bytes
  }

  public var isDefault: Bool { handler == 0 }
  public var isIgnored: Bool { handler == 1 }
  public var isCaught: Bool { handler > 1 }
  public var restarts: Bool { flags & Self.restart != 0 }
}

/// The actions of a process for all signals (the kernel's `sighand_struct`): shared by threads, copied by fork.
///
/// The host's kernel has them too and acts on them; this copy tells the sentry what it will do.
public final class SignalActions {
  private var actions: [SignalAction]
  public init() { actions = [SignalAction](repeating: SignalAction(), count: Int(Signal.last)) }
  private init(_ actions: [SignalAction]) { self.actions = actions }

  public func copy() -> SignalActions { SignalActions(actions) }

  /// - Parameter number: 1 to 64; others have the default action.
  public subscript(number: Int32) -> SignalAction {
    get { Signal.isValid(number) ? actions[Int(number) - 1] : SignalAction() }
    set { if Signal.isValid(number) { actions[Int(number) - 1] = newValue } }
  }

  /// execve(2): what was caught has the default action again; what was ignored stays so.
  public func resetForExec() {
    for index in actions.indices {
      let isIgnored = actions[index].isIgnored
      actions[index] = SignalAction()
      if isIgnored { actions[index].handler = 1 }
    }
  }

  /// Whether the signal is thrown away where it isn't blocked.
  public func ignores(_ number: Int32) -> Bool {
    let action = self[number]
    if action.isIgnored { return true }
    guard action.isDefault else { return false }
    return Signal.defaultAction(number) == .ignore || number == Signal.continue
  }

  /// Signals that are caught, and those that are ignored because the program said so (/proc/PID/status: SigCgt, SigIgn).
  public var caught: SignalBits { bits { $0.isCaught } }
  public var ignored: SignalBits { bits { $0.isIgnored } }

  /// Signals of which nothing was ever said.
  public var untouched: SignalBits { bits { $0 == SignalAction() } }

  private func bits(_ holds: (SignalAction) -> Bool) -> SignalBits {
    var set = SignalBits()
    for index in actions.indices where holds(actions[index]) { set.insert(Int32(truncatingIfNeeded: index + 1)) }
    return set
  }
}
