import CLinux
public import Linux
import Seccomp

/// What must be made before the sentry gives its privileges up: the tree that guests execute from, and the keeper, with the filter that all
/// guests inherit. It starts programs when told and reaps (guest/stub.c); when the sentry ends, it ends, and with it every guest. It is the
/// first process of the guests' pid namespace, or stands outside of that and the first program is.
public struct GuestSpace: ~Copyable {
  var listener: GuestDoor
  var jail: ExecJail
  let processes: FileDescriptor
  let keeper: Child
  public let filter: StubFilter
  /// Whether the first program is process 1 of the guests, whose end ends the others and who inherits orphans.
  let programIsFirst: Bool

  /// - Parameters:
  ///   - processes: the root of a procfs that shows the children of this process.
  ///   - namespaces: CLONE_NEW* of the guests beside the pid namespace; the IPC namespace the caller has with them. A network namespace is not
  ///     wanted: all calls of sockets are the sentry's, and it costs a millisecond.
  ///   - programIsFirst: the first program that is started is process 1.
  ///   - group: the `tasks` file of a control group that the keeper, and so every guest, is in; the caller's still.
  ///   - user: the user's and the group's id that the keeper and every guest have on the host; nil for the caller's. The caller must have it too
  ///     before the first guest is made, or it cannot reach their memory.
  /// - Throws: ENOSYS where there is no stub for this machine; what the kernel lacks or the caller may not.
  public init(
    processes: consuming FileDescriptor, namespaces: UInt64 = 0, filter: StubFilter,
    programIsFirst: Bool = false, group: Int32? = nil, user: UInt32? = nil, by interception: Interception
  ) throws(SystemError) {
    guard StubProgram.isPresent else {
      throw SystemError("sentry", "no stub for this machine's architecture", .notImplemented)
    }
    // One for sentry and guests: it makes the segments of shared memory that they attach (SharedSegment).
    try Namespaces.unshare(Namespaces.ipc)
    var jail = try ExecJail()
    do throws(Errno) { try jail.link(Array("keeper".utf8)) } catch { throw SystemError("link", "the keeper", error) }
    let report = try KeeperReport()
    let filter = interception == .tracing ? filter.traced : filter
    let instructions = filter.instructions.map {
      UInt64($0.code) | UInt64($0.jt) << 16 | UInt64($0.jf) << 24 | UInt64($0.k) << 32
    }
    let tracer = interception == .tracing ? try GuestTracer() : nil
    let flags = programIsFirst ? namespaces : Namespaces.pid | namespaces
    let start = KeeperStart(
      root: jail.root.rawValue, programIsFirst: programIsFirst, group: group, user: user, instructions: instructions,
      interception: interception)
    let child = try Self.spawn(start, flags, report)
    if let tracer {
      _ = try report.wait(for: child, .waitsForTracer)
      try tracer.seize(keeper: child.pid)
      report.publish(.isTraced)
      _ = try report.wait(for: child, .hasFilter)
      listener = .tracing(tracer)
    } else {
      let number = try report.wait(for: child, .hasFilter)
      listener = .notification(NotificationListener(owning: FileDescriptor(owning: number)))
    }
    keeper = child
    self.jail = jail
    self.processes = processes
    self.filter = filter
    self.programIsFirst = programIsFirst
  }

  /// Makes the caller's user namespace one that no other can be made in: its limits go with it (user_namespaces(7)). Wants CAP_SYS_RESOURCE
  /// there.
  /// - Parameter processes: the root of a procfs.
  /// - Returns: false where that cannot be said.
  public static func shutUserNamespaces(_ processes: Int32) -> Bool {
    do throws(SystemError) {
      try File.writeExisting("sys/user/max_user_namespaces", "0", at: processes)
      return true
    } catch {
      // A procfs without it, or one that is read-only.
      return false
    }
  }

  /// The listener is made in a table of descriptors that both share, until the keeper's exec gives it one of its own, which is empty. So no
  /// descriptor may be owned here: the child would close it for both.
  private static func spawn(
    _ start: KeeperStart, _ namespaces: UInt64, _ report: KeeperReport
  ) throws(SystemError) -> Child {
    let flags = namespaces | UInt64(UInt32(bitPattern: CLONE_FILES))
    if let child = try Process.clone(CloneArguments(flags: flags)) { return child }
    becomeKeeper(start, report)
  }

