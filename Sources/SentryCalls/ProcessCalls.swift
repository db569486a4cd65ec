import Linux
import SentryABI
import SentryTasks

/// Threads and processes: made and ended by the host's kernel, known to the sentry before.
enum ProcessCalls {
  static let rows: [CallRow] = [
    CallRow(56, "clone", .part("new namespaces, CLONE_PIDFD")) { (call, task) throws(Errno) in
      try clone(flags: call.arguments.0.bits & 0xffff_ffff, task)
    },
    CallRow(57, "fork") { (_, task) throws(Errno) in try clone(flags: 17, task) },
    // The parent sleeps in the host's kernel until the child executes or ends.
    CallRow(58, "vfork") { (_, task) throws(Errno) in try clone(flags: 17 | Flag.memory | Flag.vfork, task) },
    CallRow(435, "clone3", .refused(.notImplemented)) { (_, _) throws(Errno) in throw .notImplemented },
    CallRow(60, "exit") { (_, task) throws(Errno) in
      task.kernel.host.ending(task, wholeGroup: false)
      return .native
    },
    CallRow(231, "exit_group") { (_, task) throws(Errno) in
      task.kernel.host.ending(task, wholeGroup: true)
      return .native
    },
  ]

  /// linux/sched.h.
  private enum Flag {
    static let memory: UInt64 = 0x100
    static let pidfd: UInt64 = 0x1000
    static let vfork: UInt64 = 0x4000
    static let namespaces: UInt64 = 0x7e02_0000
  }

  private static func clone(flags: UInt64, _ task: Task) throws(Errno) -> Outcome {
    // Nobody in a box without privileges makes namespaces (clone(2), EPERM).
    if flags & Flag.namespaces != 0 { throw .notPermitted }
    // It would be a descriptor of the host's.
    if flags & Flag.pidfd != 0 { throw .invalid }
    let child = Task(cloneOf: task, flags: flags)
    do throws(Errno) { try task.kernel.host.expect(child, of: task, flags: flags) } catch {
      child.leave()
      throw error
    }
    return .native
  }
}
