import CLinux
import Linux
import SentryABI
import SentryELF
import SentryMemory
import SentryTasks

/// An execve(2) that the host's kernel performs, with what its stub is to load.
struct Execution {
  let task: Task
  let image: ProgramImage
  /// The stub's file that the process must run by then; nil where it makes no odds.
  let proof: UInt64?
  /// The program gets what its caller has not.
  var gives: Bool { proof != nil }
  let done: (Task) -> Void
}

/// The host's kernel runs the stub whatever is executed (ExecJail), gives it arguments and environment, ends the other threads, and refuses
/// what it must (E2BIG). The stub then says hello and gets the files to map.
extension NotificationPlatform {
  func begin(
    _ image: ProgramImage, path: [UInt8]?, descriptor: Int32, gives: Bool, for task: Task,
    _ done: @escaping (Task) -> Void
  ) throws(Errno) {
    // Two threads of one process: the host's kernel would let one win, and which one could not be told.
    if executions.contains(where: { $0.task !== task && $0.task.group === task.group }) { throw .again }
    let twin = gives ? space.jail.other(than: try files.program(of: task.hostID)) : nil
    if let path {
      try space.jail.link(path, to: twin)
      if descriptor >= 0, path.first != 0x2f { try inject(space.jail.root.rawValue, as: descriptor, for: task) }
    } else {
      let stub: FileDescriptor
      do throws(SystemError) { stub = try space.jail.openProgram(twin) } catch { throw error.errno }
      try inject(stub.rawValue, as: descriptor, for: task)
    }
    // Its memory goes, and what it has open stays.
    task.group.answers.takeBack()
    executions.append(Execution(task: task, image: image, proof: twin?.inode, done: done))
  }

  /// Hello. A guest may say it without having executed anything: it then loses its own image, as it would by execve(2), and wins nothing: the
  /// program that it named is one that it may execute, under the ids that it has. Where it would win, /proc/PID/exe tells: the host's kernel
  /// changes that at an execve(2) alone, and the stub lay behind the name in another file than the one that the process ran (`ExecJail`).
  func load(_ notification: Notification) {
    guard let index = executions.firstIndex(where: { $0.task.group.hostID == notification.thread }) else {
      return space.listener.answer(notification.id, value: 0, error: -ENOEXEC)
    }
    let execution = executions.remove(at: index)
    held.removeAll { $0.task.group === execution.task.group }
    debugger?.executed(execution.task)
    if let proof = execution.proof, !isProved(proof, execution.task) {
      _ = systemCall(Int(SYS_kill), word(notification.thread), UInt(SIGKILL))
      return space.listener.answer(notification.id, value: 0, error: -EPERM)
    }
    var plan = execution.image.plan
    do throws(Errno) {
      guard notification.arguments.1 >= UInt64(LoadPlan.size) else { throw .invalid }
      var numbers: [Int32] = []
      for file in execution.image.descriptors {
        numbers.append(try space.listener.inject(file, as: nil, during: notification.id))
      }
      LoadPlan.set(descriptors: numbers, in: &plan)
      if answersInStub, let board = kernel.board {
        let number = try space.listener.inject(board.file.rawValue, as: nil, during: notification.id)
        LoadPlan.addAnswers(board: number, to: &plan)
      }
      try GuestMemory(process: notification.thread).store(plan, at: GuestAddress(notification.arguments.0))
    } catch {
      return space.listener.answer(notification.id, value: 0, error: -error.rawValue)
    }
    let task = execution.task
    for other in task.group.tasks {
      if other !== task { settle(other) }
      if byHost[other.hostID] === other { byHost[other.hostID] = nil }
    }
    dropThreads(of: task.group)
    task.becomeLeader()
    byHost[notification.thread] = task
    renewAnswers(of: task.group)
    execution.done(task)
    if isLaunching, launches.first?.task === task { finishLaunch(nil) }
    space.listener.answer(notification.id, value: StubCall.load)
  }

  /// Whether the process has executed that file, and nobody has come to trace it meanwhile who may not trace what it becomes.
  private func isProved(_ proof: UInt64, _ task: Task) -> Bool {
    if let tracee = task.tracee, !tracee.isTrusted { return false }
    do throws(Errno) { return try files.program(of: task.group.hostID) == proof } catch { return false }
  }

  // MARK: - While a program that gives is executed

  /// The host ends the other threads of a process at some moment between the sentry's answer and the new program's hello; their numbers, the
  /// leader's above all, may be the new program's from then on. So nothing is written into their memory, or done in their name (a clone that
  /// shares places, a filter for all threads), before it is known what came of it: their calls wait. Linux holds cred_guard_mutex and in_exec
  /// meanwhile (fs/exec.c).
  func isHeldBack(_ task: Task) -> Bool {
    executions.contains { $0.gives && $0.task.group === task.group && $0.task !== task }
  }

  func holdBack(_ task: Task, _ notification: Notification?) {
    held.append(HeldCall(task: task, notification: notification))
  }

  /// The host refused it, or its thread has ended: who waited for that goes on.
  func endExecution(of task: Task) {
    executions.removeAll { $0.task === task }
    let group = task.group
    guard held.contains(where: { $0.task.group === group }), !isGaining(group) else { return }
    for call in held where call.task.group === group {
      if let notification = call.notification { waiting.append(notification) } else { kernel.ready.append(call.task) }
    }
    held.removeAll { $0.task.group === group }
    kernel.look(at: group)
  }
}

/// A call that waits while another thread of its process executes a program that gives.
struct HeldCall {
  let task: Task
  /// Nil for one that slept, and was woken.
  let notification: Notification?
}
