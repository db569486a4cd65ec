import Linux
import SentryFiles
import SentryMemory

/// Threads and processes come into being in two steps. At clone(2) a task is made as the kernel's copy_process() would, from its parent as
/// it is then; it has no number. Once the host's kernel has made the thread, it gets its numbers and joins the others.
extension Task {
  /// What `flags` of clone(2) make of `parent`: shared where they say so, copied where not.
  public convenience init(cloneOf parent: Task, flags: UInt64) {
    let sharesFiles = flags & 0x400 != 0
    if sharesFiles { parent.descriptors.share() }
    self.init(
      kernel: parent.kernel, id: 0, hostID: 0,
      group: flags & 0x10000 != 0 ? parent.group : ThreadGroup(forkOf: parent.group, flags: flags),
      memory: parent.memory, descriptors: sharesFiles ? parent.descriptors : parent.descriptors.copy(),
      paths: flags & 0x200 != 0 ? parent.paths : parent.paths.copy(), credentials: parent.credentials)
    if flags & 0x10000 != 0 { identity = parent.identity }
    if flags & 0x10000 == 0 { group.maker = flags & 0x8000 != 0 ? parent.group.maker : parent }
    inherit(from: parent)
  }

  /// The host has made it.
  public func born(id: Int32, hostID: Int32) {
    self.id = id
    self.hostID = hostID
    memory = GuestMemory(process: hostID)
    if group.id == 0 {
      group.id = id
      group.hostID = hostID
      kernel.groups[id] = group
      kernel.births &+= 1
    }
    // A program that is launched has been its group's task before.
    if !group.tasks.contains(where: { $0 === self }) { group.tasks.append(self) }
    kernel.tasks[id] = self
  }

  /// It has ended, or never came to be: what it held is let go. The process stays, as a zombie does, until `kernel.groups` loses it.
  public func leave() {
    endCall()
    descriptors.leave()
    if kernel.tasks[id] === self { kernel.tasks[id] = nil }
    group.tasks.removeAll { $0 === self }
    keepUndoing()
    if id != 0, group.tasks.isEmpty {
      group.remains = self
      undoSemaphores()
    }
    // A zombie keeps none.
    namespaces = kernel.namespaces
  }

  /// execve(2) from a thread that did not lead: it takes the process's number, all others have ended.
  public func becomeLeader() {
    for other in group.tasks where other !== self { other.leave() }
    if kernel.tasks[id] === self { kernel.tasks[id] = nil }
    id = group.id
    hostID = group.hostID
    memory = GuestMemory(process: hostID)
    kernel.tasks[id] = self
  }
}

extension ThreadGroup {
  /// The process of a child of this one.
  public convenience init(forkOf parent: ThreadGroup, flags: UInt64) {
    self.init(
      kernel: parent.kernel, id: 0, parent: flags & 0x8000 != 0 ? parent.parent : parent, session: parent.session,
      processGroup: parent.processGroup)
    inherit(from: parent, flags: flags)
  }
}
