import CLinux
public import Linux

/// Runs a program, follows it and every child and thread of it until none is left, and tells what they did. One thread, one at a time.
///
/// The traced program is not confined. It may be hostile to the tracer: whatever is read of it is bounded, and its death at any moment
/// is an answer like another.
public final class Tracer {
  private let recorder = Recorder()
  private var tasks: [Int32: Tracee] = [:]
  private var root: Int32 = 0
  private var rootStatus: ExitStatus?
  private var interruptions = 0
  /// Nanoseconds since boot at which memory was last summed.
  private var measured: UInt64 = 0

  public init() {}

  /// Why a program could not be run.
  public enum Failure: Error, Equatable {
    /// exec failed: 127 where the file is not there, else 126.
    case program(Errno)
    case tracing(SystemError)
  }

  /// Runs the program at `path` to the end of its last descendant.
  ///
  /// Of SIGINT, SIGTERM, SIGHUP and SIGQUIT that somebody sends to the tracer the first goes on to the program, the second is SIGTERM to
  /// all, the third SIGKILL to all. A terminal's are the program's own, and count once it has ended and left others behind.
  public func run(_ path: String, arguments: [String], environment: [String]) throws(Failure) -> TraceFacts {
    let started = Clock.monotonicNanoseconds()
    recorder.facts.command = arguments
    recorder.facts.environment = environment
    do throws(SystemError) {
      // Were it ignored, stops would not be told.
      try SignalSet.ignore(SIGCHLD, false)
      let mask = try Tracer.told.block()
      let report = try start(path, arguments, environment, mask: mask)
      defer { _ = FileDescriptor(owning: report) }
      while try next() {}
      let failure = try File.read(report, atMost: 4)
      try mask.setAsMask()
      if failure.count == 4 {
        throw SystemError("exec", path, Errno(rawValue: Int32(failure[0]) | Int32(failure[1]) << 8))
      }
    } catch {
      if error.call == "exec" { throw .program(error.errno) }
      throw .tracing(error)
    }
    var facts = recorder.facts
    facts.calls = recorder.book.facts
    facts.unknownCalls = recorder.book.unknown
    facts.milliseconds = (Clock.monotonicNanoseconds() - started) / 1_000_000
    facts.status = rootStatus?.code ?? 0
    for path in Array(facts.paths.keys) where !File.exists(path) { facts.paths[path]?.remains = false }
    return facts
  }

  private static let told: SignalSet = [SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT]

  // MARK: The beginning

  /// The end of a pipe that tells errno where exec failed.
  private func start(
    _ path: String, _ arguments: [String], _ environment: [String], mask: SignalSet
  ) throws(SystemError) -> Int32 {
    let go = try Tracer.pipe()
    let report = try Tracer.pipe()
    guard let child = try Process.clone(CloneArguments(flags: 0)) else {
      // The child: waits until it is seized, and becomes the program.
      _ = systemCall(Int(SYS_close), word(go.write))
      do throws(SystemError) {
        // The end of the file: the tracer gave up.
        if try File.read(go.read, atMost: 1).isEmpty { Process.exit(127) }
        try mask.setAsMask()
        let error = Process.execute(path, arguments: arguments, environment: environment).errno.rawValue
        try File.writeAll(report.write, [UInt8(error & 0xff), UInt8(error >> 8 & 0xff), 0, 0])
      } catch {}
      Process.exit(127)
    }
    _ = FileDescriptor(owning: go.read)
    _ = FileDescriptor(owning: report.write)
    root = child.pid
    let beginning = FileDescriptor(owning: go.write)
    do throws(SystemError) {
      try Ptrace.seize(root)
    } catch {
      _ = FileDescriptor(owning: report.read)
      _ = consume beginning
      // It ends by itself at the pipe's end.
      _ = try child.wait()
      throw error
    }
    tasks[root] = Tracee(id: root)
    try File.writeAll(beginning.rawValue, [1])
    return report.read
  }

  private static func pipe() throws(SystemError) -> (read: Int32, write: Int32) {
    var ends: (Int32, Int32) = (-1, -1)
    // SAFETY: the kernel fills two descriptors.
    let result = unsafe withUnsafeMutablePointer(to: &ends) {
      systemCall(Int(SYS_pipe2), UInt(bitPattern: $0), UInt(O_CLOEXEC))
    }
    try checked("pipe2", "", result)
    return ends
  }

  // MARK: Waiting

  /// Deals with one event; false once no traced task is left.
  private func next() throws(SystemError) -> Bool {
    var status: Int32 = 0
    // __WALL: threads and clones of every kind (wait(2)).
    let wall: UInt = 0x4000_0000
    while true {
      // SAFETY: wait4 fills one Int32.
      let result = unsafe withUnsafeMutablePointer(to: &status) { pointer in
        systemCall(Int(SYS_wait4), UInt(bitPattern: -1), UInt(bitPattern: pointer), UInt(WNOHANG) | wall, 0)
      }
      if result > 0 {
        handle(Int32(result), status)
        return true
      }
      if result == -Int(ECHILD) { return false }
      if result < 0 && result != -Int(EINTR) { try checked("wait4", "", result) }
      waitForSignal()
    }
  }

