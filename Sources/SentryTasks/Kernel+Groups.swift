public import Linux
import SentryABI

/// Processes, process groups and sessions (credentials(7), setpgid(2)), as the guests' pid namespace numbers them.
extension Kernel {
  /// The process of a thread or process id; 0 is the caller's. One that ended is found until its parent has waited for it.
  /// - Throws: ESRCH.
  public func group(_ id: Int32, of caller: Task) throws(Errno) -> ThreadGroup {
    if id == 0 { return caller.group }
    if let group = groups[id] {
      if isGone(group) { throw .noProcess }
      return group
    }
    if let task = tasks[id] { return task.group }
    throw .noProcess
  }

  /// Whether its parent has waited for the process: it may learn of the end before the sentry does.
  public func isGone(_ group: ThreadGroup) -> Bool { group.hostID > 0 && !host.exists(group) }

  /// Lets go of processes that ended and were waited for.
  public func forgetGone() {
    for (id, group) in groups where group.traits.hasEnded && isGone(group) {
      group.remains = nil
      groups[id] = nil
    }
  }

  /// The thread of that number; of a process that is a zombie, its last.
  public func shown(_ id: Int32) -> Task? {
    if let task = tasks[id] { return task }
    guard let group = groups[id] else { return nil }
    return group.tasks.first ?? group.remains
  }

  /// Those of a process group that have not ended.
  public func members(of processGroup: Int32) -> [ThreadGroup] {
    groups.values.filter { $0.processGroup == processGroup && !$0.traits.hasEnded }.sorted { $0.id < $1.id }
  }

  /// setpgid(2), all but the host's side of it.
  public func setProcessGroup(of id: Int32, to wanted: Int32, by caller: Task) throws(Errno) {
    let process = id == 0 ? caller.group.id : id
    let number = wanted == 0 ? process : wanted
    guard number >= 0 else { throw .invalid }
    guard let group = groups[process], !group.traits.hasEnded else {
      throw tasks[process] == nil ? .noProcess : .invalid
    }
    if group !== caller.group {
      guard group.parent === caller.group else { throw .noProcess }
      guard group.session == caller.group.session else { throw .notPermitted }
      guard !group.traits.hasExeced else { throw .accessDenied }
    }
    guard group.session != group.id else { throw .notPermitted }
    if number != process {
      guard groups.values.contains(where: { $0.processGroup == number && $0.session == caller.group.session }) else {
        throw .notPermitted
      }
    }
    group.processGroup = number
  }

  /// setsid(2), all but the host's side of it.
  /// - Throws: EPERM where the caller leads a process group, or one has its number.
  public func newSession(by caller: Task) throws(Errno) {
    let id = caller.group.id
    guard !groups.values.contains(where: { $0.processGroup == id }) else { throw .notPermitted }
    caller.group.session = id
    caller.group.processGroup = id
  }

  /// Whether no process of the group has a parent in another group of the same session: then nobody could continue it once stopped
  /// (credentials(7); will_become_orphaned_pgrp, kernel/exit.c).
  /// - Parameter leaving: a process that is looked at as gone.
  public func isOrphaned(_ processGroup: Int32, without leaving: ThreadGroup? = nil) -> Bool {
    !groups.values.contains { member in
      guard member.processGroup == processGroup, member !== leaving, !member.traits.hasEnded,
        let parent = member.parent
      else { return false }
      return parent.processGroup != processGroup && parent.session == member.session
    }
  }
}
