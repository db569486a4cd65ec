import CLinux
import Linux

/// Ends the processes below a jail's first process where it has no user id and no control group of its own: each is stopped before
/// its children are looked at, so that none can fork away, until no new one is found; then all are killed. The first process is
/// a subreaper (guest/init), so daemons stay below it.
enum TreeEnd {
  /// Ends `root` and all below it. One that is gone already is well.
  static func kill(_ root: ProcessIdentity) throws(SystemError) {
    guard let handle = try root.open() else { return }
    try send(handle.rawValue, SIGSTOP)
    waitUntilStopped([root])
    let stopped = try stopAll(below: root.pid)
    for process in stopped { try signal(one: process, SIGKILL) }
    try send(handle.rawValue, SIGKILL)
  }

  /// Sends a signal to all below and to `root` itself.
  static func signal(_ root: ProcessIdentity, _ number: Int32) throws(SystemError) {
    if number == SIGSTOP { _ = try stopAll(below: root.pid) }
    for pid in ProcessTable.descendants(of: root.pid) where number != SIGSTOP {
      if let process = ProcessIdentity(pid: pid) { try signal(one: process, number) }
    }
  }

  /// Orphans that the first process left behind when it ended: they came to this process, their subreaper. Ours are told from other
  /// children by what only the jailed have: a seccomp filter or no_new_privs more than this process. `first` is left to the one who
  /// waits for it: killed a moment ago, it may not have died yet.
  static func killOrphans(but first: Int32?) throws(SystemError) {
    guard let own = ProcessTable.status(of: Process.id) else { return }
    while true {
      let orphans = ProcessTable.children(of: Process.id).filter { pid in
        guard pid != first, let status = ProcessTable.status(of: pid), !status.isZombie else { return false }
        return status.filters > own.filters || status.noNewPrivileges && !own.noNewPrivileges
      }
      if orphans.isEmpty { return }
      for pid in orphans {
        guard let process = ProcessIdentity(pid: pid) else { continue }
        try kill(process)
        // It is our child now, and nobody else waits for it; another one's child says ECHILD.
        _ = try? Process.wait(pid)
      }
    }
  }

  private static func stopAll(below pid: Int32) throws(SystemError) -> [ProcessIdentity] {
    var stopped: [ProcessIdentity] = []
    var known: Set<Int32> = []
    while true {
      let found = ProcessTable.descendants(of: pid).filter { !known.contains($0) }
      if found.isEmpty { return stopped }
      var latest: [ProcessIdentity] = []
      for pid in found {
        known.insert(pid)
        guard let process = ProcessIdentity(pid: pid) else { continue }
        try signal(one: process, SIGSTOP)
        latest.append(process)
      }
      waitUntilStopped(latest)
      stopped += latest
    }
  }

  /// One that waits in the kernel (vfork, a slow disk) stops when that is over: no longer than this, for it starts nothing meanwhile.
  private static func waitUntilStopped(_ processes: [ProcessIdentity]) {
    for _ in 0..<100 {
      if processes.allSatisfy({ ProcessTable.hasStopped($0.pid) }) { return }
      Clock.pause(milliseconds: 1)
    }
  }

  private static func signal(one process: ProcessIdentity, _ number: Int32) throws(SystemError) {
    guard let handle = try process.open() else { return }
    try send(handle.rawValue, number)
  }

  private static func send(_ handle: Int32, _ number: Int32) throws(SystemError) {
    do throws(SystemError) { try Process.signal(descriptor: handle, number) } catch  where error.errno == .noProcess {}
  }
}