  /// Sleeps until a stop, or somebody who wants the end. All are blocked, so none is lost between the question and the sleep.
  private func waitForSignal() {
    var set = Tracer.told.bits
    // siginfo_t: the signal, errno, and how it was sent in three words of 4 bytes, 128 in all.
    var information: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
    var more: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
    var both = (information, more)
    // SAFETY: the kernel reads eight bytes of the set and fills at most 128 bytes.
    let result = unsafe withUnsafeMutablePointer(to: &set) { set in
      unsafe withUnsafeMutablePointer(to: &both) { both in
        systemCall(Int(SYS_rt_sigtimedwait), UInt(bitPattern: set), UInt(bitPattern: both), 0, 8)
      }
    }
    (information, more) = both
    guard result > 0, Int32(result) != SIGCHLD else { return }
    let code = Int32(truncatingIfNeeded: information.1)
    interrupted(by: Int32(result), isFromTerminal: code > 0)
  }

  /// A terminal's Ctrl-C reaches the program as well, which may well go on: it is the program's while that lives.
  private func interrupted(by signal: Int32, isFromTerminal: Bool) {
    if isFromTerminal && rootStatus == nil { return }
    interruptions += 1
    if interruptions == 1, rootStatus == nil {
      // Not reaped yet, so the pid is the program's own.
      try? Process.signal(pid: root, signal)
      return
    }
    let ending = interruptions > 2 ? SIGKILL : SIGTERM
    // One that ended meanwhile needs no signal; it is a tracee of ours until it is reaped, so its pid is its own.
    for process in Set(tasks.values.map(\.process)) { try? Process.signal(pid: process, ending) }
  }

  // MARK: Events

  private func handle(_ id: Int32, _ status: Int32) {
    if immure_wifstopped(status) == 0 {
      tasks[id] = nil
      if id == root { rootStatus = ExitStatus(waitStatus: status) }
      return
    }
    let task = self.task(id)
    let signal = immure_wstopsig(status)
    let event = status >> 16
    if event == 0 {
      if signal == SIGTRAP | 0x80 {
        callStop(task)
        Ptrace.resume(id)
      } else {
        // A signal on its way: delivered as it is.
        Ptrace.resume(id, signal: signal)
      }
      return
    }
    switch Ptrace.Event(rawValue: event) {
    case .stop where [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU].contains(signal):
      Ptrace.listen(id)
      return
    case .fork, .vfork, .clone:
      if let new = Ptrace.message(id), new > 0 { _ = self.task(new) }
    case .exec: executed(task)
    case .exit: measureEnd(task)
    case .stop, nil: break
    }
    Ptrace.resume(id)
  }

  /// A new task may be seen before its parent's event tells of it.
  private func task(_ id: Int32) -> Tracee {
    if let known = tasks[id] { return known }
    let task = Tracee(id: id)
    tasks[id] = task
    recorder.facts.peakTasks = max(recorder.facts.peakTasks, tasks.count)
    measure()
    return task
  }

  private func callStop(_ task: Tracee) {
    switch Ptrace.callStop(task.id) {
    case .entry(let token, let number, let arguments):
      recorder.begin(task, token: token, number: number, arguments)
    case .exit(let result): recorder.end(task, result: result)
    case nil: break
    }
  }

  /// The one who called exec goes on under the process's id; its other threads are gone (ptrace(2), "execve(2) under ptrace").
  private func executed(_ task: Tracee) {
    if recorder.facts.peakTasks == 0 { recorder.facts.peakTasks = 1 }
    if let former = Ptrace.message(task.id), former != task.id, let thread = tasks[former] {
      task.call = thread.call
      task.arguments = thread.arguments
      task.pending = thread.pending
    }
    for (id, other) in tasks where other.process == task.process && id != task.id { tasks[id] = nil }
    recorder.executed(task)
  }

  // MARK: What is used

  /// The sum of what all hold, at most every 10 ms: shared pages count for each, so it is an upper bound.
  private func measure() {
    let now = Clock.monotonicNanoseconds()
    guard now - measured > 10_000_000 else { return }
    measured = now
    var sum: UInt64 = 0
    for process in Set(tasks.values.map(\.process)) { sum += Tracer.residentBytes(process, "VmRSS:") }
    recorder.facts.peakMemoryBytes = max(recorder.facts.peakMemoryBytes, sum)
  }

  /// A process that ends: its own peak, beside what the others hold now.
  private func measureEnd(_ task: Tracee) {
    guard task.id == task.process else { return }
    let others = tasks.count > 64 ? [] : Set(tasks.values.map(\.process)).subtracting([task.process])
    var sum = Tracer.residentBytes(task.process, "VmHWM:")
    for process in others { sum += Tracer.residentBytes(process, "VmRSS:") }
    recorder.facts.peakMemoryBytes = max(recorder.facts.peakMemoryBytes, sum)
  }

  private static func residentBytes(_ process: Int32, _ key: String) -> UInt64 {
    guard let text = try? File.text("/proc/\(process)/status") else { return 0 }
    for line in text.split(separator: "\n") where line.hasPrefix(key) {
      return (UInt64(line.filter { $0.isASCII && $0.isNumber }) ?? 0) << 10
    }
    return 0
  }
}
