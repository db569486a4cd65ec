public import SentryABI
import SentryFiles
public import SentryWait

/// How a call sleeps. The loop puts `parked` before a call's first look and takes it away with its answer (`endCall`); before every
/// further look it calls `beginLook`.
extension Task {
  /// The call sleeps until the queue is woken for these events; more queues may follow in the same look.
  public func wait(on queue: WaitQueue?, for events: PollEvents = .any, isExclusive: Bool = false) -> Outcome {
    queue?.add(waiter, for: events, isExclusive: isExclusive)
    parked?.hasSlept = true
    return .blocked
  }

  /// The call gives up at a time of `kernel.now`; only the first look sets it.
  public func setDeadline(_ time: UInt64) {
    guard let parked, parked.deadline == nil else { return }
    let time = resumption.flatMap { $0.call.isSame(as: parked.call) ? $0.deadline : nil } ?? time
    resumption = nil
    self.parked?.deadline = time
    self.parked?.token = kernel.deadlines.add(waiter, at: time)
  }

  /// Whether the deadline has passed.
  public var hasTimedOut: Bool {
    guard let deadline = parked?.deadline else { return false }
    return deadline <= kernel.now
  }

  /// Before the handler is called again.
  public func beginLook() {
    waiter.taken()
    waiter.leave()
    parked?.isAsleep = false
    if hasTimedOut { parked?.hasTimedOut = true }
  }

  /// The call's handler said that it waits.
  public func fallAsleep() {
    parked?.isAsleep = true
    // A signal may have come while the call was on its way here: the host's kernel no longer ends one that was received, though it was sent
    // before (seccomp_do_user_notification, kernel/seccomp.c).
    guard parked?.wasPassedOver == true || signalsSeen != group.signalsSent else { return }
    parked?.wasPassedOver = false
    signalsSeen = group.signalsSent
    kernel.look(at: group)
  }

  /// After the call's answer, or when a signal ends it.
  public func endCall() {
    waiter.leave()
    if let token = parked?.token { kernel.deadlines.cancel(token) }
    parked?.file?.release()
    parked = nil
    resumption = nil
  }
}
