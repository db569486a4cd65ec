import CLinux
import Linux

/// Signals to every process of a jail's own user id at once: kill(-1) by a process that has become that user. The kernel walks the
/// whole table under its lock and a fork fails while a signal is pending (kill(2), fork.c), so that nothing slips through, however
/// fast it forks; and no process id is ever named, so that none can be mistaken.
enum UserEnd {
  /// Kills all processes of the user, also stopped and traced ones. Returns when none is left but zombies that nobody reaps. EBUSY
  /// after 10 seconds.
  static func killAll(of user: JailUser) throws(SystemError) {
    guard ProcessTable.hasProcess(ofUser: user.id), try signalAll(of: user, SIGKILL) else { return }
    let deadline = Clock.monotonicNanoseconds() + 10_000_000_000
    var round = 0
    // What was killed needs a moment to die.
    while ProcessTable.hasProcess(ofUser: user.id) {
      round += 1
      if round % 64 == 0 {
        if try isOnlyZombies(user) { return }
        _ = try signalAll(of: user, SIGKILL)
      }
      if Clock.monotonicNanoseconds() > deadline {
        throw SystemError("kill", "processes of user \(user.id) do not end", .busy)
      }
      Clock.pause(milliseconds: 1)
    }
  }

  private static func isOnlyZombies(_ user: JailUser) throws(SystemError) -> Bool {
    try ProcessTable.ofUser(user.id).allSatisfy { ProcessTable.status(of: $0)?.isZombie != false }
  }

  /// False when the user has no process. The one that sends it lives in the user's reach for a moment: killed, it is tried again.
  static func signalAll(of user: JailUser, _ signal: Int32) throws(SystemError) -> Bool {
    for _ in 0..<100 {
      guard let child = try Process.clone(CloneArguments(flags: 0)) else { send(user, signal) }
      switch try child.wait() {
      case .exited(0): return true
      case .exited(1): return false
      case .exited(let code): throw SystemError("kill", "processes of user \(user.id)", Errno(rawValue: code))
      default: continue
      }
    }
    throw SystemError("kill", "processes of user \(user.id): the sender was killed again and again", .again)
  }

  /// In the child: 0 sent, 1 nobody there, else errno. kill(-1) from anybody but that user, without capabilities, would reach the
  /// whole machine, so both are looked at again.
  private static func send(_ user: JailUser, _ signal: Int32) -> Never {
    // SIGCONT reaches every process of the sender's session, whosever it is (kill(2)): this one has a session of its own.
    guard systemCall(Int(SYS_setsid)) > 0 else { Process.exit(EPERM) }
    do throws(SystemError) {
      try Identity.setGroups([])
      try Identity.setGroup(user.id)
      try Identity.setUser(user.id)
      let held = try CapabilitySets.current()
      let isThatUser = Process.user == user.id && Process.effectiveUser == user.id
      guard isThatUser, held.effective == 0, held.permitted == 0 else { Process.exit(EPERM) }
      try Process.signal(pid: -1, signal)
      Process.exit(0)
    } catch {
      Process.exit(error.errno == .noProcess ? 1 : max(2, error.errno.rawValue))
    }
  }
}