  private static func becomeKeeper(_ start: KeeperStart, _ report: KeeperReport) -> Never {
    do throws(SystemError) {
      if let group = start.group { try Cgroup.join(tasks: [group]) }
      // The next child, and all after it, are in the new namespace; this process is not.
      if start.programIsFirst { try Namespaces.unshare(Namespaces.pid) }
      try checked("setsid", "", systemCall(Int(SYS_setsid)))
      try SignalSet.letProgramHave()
      for signal in 1...Int32(64) where signal != SIGKILL && signal != SIGSTOP { try SignalSet.ignore(signal, false) }
      try ResourceLimits.set(ResourceLimits.core, soft: 0, hard: 0)
      let files = UInt64(try ResourceLimits.get(ResourceLimits.openFiles).rlim_max)
      try ResourceLimits.set(ResourceLimits.openFiles, soft: files, hard: files)
      try Identity.changeRoot(to: start.root)
      _ = Identity.setUmask(0)
      try Capability.limitBounding(to: 0)
      try Capability.setAmbient(0)
      if let user = start.user {
        try Identity.setGroup(user)
        try Identity.setUser(user)
      }
      try CapabilitySets().apply()
      try Identity.setParentDeathSignal(SIGKILL)
      try Identity.forbidNewPrivileges()
      var listener: Int32 = -1
      switch start.interception {
      case .notification:
        let newListener: UInt32 = 1 << 3
        // Linux 5.19: a call that the sentry has taken is not taken back by a signal that is not deadly.
        let waitsKillably: UInt32 = 1 << 5
        do throws(SystemError) {
          listener = try Identity.installFilter(start.instructions, flags: newListener | waitsKillably)
        } catch  where error.errno == .invalid {
          throw SystemError("seccomp", "a listener that waits killably (Linux 5.19 has it)", error.errno)
        }
      case .tracing:
        // A process that is not dumpable is traced by nobody without a capability; there is no secret of immure's in this one.
        try Identity.setDumpable(true)
        report.publish(.waitsForTracer)
        report.wait(until: .isTraced)
        _ = try Identity.installFilter(start.instructions, flags: 0)
      }
      report.tell(listener: listener)
    } catch {
      report.tell(error)
      Process.exit(1)
    }
    _ = Process.execute("/keeper", arguments: ["keeper"], environment: [])
    Process.exit(1)
  }
}

/// What the keeper begins with. No descriptor is owned: both processes have them in one table.
private struct KeeperStart {
  let root: Int32
  let programIsFirst: Bool
  let group: Int32?
  let user: UInt32?
  let instructions: [UInt64]
  let interception: Interception
}

/// A page that the keeper tells its start on: once it has its filter, no other call of its own is answered.
@safe private struct KeeperReport {
  /// How far both are.
  enum State: UInt32 {
    case begins, hasFilter, failed, waitsForTracer, isTraced
  }
  /// Words: a state; the listener or the errno; the length of the failed call's name, which follows.
  private let words: UnsafeMutablePointer<UInt32>
  private static let size = 4096

  init() throws(SystemError) {
    // Shared with the child, gone with both.
    let result = systemCall(
      Int(SYS_mmap), 0, UInt(Self.size), word(PROT_READ | PROT_WRITE), word(MAP_SHARED | MAP_ANONYMOUS), UInt.max, 0)
    try checked("mmap", "", result)
    guard let words = unsafe UnsafeMutablePointer<UInt32>(bitPattern: result) else {
      throw SystemError("mmap", "", .noMemory)
    }
    unsafe self.words = unsafe words
  }

  func tell(listener: Int32) {
    // SAFETY: the page holds 1024 words for as long as both processes run.
    unsafe words[1] = UInt32(bitPattern: listener)
    publish(.hasFilter)
  }

  func tell(_ error: SystemError) {
    let text = Array("\(error.call) \(error.subject)".utf8.prefix(512))
    unsafe words[1] = UInt32(bitPattern: error.errno.rawValue)
    unsafe words[2] = UInt32(text.count)
    for (index, byte) in text.enumerated() { unsafe words[3 + index] = UInt32(byte) }
    publish(.failed)
  }

  func publish(_ state: State) {
    // SAFETY: the system call below is a barrier for what was written before it.
    unsafe words[0] = state.rawValue
    let wake: UInt = 1
    _ = unsafe systemCall(Int(SYS_futex), UInt(bitPattern: words), wake, 1)
  }

  /// The child's wait, which ends with the parent at the latest.
  func wait(until state: State) {
    while unsafe words[0] != state.rawValue {
      let value = unsafe UInt(words[0])
      if value == UInt(state.rawValue) { return }
      _ = unsafe systemCall(Int(SYS_futex), UInt(bitPattern: words), 0, value, 0)
    }
  }

  /// - Returns: the listener's number in the table that is still shared, where there is one.
  func wait(for keeper: borrowing Child, _ wanted: State) throws(SystemError) -> Int32 {
    while true {
      let state = unsafe words[0]
      if state == wanted.rawValue || state == State.failed.rawValue { break }
      // A time-out only to see that it has died without a word.
      var patience = timespec(tv_sec: 0, tv_nsec: 50_000_000)
      unsafe withUnsafeMutablePointer(to: &patience) { pointer in
        _ = unsafe systemCall(Int(SYS_futex), UInt(bitPattern: words), 0, UInt(state), UInt(bitPattern: pointer))
      }
      if unsafe words[0] == state, try Readiness.wait(keeper.descriptor.rawValue, milliseconds: 0) {
        throw SystemError("sentry", "the first process of the guests ended at once", .noChild)
      }
    }
    let value = unsafe Int32(bitPattern: words[1])
    if unsafe words[0] == wanted.rawValue { return value }
    var text: [UInt8] = []
    for index in 0..<min(512, Int(unsafe words[2])) { text.append(UInt8(truncatingIfNeeded: unsafe words[3 + index])) }
    throw SystemError("sentry", String(decoding: text, as: UTF8.self), Errno(rawValue: value))
  }
}
