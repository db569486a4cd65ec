import CLinux
import Linux

/// A thread that stands before a call and performs others meanwhile, by the same `syscall` instruction. The sentry waits for it: what does
/// not come back within ten seconds is ended, as only a guest that writes over its own code can manage that.
struct TracedThread {
  let thread: Int32
  let registers: TracedRegisters
  private let state = State()
  /// What the thread has had to be told since.
  private final class State {
    var isAtCall = true
    var isLost = false
    var mask: UInt64?
    var stops: [Int32] = []
  }

  init(_ thread: Int32, _ registers: TracedRegisters) {
    self.thread = thread
    self.registers = registers
  }

  /// No handler may run in between.
  func begin() { state.mask = Tracing.exchangeMask(thread, .max) }

  /// The call's result, or -errno; -ESRCH where the thread is lost.
  func perform(_ number: Int, _ a: UInt64, _ b: UInt64 = 0, _ c: UInt64 = 0) -> Int64 {
    if state.isLost { return -Int64(ESRCH) }
    var changed = registers
    changed.arguments = (a, b, c, 0, 0, 0)
    if state.isAtCall {
      // The call that it stands before becomes this one.
      changed.call = UInt64(number)
      state.isAtCall = false
    } else {
      changed.rax = UInt64(number)
      changed.call = .max
      changed.instruction &-= 2
      Tracing.set(changed, of: thread)
      guard go(until: .asked) else { return -Int64(ESRCH) }
      guard let now = Tracing.registers(thread), now.call == UInt64(number) else { return lose() }
      changed = now
    }
    Tracing.set(changed, of: thread)
    guard go(until: .call), let ended = Tracing.registers(thread) else { return lose() }
    return Int64(bitPattern: ended.rax)
  }

  /// Puts it before its own call again.
  /// - Returns: false where it is lost.
  func end() -> Bool {
    if state.isLost { return false }
    var again = registers
    again.rax = registers.call
    again.call = .max
    again.instruction &-= 2
    Tracing.set(again, of: thread)
    guard go(until: .asked, endsAtCall: false), let now = Tracing.registers(thread), now.call == registers.call,
      now.arguments == registers.arguments, now.instruction == registers.instruction
    else {
      _ = lose()
      return false
    }
    if let mask = state.mask { _ = Tracing.exchangeMask(thread, mask) }
    for signal in state.stops { _ = systemCall(Int(SYS_kill), word(thread), word(signal)) }
    return true
  }

  private func lose() -> Int64 {
    state.isLost = true
    _ = systemCall(Int(SYS_kill), word(thread), UInt(SIGKILL))
    return -Int64(ESRCH)
  }

  /// Lets it run until it stops so. On the way to a call it stops at the call's beginning first.
  private func go(until wanted: Tracing.Stop, endsAtCall: Bool = true) -> Bool {
    let limit = Clock.monotonicNanoseconds() &+ 10_000_000_000
    Tracing.resume(thread, untilCall: endsAtCall)
    while Clock.monotonicNanoseconds() < limit {
      guard let (_, stop) = Tracing.next(thread) else {
        // Its processor may be this one.
        var moment = timespec(tv_sec: 0, tv_nsec: 20_000)
        // SAFETY: ppoll reads one timespec.
        _ = unsafe withUnsafeMutablePointer(to: &moment) {
          systemCall(Int(SYS_ppoll), 0, 0, UInt(bitPattern: $0), 0)
        }
        continue
      }
      if stop == wanted { return true }
      switch stop {
      case .ended:
        state.isLost = true
        return false
      case .signal(let signal):
        // SIGSTOP is blocked by nobody: it comes once the thread is itself again.
        state.stops.append(signal)
      case .asked, .call, .group, .event: break
      }
      Tracing.resume(thread, untilCall: endsAtCall)
    }
    return false
  }
}
