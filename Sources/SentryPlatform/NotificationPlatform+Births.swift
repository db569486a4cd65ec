import Linux
import SentryTasks

/// A thread or process that a call which the host's kernel performs may be making.
struct Birth {
  let child: Task
  let parent: Task
  let flags: UInt64
  /// There was a thread of the host's for it, which had not called, when its parent called again.
  var isMade = false
  var isThread: Bool { flags & 0x10000 != 0 }
  /// Whose child it will be (CLONE_PARENT).
  var above: ThreadGroup? { flags & 0x8000 != 0 ? parent.group.parent : parent.group }
  /// CLONE_FILES.
  var sharesDescriptors: Bool { flags & 0x400 != 0 }
  /// The process that the host's kernel names as the child's parent while it lives.
  var hostParent: Int32 { above?.hostID ?? 0 }
}

/// Which new thread of the host's is which task. The host's kernel makes it between the answer to the parent's clone(2) and the first call of
/// parent or child after it. Whoever of the two calls first tells: the child by its parent's number, the parent by its last child. A clone that
/// failed, or that a signal made the kernel restart, leaves no child: what was prepared is dropped, else it would hold pipes open.
extension NotificationPlatform {
  /// The first call of a thread that is not known yet.
  func bind(_ notification: Notification) -> Task? {
    guard let facts = files.caller(notification.thread) else { return nil }
    // It stands for this number as long as its owner is in this call.
    defer { files.forgetDescriptor() }
    if isLaunching, let launch = launches.first, launch.task.id == 0, facts.parent == space.keeper.pid,
      notification.instructionPointer &- StubProgram.base < StubProgram.limit
    {
      join(launch.task, notification.thread, facts)
      if space.programIsFirst { launched[facts.process] = facts.guestID }
      return launch.task
    }
    guard let index = birth(of: notification.thread, facts) else { return nil }
    let birth = births.remove(at: index)
    join(birth.child, notification.thread, facts)
    return birth.child
  }

  private func birth(of thread: Int32, _ facts: ProcessFacts) -> Int? {
    if facts.process != thread {
      return births.firstIndex { $0.isThread && $0.parent.group.hostID == facts.process }
    }
    let candidates = births.indices.filter { !births[$0].isThread && births[$0].hostParent == facts.parent }
    // Its parent was killed since, and of that end nothing has been heard yet: it is who inherits orphans' now.
    if candidates.isEmpty {
      return births.indices.first {
        !births[$0].isThread && heir(of: births[$0].above) == facts.parent && hasEnded(births[$0].hostParent)
      }
    }
    if candidates.count < 2 { return candidates.first }
    // Two threads of one process are forking: each thread knows its own children.
    return candidates.first { files.allChildren(of: births[$0].parent.hostID).contains(thread) } ?? candidates.first
  }

  /// Whom the host's kernel gives a process's orphans: who above it has asked for them (PR_SET_CHILD_SUBREAPER), or the first process of the
  /// guests' namespace.
  private func heir(of group: ThreadGroup?) -> Int32 {
    if let group, let reaper = kernel.subreaper(above: group) { return reaper.hostID }
    return space.programIsFirst ? kernel.groups[1]?.hostID ?? space.keeper.pid : space.keeper.pid
  }

  private func hasEnded(_ process: Int32) -> Bool { files.facts(process)?.hasEnded ?? true }

  private func join(_ child: Task, _ thread: Int32, _ facts: ProcessFacts) {
    let isProcess = child.group.id == 0
    if let stale = kernel.tasks[facts.guestID] { forget(stale) }
    child.born(id: facts.guestID, hostID: thread)
    byHost[thread] = child
    if isProcess {
      if facts.parent == space.keeper.pid { keepersChildren.insert(thread) }
      watch(child.group)
    }
  }

  /// A parent calls again: what it was making exists by now, or never will.
  func settle(_ parent: Task) {
    settleThreads(of: parent)
    while let index = births.firstIndex(where: { $0.parent === parent && !$0.isThread }) {
      let birth = births.remove(at: index)
      // One look most often finds it; that there is none is said by what leaves out nobody.
      guard
        let (process, facts) = madeProcess(birth, amongAll: false) ?? madeProcess(birth, amongAll: true)
      else {
        drop(birth)
        continue
      }
      join(birth.child, process, facts)
    }
  }

