import Linux
import SentryABI
import SentryFiles
import SentryIPC
import SentryTasks

/// Namespaces (namespaces(7)): mounts, names and System V's objects can be had apart by who has CAP_SYS_ADMIN in the sandbox. There is one of
/// every other kind: users, processes and networks are the host's to divide, whom no guest asks.
enum NamespaceCalls {
  static let rows: [CallRow] = [
    CallRow(
      272, "unshare",
      .part(
        "CLONE_NEWUSER: EPERM; CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWTIME: EINVAL, as where the kernel has none; CLONE_NEWCGROUP: without effect; CLONE_FILES of a shared table together with new namespaces: EINVAL"
      )
    ) { (call, task) throws(Errno) in try unshare(call.arguments.0.bits, task) },
    CallRow(308, "setns", .refused(.invalid)) { (call, task) throws(Errno) in
      _ = try task.descriptors.file(call.arguments.0.int32)
      throw .invalid
    },
  ]

  /// linux/sched.h.
  private enum Flag {
    static let time: UInt64 = 0x80
    static let memory: UInt64 = 0x100
    static let places: UInt64 = 0x200
    static let files: UInt64 = 0x400
    static let handlers: UInt64 = 0x800
    static let thread: UInt64 = 0x10000
    static let mounts: UInt64 = 0x20000
    static let undo: UInt64 = 0x40000
    static let groups: UInt64 = 0x0200_0000
    static let names: UInt64 = 0x0400_0000
    static let objects: UInt64 = 0x0800_0000
    static let users: UInt64 = 0x1000_0000
    static let processes: UInt64 = 0x2000_0000
    static let network: UInt64 = 0x4000_0000
    static let own = mounts | groups | names | objects
    static let absent = time | processes | network
    static let all = own | absent | users | memory | places | files | handlers | thread | undo
  }

  private static func unshare(_ flags: UInt64, _ task: Task) throws(Errno) -> Outcome {
    guard flags & ~Flag.all == 0 else { throw .invalid }
    if flags & (Flag.memory | Flag.handlers | Flag.thread) != 0, task.group.tasks.count > 1 { throw .invalid }
    if flags & Flag.users != 0 { throw .notPermitted }
    if flags & (Flag.own | Flag.absent) != 0, !task.credentials.has(Capability.administer) { throw .notPermitted }
    if flags & Flag.absent != 0 { throw .invalid }
    // The host's table is shared too, and has files that were mapped: it must part as well, or one would map what is in the other's. What else is
    // asked for in the same call must be nothing to the host.
    let parts = flags & Flag.files != 0 && task.descriptors.users > 1
    if parts {
      if flags & Flag.own != 0 { throw .invalid }
      let own = task.descriptors.copyApart()
      task.descriptors.leave()
      task.descriptors = own
    }
    if flags & Flag.mounts != 0 {
      // What is answered by paths without asking is of the first namespace.
      task.kernel.board?.turnOff()
      let (namespace, place) = task.paths.namespace.copied()
      task.paths = PathContext(
        namespace, root: place(task.paths.root), current: place(task.paths.current), umask: task.paths.umask)
    } else if flags & Flag.places != 0 {
      task.paths = task.paths.copy()
    }
    if flags & Flag.names != 0 { task.namespaces.names = NameSpace(task.namespaces.names.names) }
    // Semaphores are set back as at its end (ksys_unshare, kernel/fork.c), where no other thread has a part in that.
    if flags & (Flag.objects | Flag.undo) != 0 {
      if task.group.tasks.count == 1 { task.undoSemaphores() } else { task.keepUndoing() }
    }
    if flags & Flag.objects != 0 { task.namespaces.objects = IPCSpace() }
    return parts ? .native : .zero
  }
}
