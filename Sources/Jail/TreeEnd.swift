import CLinux
import Linux

/// Ends the processes below a jail's first process where it has no user id and no control group of its own: each is stopped before
/// its children are looked at, so that none can fork away, until no new one is found; then all are killed. The first process is
/// a subreaper (guest/init), so daemons stay below it: it is killed last, when nothing below it lives.
enum TreeEnd {
  /// Longer than a killed or stopped process needs to get the CPU, also among hundreds that want it.
  private static let patience: UInt64 = 10_000_000_000

  /// Ends `root` and all below it. One that is gone already is well. EBUSY where one does not die for 10 seconds; the others are
  /// killed all the same.
  static func kill(_ root: ProcessIdentity) throws(SystemError) {
    guard let handle = try root.open() else { return }
    try send(handle.rawValue, SIGSTOP)
    waitUntilStopped([root])
    var last: Int32?
    let deadline = Clock.monotonicNanoseconds() + patience
    // A fork under way while its parent was being stopped may have ended after the last look.
    while true {
      let stopped = try stopAll(below: root.pid)
      guard let one = stopped.first else { break }
      last = one.pid
      for process in stopped { try signal(one: process, SIGKILL) }
      guard waitUntilDead(stopped, deadline) else { break }
      last = nil
    }
    try send(handle.rawValue, SIGKILL)
    if let last { throw SystemError("kill", "process \(last) does not end", .busy) }
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
    var others: Set<Int32> = []
    if let first { others.insert(first) }
    while true {
      // Zombies too: one that died after this list was read has handed its children on to us since.
      let orphans = ProcessTable.children(of: Process.id).filter { pid in
        guard !others.contains(pid), let status = ProcessTable.status(of: pid) else { return false }
        return status.filters > own.filters || status.noNewPrivileges && !own.noNewPrivileges
      }
      if orphans.isEmpty { return }
      for pid in orphans {
        if let process = ProcessIdentity(pid: pid) { try kill(process) }
        // It is our child now, and nobody else waits for it, or it is gone.
        do throws(SystemError) { _ = try Process.wait(pid) } catch  where error.errno == .noChild { others.insert(pid) }
      }
    }
  }

  /// The processes below `pid` that have not ended, each stopped.
  private static func stopAll(below pid: Int32) throws(SystemError) -> [ProcessIdentity] {
    var stopped: [ProcessIdentity] = []
    var known: Set<Int32> = []
    while true {
      let found = ProcessTable.descendants(of: pid).filter { !known.contains($0) }
      if found.isEmpty { return stopped }
      var latest: [ProcessIdentity] = []
      for pid in found {
        known.insert(pid)
        guard ProcessTable.lives(pid), let process = ProcessIdentity(pid: pid) else { continue }
        try signal(one: process, SIGSTOP)
        latest.append(process)
      }
      waitUntilStopped(latest)
      stopped += latest
    }
  }

  /// One that waits in the kernel (vfork, a slow disk) stops when that is over: a tenth of a second is enough for it, for it starts
  /// nothing meanwhile. One that runs may be in the middle of a fork.
  private static func waitUntilStopped(_ processes: [ProcessIdentity]) {
    let start = Clock.monotonicNanoseconds()
    while true {
      let states = processes.compactMap { ProcessTable.state(of: $0.pid) }.filter { $0 == .running || $0 == .waiting }
      let isLong = Clock.monotonicNanoseconds() - start > (states.contains(.running) ? patience : 100_000_000)
      if states.isEmpty || isLong { return }
      Clock.pause(milliseconds: 1)
    }
  }

  /// False where one lives at the deadline.
  private static func waitUntilDead(_ processes: [ProcessIdentity], _ deadline: UInt64) -> Bool {
    while processes.contains(where: { $0.isAlive && ProcessTable.lives($0.pid) }) {
      if Clock.monotonicNanoseconds() > deadline { return false }
      Clock.pause(milliseconds: 1)
    }
    return true
  }

  private static func signal(one process: ProcessIdentity, _ number: Int32) throws(SystemError) {
    guard let handle = try process.open() else { return }
    try send(handle.rawValue, number)
  }

  private static func send(_ handle: Int32, _ number: Int32) throws(SystemError) {
    do throws(SystemError) { try Process.signal(descriptor: handle, number) } catch  where error.errno == .noProcess {}
  }
}
