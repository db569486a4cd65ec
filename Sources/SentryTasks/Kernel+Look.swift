import Linux
import SentryABI
import SentryMemory
import SentrySignals
import SentryWait

/// Which parked calls a pending signal ends, and which thread takes it.
extension Kernel {
  /// Looks whether a signal ends parked calls of the process.
  public func look(at group: ThreadGroup) {
    if !group.signalQueue.isEmpty { group.signalQueue.wake(.readable) }
    // Its threads may be gone, and their numbers another program's: it is looked at again where that program did not come about.
    if host.isGaining(group) { return }
    // Asked of the host once, and not by each of very many threads about all others.
    var isStopping: Bool?
    var takers: [Taker]?
    // Ending a call may end a thread.
    for (index, task) in group.tasks.enumerated() where task.parked != nil {
      if task.parked?.isAsleep == false {
        task.parked?.wasPassedOver = true
        continue
      }
      let status = host.status(task)
      var taker = Taker(thread: task.hostID, task: task, signals: status.sharedPending, isTold: true)
      if status.threads > 1, !status.sharedPending.isEmpty {
        if takers == nil { takers = self.takers(in: group, of: Int(clamping: status.threads)) }
        taker.signals = SignalBits()
        taker = takers?.first { $0.task === task } ?? taker
      }
      var stops = false
      if index > 0 {
        stops = isStopping ?? group.tasks.contains { host.isStopped($0) }
        isStopping = stops
      }
      look(at: task, taker, status, isStopping: stops)
    }
    for taker in takers ?? [] where !taker.isTold && taker.task?.parked?.isAsleep != true {
      host.nudge(taker.thread, self)
    }
  }

  /// A thread that takes signals which are pending for its whole process.
  private struct Taker {
    /// The host's number.
    let thread: Int32
    /// nil for one that has made no call yet: which it is of those that are expected nobody knows.
    let task: Task?
    var signals: SignalBits
    /// Whether it is sure that the host's kernel has told this thread of them, and not another one that sleeps in a call of the sentry's.
    var isTold: Bool
  }

  /// A signal for a whole process goes to the first thread that does not block it (complete_signal, kernel/signal.c). The host's kernel chooses
  /// by the threads' own masks: it may have told one that waits under a mask which blocks the signal (ppoll(2)). That one does not take it,
  /// and the others have not been told.
  /// - Parameter count: of its threads, as the host has them.
  private func takers(in group: ThreadGroup, of count: Int) -> [Taker] {
    var threads: [(number: Int32, task: Task?)] = group.tasks.map { ($0.hostID, $0) }
    if count > threads.count {
      for number in host.threads(of: group) where !threads.contains(where: { $0.number == number }) {
        threads.append((number, nil))
      }
    }
    var takers: [Taker] = []
    var shared: SignalBits?
    var left = SignalBits()
    // Those of which a thread that sleeps here may have been told.
    var elsewhere = SignalBits()
    for (thread, task) in threads {
      let status = host.status(thread)
      if status.state == 0 { continue }
      if shared == nil {
        left = status.sharedPending
        for signal in left.inOrder where group.actions.ignores(signal) { left.remove(signal) }
        shared = left
      }
      let isAsleep = task?.parked?.isAsleep == true
      if isAsleep, let shared { elsewhere = elsewhere.union(shared.subtracting(status.blocked)) }
      let taken = left.subtracting(isAsleep ? task?.parked?.mask ?? status.blocked : status.blocked)
      if taken.isEmpty { continue }
      left = left.subtracting(taken)
      // Of most the first thread is told where it lets them through; of a child's end the one that made the child.
      let isSure =
        isAsleep && takers.isEmpty && task === group.tasks.first && !taken.contains(Signal.child)
        && thread == group.hostID && taken.subtracting(status.blocked) == taken
      takers.append(Taker(thread: thread, task: task, signals: taken, isTold: isSure))
    }
    for index in takers.indices where takers[index].task?.parked?.isAsleep != true {
      takers[index].isTold = takers[index].signals.subtracting(elsewhere) == takers[index].signals
    }
    return takers
  }

  private func look(at task: Task, _ taker: Taker, _ status: HostStatus, isStopping: Bool) {
    let mask = task.parked?.mask
    let blocked = mask ?? status.blocked
    let actions = task.group.actions
    let due = status.pending.union(taker.signals).subtracting(blocked).inOrder.filter {
      !actions.ignores($0) || task.tracee != nil
    }
    if due.isEmpty && !isStopping { return }
    let isTold = taker.isTold || !due.contains { taker.signals.contains($0) && !status.pending.contains($0) }
    if let mask, !isTold || due.contains(where: { status.blocked.contains($0) }) {
      host.end(task, under: mask)
      return
    }
    let caught = due.first { actions[$0].isCaught }
    if !isTold { host.begin(nudge: task.hostID, self) }
    end(task, by: caught.map { actions[$0] })
    if !isTold { host.finish(nudge: task.hostID) }
  }

  /// Ends a parked call, as a stop does, for a thread that the host is about to stop.
  public func interrupt(_ task: Task) {
    if task.parked?.isAsleep == true { end(task, by: nil) }
  }

  /// Ends a parked call for a signal.
  /// - Parameter action: of the handler that will run; nil where the process stops or ends.
  private func end(_ task: Task, by action: SignalAction?) {
    guard let parked = task.parked else { return }
    if parked.moved > 0 {
      host.end(task, with: Int64(parked.moved))
      return
    }
    let restarts =
      switch parked.ending {
      case .restarts: action?.restarts ?? true
      case .restartsUnhandled: action == nil
      case .never: false
      }
    if restarts {
      host.end(task, with: -512)
      task.resumption = parked.deadline.map { Resumption(call: parked.call, deadline: $0) }
      return
    }
    if let remainder = parked.remainder, let deadline = parked.deadline {
      let rest = TimeSpec(nanoseconds: deadline > now ? deadline - now : 0)
      // The sleep was interrupted, whether or not the guest's pointer is good.
      do throws(Errno) {
        try task.memory.store(rest.bytes, at: remainder)
      } catch {}
    }
    host.end(task, with: -4)
  }
}
