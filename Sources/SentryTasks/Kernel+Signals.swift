public import Linux
import SentryABI
import SentryMemory
public import SentrySignals
import SentryTerminals
import SentryWait

/// How signals reach guests. The host's kernel keeps who blocks what and what is pending, builds frames and stops and ends processes; but
/// a signal ends no call that the sentry has received. So whatever may have made one pending looks afterwards at the parked
/// calls of those it may be for.
extension Kernel {
  /// Sends a signal to a process; 0 only looks whether it is there.
  /// - Parameter sender: whom siginfo_t tells of, for codes that the sentry may give; nil for the kernel's own signals.
  public func send(_ signal: Int32, to group: ThreadGroup, info: SignalInfo? = nil) throws(Errno) {
    if group.traits.hasEnded {
      if signal == 0 && host.exists(group) { return }
      if !host.exists(group) { throw .noProcess }
      return
    }
    if signal == 0 || group.isKeeper { return }
    takeCalls(before: signal, group)
    if let info { try host.queue(group, signal, info) } else { try host.kill(group, signal) }
    sent(signal, to: group)
  }

  /// Sends a signal to one thread.
  public func send(_ signal: Int32, to task: Task, info: SignalInfo? = nil) throws(Errno) {
    if signal == 0 || task.group.isKeeper { return }
    takeCalls(before: signal, task.group)
    if let info { try host.queue(task, signal, info) } else { try host.kill(task, signal) }
    sent(signal, to: task.group)
  }

  /// Sends one of the kernel's own signals to all of a process group (a terminal's ^C, SIGHUP). Who has ended meanwhile is passed over.
  public func send(_ signal: Int32, toProcessGroup number: Int32) {
    for group in members(of: number) {
      do throws(Errno) { try send(signal, to: group) } catch {}
    }
  }

  /// Where a handler would make calls fail with EINTR that the sentry has not seen yet, they are taken in first. One of them may come
  /// to sleep though the signal is there, so the process is looked at once more.
  private func takeCalls(before signal: Int32, _ group: ThreadGroup) {
    guard group.actions[signal].isCaught, !group.actions[signal].restarts else { return }
    host.receiveWaiting()
    watch(group)
  }

  private func sent(_ signal: Int32, to group: ThreadGroup) {
    group.signalsSent &+= 1
    look(at: group)
    let action = group.actions[signal]
    let stops = action.isDefault && Signal.defaultAction(signal) == .stop
    // The parent hears of stops and continuations from the host, a little later.
    if stops || signal == Signal.continue, let parent = group.parent { watchForChild(parent) }
    if stops && group.tasks.count > 1 { watch(group) }
  }

  /// A call begins to wait with a mask of its own: a signal that it lets through, or that was the thread's to take, may be pending already.
  public func masked(_ task: Task) {
    guard let mask = task.parked?.mask else { return }
    let status = host.status(task)
    let pending = status.pending.union(status.sharedPending)
    // What it lets through ends the call; what it keeps out falls to another thread.
    if !pending.subtracting(mask).isEmpty || status.threads > 1 && !pending.isEmpty { watch(task.group) }
  }

  /// Looks again in a while, some times: the host's kernel makes the signal pending at a moment that the sentry does not see.
  public func watch(_ group: ThreadGroup) {
    group.signalsSent &+= 1
    // One for each process, however many signals are sent to it.
    if let watch = group.signalWatch { return watch.begin() }
    let watch = SignalWatch(group)
    group.signalWatch = watch
    watch.begin()
  }

  private func watchForChild(_ parent: ThreadGroup) {
    if parent.actions[Signal.child].isCaught || !parent.signalQueue.isEmpty { watch(parent) }
  }

  /// A process is a zombie now: its parent may be in a call that SIGCHLD ends, its children have another parent.
  public func ended(_ group: ThreadGroup) {
    if group.traits.hasEnded { return }
    let wasOrphaned = isOrphaned(group.processGroup)
    group.traits.hasEnded = true
    group.ends.wake(.readable)
    group.executed = nil
    group.timers.drop()
    if group.id == group.session { terminals.sessionEnded(group.session) }
    if let parent = group.parent {
      parent.endedChildren &+= 1
      if parent.isTracer { parent.traceEvents.wake() }
      watchForChild(parent)
    }
    let heir = heir(of: group)
    for child in groups.values where child.parent === group {
      child.parent = heir
      for task in child.tasks where task.traits.parentDeathSignal != 0 {
        // It may have ended too.
        do throws(Errno) { try send(task.traits.parentDeathSignal, to: task) } catch {}
      }
      // Exit of a leader of a group's hold on its session (exit_notify, kill_orphaned_pgrp).
      if child.processGroup != group.processGroup { hangUpIfOrphaned(child.processGroup) }
    }
    if !wasOrphaned { hangUpIfOrphaned(group.processGroup) }
  }

