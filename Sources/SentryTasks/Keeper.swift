import SentryABI
import SentryFiles
import SentryMemory
import SentrySignals

extension Kernel {
  /// Shows guests the keeper, which is the first process of their pid namespace, as any init(1) is seen from a box: there, root's, in a
  /// session of its own, without memory or files for anybody's eyes. No signal of theirs reaches it (signal(7), "init").
  /// - Parameter first: a guest, whose files and rights it seems to have.
  public func show(keeper hostID: Int32, like first: Task) {
    guard groups[1] == nil else { return }
    let group = ThreadGroup(kernel: self, id: 1, parent: nil, session: 1, processGroup: 1)
    group.hostID = hostID
    group.isKeeper = true
    group.traits.isDumpable = false
    group.traits.startTime = bootTime
    // Nobody who is not root has all of these.
    var credentials = first.credentials
    (credentials.user, credentials.effectiveUser, credentials.savedUser, credentials.fileUser) = (0, 0, 0, 0)
    (credentials.group, credentials.effectiveGroup, credentials.savedGroup, credentials.fileGroup) = (0, 0, 0, 0)
    credentials.supplementaryGroups = []
    credentials.permitted = credentials.bounding
    credentials.effective = credentials.bounding
    let task = Task(
      kernel: self, id: 1, hostID: hostID, group: group, memory: GuestMemory(process: hostID),
      descriptors: DescriptorTable(), paths: first.paths.copy(), credentials: credentials)
    task.traits.name = Array("init".utf8)
    task.paths.current = task.paths.root
    group.tasks = [task]
    groups[1] = group
    tasks[1] = task
  }
}
