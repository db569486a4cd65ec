import CLinux
import Linux
import Walls

/// The course of one sandbox from its start to its end: signals passed on, deadlines kept, the end collected.
final class Course {
  private let sandbox: any Sandbox
  private let options: SupervisionOptions
  private var timeout: UInt64?
  /// When a program that was asked to end is killed.
  private var killing: UInt64?
  private var asked: Int32?
  private var askedTimes = 0
  private var limit: LimitHit?
  private var forced = false
  private(set) var ending: Ending?

  /// Signals to immure that are the sandbox's: those that end it, and those that only tell it something.
  static let endingSignals: SignalSet = [SIGHUP, SIGINT, SIGQUIT, SIGTERM]
  static let signals = SignalSet(
    bits: endingSignals.bits
      | ([SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGTSTP, SIGCONT] as SignalSet).bits)
  /// After a second Ctrl-C, and where nobody reads the output.
  private static let shortGrace: UInt64 = 2_000_000_000

  init(_ sandbox: any Sandbox, _ options: SupervisionOptions) {
    self.sandbox = sandbox
    self.options = options
    timeout = options.timeoutMilliseconds.map { Clock.monotonicNanoseconds() + min($0, 1 << 43) * 1_000_000 }
  }

  var exitDescriptor: Int32 { sandbox.exitDescriptor }

  /// How long a wait may last; nil for ever.
  var patience: UInt64? {
    if ending != nil { return nil }
    let next: UInt64
    switch (timeout, killing) {
    case (nil, nil): return nil
    case (let only?, nil), (nil, let only?): next = only
    case (let first?, let second?): next = min(first, second)
    }
    let now = Clock.monotonicNanoseconds()
    return next > now ? next - now : 0
  }

  /// A signal came that the sandbox shall have, or that asks it to end.
  func received(_ signal: Int32) throws(WallError) {
    if ending != nil { return }
    if Course.endingSignals.contains(signal) || signal == SIGPIPE {
      asked = asked ?? signal
      askedTimes += 1
      let short = signal == SIGPIPE || askedTimes > 1
      let grace = short ? Course.shortGrace : options.killGraceMilliseconds * 1_000_000
      let deadline = Clock.monotonicNanoseconds() + grace
      killing = min(killing ?? deadline, deadline)
      if askedTimes > 2 { return try kill() }
    }
    try pass(signal)
  }

  /// Nobody reads the output any more.
  func outputIsBroken() throws(WallError) {
    if ending == nil { return try received(SIGPIPE) }
    // It had ended before its last words were passed on: it would have met the broken pipe itself without the relay.
    asked = asked ?? SIGPIPE
    forced = true
  }

  func pass(_ signal: Int32) throws(WallError) {
    do throws(WallError) {
      try sandbox.signal(signal)
    } catch {
      // It ended just now; the exit descriptor tells so next.
      if error.kind != .gone { throw error }
    }
  }

  /// More output than allowed.
  func outputLimitHit() throws(WallError) {
    if ending != nil || limit != nil { return }
    limit = .output
    try kill()
  }

  /// After a wait: kills when a deadline has passed.
  func keepDeadlines() throws(WallError) {
    if ending != nil { return }
    let now = Clock.monotonicNanoseconds()
    if let timeout, now >= timeout {
      limit = limit ?? .timeout
      try kill()
    } else if let killing, now >= killing {
      forced = true
      try kill()
    }
  }

  private func kill() throws(WallError) {
    if limit == nil { forced = true }
    timeout = nil
    killing = nil
    try sandbox.destroy()
    do throws(SystemError) {
      // Every process is gone, so its end is there to be read; the bound is for a wall that is broken.
      _ = try Readiness.wait(sandbox.exitDescriptor, milliseconds: 10_000)
    } catch {
      throw WallError("waiting for the sandbox's end", error)
    }
    do throws(WallError) {
      ending = try sandbox.collect()
    } catch {
      if error.kind != .gone { throw error }
      ending = Ending(status: .signaled(SIGKILL))
    }
  }

  /// The exit descriptor is readable.
  func collect() throws(WallError) {
    if ending == nil { ending = try sandbox.collect() }
  }

  /// After the end.
  var outcome: Outcome? {
    guard var ending else { return nil }
    if let limit { ending.limit = limit }
    return Outcome(ending: ending, interruption: forced ? asked : nil)
  }
}
