import CLinux
import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentrySignals
import SentryTasks

/// Processes as descriptors (pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2)).
enum ProcessFileCalls {
  static let rows: [CallRow] = [
    CallRow(434, "pidfd_open", .part("PIDFD_THREAD: EINVAL")) { (call, task) throws(Errno) in
      let flags = call.arguments.1.int32
      let id = call.arguments.0.int32
      guard flags & ~O_NONBLOCK == 0, id > 0 else { throw .invalid }
      guard let group = task.kernel.groups[id], !task.kernel.isGone(group) else {
        // A thread that leads no process.
        throw task.kernel.tasks[id] == nil ? .noProcess : .invalid
      }
      let file = try ProcessFile(group, flags: flags)
      file.path = task.kernel.unnamed.other("anon_inode:[pidfd]")
      return try task.install(file, closesOnExec: true)
    },
    CallRow(424, "pidfd_send_signal", .part("PIDFD_SIGNAL_THREAD and its kin: EINVAL")) { (call, task) throws(Errno) in
      guard call.arguments.3.bits & 0xffff_ffff == 0 else { throw .invalid }
      let group = try receiver(call.arguments.0.int32, task)
      return try SignalCalls.send(call.arguments.1.int32, to: group, call.arguments.2.address, task)
    },
    CallRow(438, "pidfd_getfd") { (call, task) throws(Errno) in
      guard call.arguments.2.bits & 0xffff_ffff == 0 else { throw .invalid }
      let group = try process(call.arguments.0.int32, task)
      guard let other = group.tasks.first, !group.traits.hasEnded else { throw .noProcess }
      guard group === task.group || task.mayTrace(other) else { throw .notPermitted }
      return try task.install(try other.descriptors.file(call.arguments.1.int32), closesOnExec: true)
    },
  ]

  private static func process(_ number: Int32, _ task: Task) throws(Errno) -> ThreadGroup {
    guard let file = try task.descriptors.file(number) as? ProcessFile else { throw .badDescriptor }
    return file.group
  }

  private static func receiver(_ number: Int32, _ task: Task) throws(Errno) -> ThreadGroup {
    let file = try task.descriptors.file(number)
    if file.flags & OpenFlags.path == 0, let place = file.inode as? any ProcessPlace {
      guard let group = place.process else { throw .noProcess }
      return group
    }
    return try process(number, task)
  }

  /// Puts the host's own into the caller's table of the host, for the call that it is in.
  static func lend(_ number: Int32, to task: Task) throws(Errno) {
    guard let file = try task.descriptors.file(number) as? ProcessFile else { throw .badDescriptor }
    try task.kernel.host.inject(file.descriptor, as: number, for: task)
    task.descriptors.mirror(number, isWritable: false)
  }
}
