import Linux
import SentryABI
import SentryMemory
import SentrySignals
import SentryTasks

/// Threads and processes: made and ended by the host's kernel, known to the sentry before.
enum ProcessCalls {
  static let rows: [CallRow] = [
    CallRow(56, "clone", .part("new namespaces: EPERM; CLONE_PIDFD: EINVAL")) { (call, task) throws(Errno) in
      try clone(flags: call.arguments.0.bits & 0xffff_ffff, task)
    },
    CallRow(57, "fork") { (_, task) throws(Errno) in try clone(flags: 17, task) },
    // The parent sleeps in the host's kernel until the child executes or ends.
    CallRow(58, "vfork") { (_, task) throws(Errno) in try clone(flags: 17 | Flag.memory | Flag.vfork, task) },
    CallRow(435, "clone3", .part("new namespaces, set_tid: EPERM; CLONE_PIDFD, CLONE_INTO_CGROUP: EINVAL")) {
      (call, task) throws(Errno) in
      try clone(flags: try load(call.arguments.0.address, size: call.arguments.1.bits, task), task)
    },
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

  /// The flags of `struct clone_args`, and the signal of its end with them (copy_clone_args_from_user, kernel/fork.c). They are for the
  /// sentry's own books: the host's kernel reads them again, and a guest that changes them meanwhile has another child than is known
  /// here, and is ended for it. It gains nothing: user namespaces are shut (`GuestSpace.shutUserNamespaces`), the other namespaces want
  /// capabilities, groups want a descriptor.
  private static func load(_ address: GuestAddress, size: UInt64, _ task: Task) throws(Errno) -> UInt64 {
    // struct clone_args: its first and its latest version, in bytes.
    let (first, latest) = (64, 88)
    if size > 4096 { throw .tooBig }
    guard let size = Int(exactly: size), size >= first else { throw .invalid }
    let bytes = try task.memory.bytes(address, count: size)
    if bytes.count > latest, bytes[latest...].contains(where: { $0 != 0 }) { throw .tooBig }
    let word = { (at: Int) -> UInt64 in
      at + 8 <= bytes.count ? (0..<8).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) } : 0
    }
    let (flags, signal) = (word(0), word(32))
    // CSIGNAL and CLONE_DETACHED have no place in the flags.
    guard flags & 0x40_007f == 0, signal <= UInt64(Signal.last) else { throw .invalid }
    // set_tid wants a capability, CLONE_INTO_CGROUP a descriptor of the host's.
    if word(72) != 0 { throw .notPermitted }
    if flags & 0x2_0000_0000 != 0 { throw .invalid }
    return flags | signal
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
