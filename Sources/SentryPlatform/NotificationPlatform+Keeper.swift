import CLinux
import Linux
import SentryABI
import SentryMemory
import SentryTasks

/// The keeper's calls, and those of a process that it made before that one executes its program.
extension NotificationPlatform {
  /// Has the keeper start a program, after those that wait already.
  public func start(_ launch: Launch) {
    kernel.show(keeper: space.keeper.pid, like: launch.task)
    launch.task.beginAnswers()
    launches.append(launch)
    serveIdleKeeper()
  }

  func serveKeeper(_ notification: Notification) {
    let a = notification.arguments
    switch notification.number {
    case StubCall.hello: space.listener.answer(notification.id, value: StubCall.keeper)
    case StubCall.next:
      idleKeeper = notification.id
      serveIdleKeeper()
    case StubCall.reaped:
      let number = Int32(truncatingIfNeeded: a.0)
      reaped(launched.removeValue(forKey: number) ?? number, Int32(truncatingIfNeeded: a.1))
      space.listener.answer(notification.id, value: 0)
    // What is left of immure's own start, then of the stub's: trusted code with no guest in it.
    case Int32(SYS_execve), Int32(IMMURE_SYS_close_range), Int32(SYS_fork), Int32(SYS_wait4), Int32(SYS_exit_group):
      space.listener.proceed(notification.id)
    default: space.listener.answer(notification.id, value: 0, error: -ENOSYS)
    }
  }

  /// Gives a sleeping keeper what there is to do.
  func serveIdleKeeper() {
    guard let id = idleKeeper else { return }
    if orphanEnded {
      (orphanEnded, idleKeeper) = (false, nil)
      space.listener.answer(id, value: 0)
    } else if !isLaunching, let launch = launches.first {
      (isLaunching, idleKeeper) = (true, nil)
      space.listener.answer(id, value: Int64(launch.block.count))
    }
  }

  /// The calls of a program's process before there is a program in it.
  /// - Returns: false for one that is answered as any guest's (execve(2), exit_group(2)).
  func serveLaunch(_ notification: Notification, _ task: Task) -> Bool {
    switch notification.number {
    case Int32(SYS_setsid):
      // It leads a session, as of the host's and of the guests' alike.
      task.group.session = task.group.id
      task.group.processGroup = task.group.id
      space.listener.proceed(notification.id)
    case StubCall.failed:
      finishLaunch(Errno(rawValue: Int32(truncatingIfNeeded: 0 &- notification.arguments.0)))
      space.listener.answer(notification.id, value: 0)
    case StubCall.fetch: fetch(notification, task)
    default: return false
    }
    return true
  }

  private func fetch(_ notification: Notification, _ task: Task) {
    let block = launches.first?.block ?? []
    guard notification.arguments.1 == UInt64(block.count) else {
      return space.listener.answer(notification.id, value: 0, error: -EINVAL)
    }
    do throws(Errno) {
      try task.memory.store(block, at: GuestAddress(notification.arguments.0))
      space.listener.answer(notification.id, value: 0)
    } catch {
      space.listener.answer(notification.id, value: 0, error: -error.rawValue)
    }
  }

  func finishLaunch(_ error: Errno?) {
    let launch = launches.removeFirst()
    isLaunching = false
    launch.started(error)
    serveIdleKeeper()
  }
}
