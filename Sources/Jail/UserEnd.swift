import CLinux
import Linux

/// Signals to every process of a jail's own user id at once: kill(-1) by a process that has become that user. The kernel walks the
/// whole table under its lock and a fork fails while a signal is pending (kill(2), fork.c), so that nothing slips through, however
/// fast it forks; and no process id is ever named, so that none can be mistaken.
enum UserEnd {
  /// Kills all processes of the user. Returns when none is left but zombies that nobody reaps. EBUSY after 10 seconds.
  static func killAll(of user: UInt32) throws(SystemError) {
    let deadline = Clock.monotonicNanoseconds() + 10_000_000_000
    var round = 0
    // What was killed needs a moment to die.
    while try signalAll(of: user, SIGKILL) {
      round += 1
      if round % 64 == 0, try ProcessTable.ofUser(user).allSatisfy({ ProcessTable.status(of: $0)?.isZombie != false }) {
        return
      }
      if Clock.monotonicNanoseconds() > deadline {
        throw SystemError("kill", "processes of user \(user) do not end", .busy)
      }
      Clock.pause(milliseconds: 1)
    }
  }

  /// False when the user has no process. The one that sends it lives in the user's reach for a moment: killed, it is tried again.
  static func signalAll(of user: UInt32, _ signal: Int32) throws(SystemError) -> Bool {
    // kill(-1) from anybody else would reach the whole machine.
    guard JailUser.isOne(user) else { throw SystemError("kill", "user \(user) is no jail's", .invalid) }
    for _ in 0..<100 {
      guard let child = try Process.clone(CloneArguments(flags: 0)) else { send(user, signal) }
      switch try child.wait() {
      case .exited(0): return true
      case .exited(1): return false
      case .exited(let code): throw SystemError("kill", "processes of user \(user)", Errno(rawValue: code))
      default: continue
      }
    }
    throw SystemError("kill", "processes of user \(user): the sender was killed again and again", .again)
  }

  /// In the child: 0 sent, 1 nobody there, else errno.
  private static func send(_ user: UInt32, _ signal: Int32) -> Never {
    do throws(SystemError) {
      try Identity.setGroups([])
      try Identity.setGroup(user)
      try Identity.setUser(user)
      let held = try CapabilitySets.current()
      let isThatUser = Process.user == user && Process.effectiveUser == user
      guard isThatUser, held.effective == 0, held.permitted == 0 else { Process.exit(EPERM) }
      try Process.signal(pid: -1, signal)
      Process.exit(0)
    } catch {
      Process.exit(error.errno == .noProcess ? 1 : max(2, error.errno.rawValue))
    }
  }
}
