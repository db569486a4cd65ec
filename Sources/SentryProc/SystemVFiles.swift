import Linux
import SentryABI
import SentryFiles
import SentryIPC
import SentryTasks

/// /proc/sysvipc: System V's objects, a line each (sysvipc(7); the columns of ipc/shm.c, ipc/sem.c and ipc/msg.c).
enum SystemVFiles {
  static func tree(_ system: ProcFileSystem) -> Inode {
    let kernel = system.kernel
    let directory = FixedDirectory(system)
    for (name, make) in [("msg", messages), ("sem", semaphores), ("shm", segments)] {
      directory.add(
        name,
        GeneratedFile(system) { (caller) throws(Errno) in
          let space = kernel.tasks[caller.thread]?.namespaces.objects ?? kernel.ipc
          return Array(make(kernel, space).utf8)
        })
    }
    return directory
  }

  private static func semaphores(_ kernel: Kernel, _ space: IPCSpace) -> String {
    var text = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
    for (id, set) in space.semaphores.sorted {
      text += head(set.permissions, id) + right(set.values.count, 11) + owners(set.permissions)
      text += right(set.operated, 11) + right(set.changed, 11) + "\n"
    }
    return text
  }

  private static func messages(_ kernel: Kernel, _ space: IPCSpace) -> String {
    var text =
      "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n"
    for (id, queue) in space.queues.sorted {
      text += head(queue.permissions, id) + " " + right(queue.bytes, 11) + right(queue.count, 11)
      text += right(queue.lastSender, 6) + right(queue.lastReceiver, 6) + owners(queue.permissions)
      text += right(queue.sent, 11) + right(queue.received, 11) + right(queue.changed, 11) + "\n"
    }
    return text
  }

  private static func segments(_ kernel: Kernel, _ space: IPCSpace) -> String {
    var text =
      "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n"
    space.segments.prune()
    for (id, segment) in space.segments.sorted {
      guard let facts = segment.facts else { continue }
      let last = kernel.groups.values.first { $0.hostID == facts.lastProcess }?.id ?? 0
      text += head(segment.permissions, id) + right(segment.size, 22) + right(segment.creator, 6) + right(last, 6)
      text += " " + right(facts.attachments, 6) + owners(segment.permissions) + right(facts.attached, 11)
      text += right(facts.detached, 11) + right(segment.changed, 11) + right(segment.size, 22) + right(0, 22) + "\n"
    }
    return text
  }

  private static func head(_ permissions: IPCPermissions, _ id: Int32) -> String {
    right(permissions.key, 10) + right(id, 11) + "  " + right(String(permissions.mode, radix: 8), 4)
  }
  private static func owners(_ permissions: IPCPermissions) -> String {
    [permissions.user, permissions.group, permissions.creatorUser, permissions.creatorGroup].map { right($0, 6) }
      .joined()
  }
  private static func right(_ value: some CustomStringConvertible, _ width: Int) -> String {
    let text = value.description
    return String(repeating: " ", count: max(0, width - text.utf8.count)) + text
  }
}