  /// A thread has its number from its first call alone; whether there is one is known by counting. One that never came to be must not stand in
  /// for a later one: it has its parent's ids and files as they were.
  private func settleThreads(of parent: Task) {
    guard let place = cloning.firstIndex(where: { $0 === parent }) else { return }
    cloning.remove(at: place)
    let group = parent.group
    let mine = births.indices.filter { births[$0].isThread && births[$0].parent.group === group }
    // Other threads may be making some, and any birth may have been taken for that of one which came sooner: one for each of them must be left.
    func beingMade() -> Int { cloning.count { $0.group === group } }
    guard mine.count > beingMade() else { return }
    // Those that end this moment are counted too: a birth is then kept once more.
    func surplus() -> Int {
      mine.count - beingMade() - max(0, files.threadCount(of: group.hostID) - group.tasks.count)
    }
    var left = surplus()
    if left > 0 {
      dropVanished(of: group)
      left = surplus()
    }
    let over = mine.filter { index in !cloning.contains { $0 === births[index].parent } }
    // Of those that were made before it is known.
    let inDoubt = over.filter { !births[$0].isMade } + over.filter { births[$0].isMade }
    let dropped = inDoubt.prefix(max(0, left)).sorted()
    for index in over { births[index].isMade = true }
    let gone = dropped.map { births[$0] }
    for index in dropped.reversed() { births.remove(at: index) }
    for birth in gone { drop(birth) }
  }

  /// Threads that a filter of their own ended (SECCOMP_RET_KILL_THREAD): nobody tells of that.
  private func dropVanished(of group: ThreadGroup) {
    // The process is gone: its end is told of.
    guard ProcessFiles.has(group.hostID, in: group.hostID) else { return }
    for task in group.tasks where !ProcessFiles.has(task.hostID, in: group.hostID) { forget(task) }
  }

  /// Before a thread is taken for the one that had its number: somebody new may have it by now, where that one's process has a filter.
  func dropVanished(_ thread: Int32) {
    guard let task = byHost[thread], task.group.answers.isFiltered, let facts = files.facts(thread),
      facts.process != task.group.hostID
    else { return }
    forget(task)
  }

  /// - Parameter process: one that lives, or is not waited for. A thread of another one that had its number has vanished.
  private func isUnknown(_ process: Int32) -> Bool {
    guard let task = byHost[process] else { return true }
    if task.group.hostID == process { return false }
    forget(task)
    return true
  }

  /// `HostThreads.expectedThreads`.
  func threadsOnTheirWay(in group: ThreadGroup) -> Int? {
    if births.isEmpty, executions.isEmpty { return 0 }
    if executions.contains(where: { $0.task.group === group }) { return nil }
    var count = 0
    for birth in births where birth.parent.group === group {
      guard birth.isThread, birth.sharesDescriptors else { return nil }
      count += 1
    }
    return count
  }

  /// execve(2) has ended the other threads.
  func dropThreads(of group: ThreadGroup) {
    let gone = births.filter { $0.isThread && $0.parent.group === group }
    births.removeAll { $0.isThread && $0.parent.group === group }
    cloning.removeAll { $0.group === group }
    for birth in gone { drop(birth) }
  }

  /// Nothing came of it.
  private func drop(_ birth: Birth) {
    birth.child.leave()
    if !birth.isThread { birth.child.group.answers.leave() }
  }

  private func madeProcess(_ birth: Birth, amongAll: Bool) -> (Int32, ProcessFacts)? {
    // With CLONE_PARENT a child of the parent's parent.
    let parent = birth.flags & 0x8000 != 0 ? birth.hostParent : birth.parent.hostID
    let last = (amongAll ? files.allChildren(of: parent) : files.children(of: parent)).last
    guard let last, isUnknown(last), let facts = files.facts(last), !hasKnown(last, facts) else { return nil }
    return (last, facts)
  }

  /// Whether it is a process that has told its end already, or of whose end the sentry knows.
  private func hasKnown(_ process: Int32, _ facts: ProcessFacts) -> Bool {
    guard let group = kernel.groups[facts.guestID], group.hostID == process else { return false }
    return leaving.contains(process) || group.traits.hasEnded
  }

  /// A process ended by a signal while a child of it was being made: the child is its heir's now.
  func adoptOrphans(of group: ThreadGroup) {
    while let index = births.firstIndex(where: { $0.parent.group === group }) {
      let birth = births.remove(at: index)
      guard !birth.isThread, let (orphan, facts) = unknownOrphan(of: birth.above) else {
        drop(birth)
        continue
      }
      join(birth.child, orphan, facts)
    }
  }

  private func unknownOrphan(of group: ThreadGroup?) -> (Int32, ProcessFacts)? {
    for process in files.allChildren(of: heir(of: group)).reversed() where isUnknown(process) {
      if let facts = files.facts(process), !hasKnown(process, facts), !isBeingLaunched(process) {
        return (process, facts)
      }
    }
    return nil
  }

  private func isBeingLaunched(_ thread: Int32) -> Bool {
    isLaunching && launches.first?.task.id == 0 && files.children(of: space.keeper.pid).last == thread
  }
}