  private func heir(of group: ThreadGroup) -> ThreadGroup? {
    subreaper(above: group) ?? groups[1].flatMap { $0.traits.hasEnded ? nil : $0 }
  }

  /// Who has asked for the orphans of the processes below it (PR_SET_CHILD_SUBREAPER); nil for nobody.
  public func subreaper(above group: ThreadGroup) -> ThreadGroup? {
    var above = group.parent
    while let candidate = above {
      if candidate.traits.isSubreaper && !candidate.traits.hasEnded { return candidate }
      above = candidate.parent
    }
    return nil
  }

  private func hangUpIfOrphaned(_ processGroup: Int32) {
    guard isOrphaned(processGroup) else { return }
    let members = members(of: processGroup)
    guard members.contains(where: { $0.tasks.contains { host.isStopped($0) } }) else { return }
    send(Signal.hangup, toProcessGroup: processGroup)
    send(Signal.continue, toProcessGroup: processGroup)
  }
}

/// A call that a stop ended and that the host's kernel makes anew: it goes on to the time it had.
struct Resumption {
  let call: Call
  let deadline: UInt64
}

/// Looks at a process after 50 microseconds, and then after twice as long each time, up to some tenths of a second, and on while somebody
/// who sends it a signal by himself may not have come to it.
final class SignalWatch: Waiter {
  private weak var group: ThreadGroup?
  private static let shortest: UInt64 = 50_000
  private static let longest: UInt64 = 500_000_000
  private var delay = shortest
  private var token: Deadlines.Token?
  init(_ group: ThreadGroup) { self.group = group }

  /// From the shortest time on, for one more signal.
  func begin() {
    // It is as far as that already.
    if token != nil, delay == 2 * Self.shortest { return }
    if let token { group?.kernel.deadlines.cancel(token) }
    delay = Self.shortest
    wait()
  }
  private func wait() {
    guard let group else { return }
    token = group.kernel.deadlines.add(self, at: group.kernel.now &+ delay)
    delay = min(2 &* delay, Self.longest)
  }
  override func wake(_ events: PollEvents) {
    token = nil
    guard let group else { return }
    if group.traits.hasEnded {
      group.signallers = []
      return
    }
    // Asked before the look, which sees what those have sent that are through.
    let isComing = group.isBeingSignalled
    group.kernel.look(at: group)
    // Somebody may have sent one more meanwhile.
    if token != nil { return }
    if delay < Self.longest || isComing { wait() }
  }
}

extension ThreadGroup {
  /// Whether a task that was let send a signal may not have run since. A call of the kind does not sleep.
  fileprivate var isBeingSignalled: Bool {
    if signallers.isEmpty { return false }
    signallers.removeAll {
      switch kernel.host.status($0).state {
      case UInt8(ascii: "S"), UInt8(ascii: "Z"), UInt8(ascii: "X"), 0: true
      default: false
      }
    }
    // What falls asleep from now on may have got it on its way.
    if signallers.isEmpty { signalsSent &+= 1 }
    return !signallers.isEmpty
  }
}

extension Task {
  /// Whether a signal to another process had better be sent by its sender itself, in the host's kernel: the handler is told who it was, and a
  /// siginfo_t of the sentry's, whom guests cannot see, would name nobody. What the process's calls make of it is looked at a little later, and
  /// with the sender's next call.
  public func sendsItself(_ signal: Int32, to group: ThreadGroup) -> Bool {
    guard signal > 0, signal <= Signal.last, signal != Signal.continue, !group.traits.hasEnded, !group.isKeeper else {
      return false
    }
    let action = group.actions[signal]
    guard action.isCaught, action.flags & SignalAction.tellsInfo != 0 else { return false }
    kernel.host.receiveWaiting()
    isLetSend(to: group)
    return true
  }

  /// Its call is the host's, and sends a signal to the process when it gets a processor: which may be after all that is looked at meanwhile.
  public func isLetSend(to group: ThreadGroup) {
    kernel.watch(group)
    if let other = signalled, other !== group { other.signallers.removeAll { $0 === self } }
    signalled = group
    if !group.signallers.contains(where: { $0 === self }) { group.signallers.append(self) }
  }

  /// A signal that the task's own deed brings (SIGPIPE). The call that it is in goes on to its own answer.
  public func raise(_ signal: Int32) {
    // It is in a call, so it is there.
    do throws(Errno) { try kernel.host.kill(self, signal) } catch {}
  }
  /// What is pending for the thread, of those it blocks too.
  public var pendingSignals: SignalBits {
    let status = kernel.host.status(self)
    return status.pending.union(status.sharedPending)
  }
}
