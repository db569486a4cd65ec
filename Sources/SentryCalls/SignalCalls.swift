import Linux
import SentryABI
import SentryMemory
import SentrySignals
import SentryTasks

/// What a guest does with signals (signal(7)). Masks, pending sets and frames are the host's: calls about the caller's own go there.
enum SignalCalls {
  static let rows: [CallRow] = [
    CallRow(
      13, "rt_sigaction", .part("where SIGCHLD's old handler had no SA_RESTART, the old action shows it")
    ) { (call, task) throws(Errno) in try action(call, task) },
    CallRow(14, "rt_sigprocmask", .native) { (_, _) in .native },
    CallRow(15, "rt_sigreturn", .native) { (_, _) in .native },
    CallRow(127, "rt_sigpending", .native) { (_, _) in .native },
    CallRow(128, "rt_sigtimedwait", .native, blocksOn: "signals, time") { (_, _) in .native },
    CallRow(130, "rt_sigsuspend", .native, blocksOn: "signals") { (_, _) in .native },
    CallRow(34, "pause", .native, blocksOn: "signals") { (_, _) in .native },
    CallRow(131, "sigaltstack", .native) { (_, _) in .native },
    CallRow(219, "restart_syscall", .native) { (_, _) in .native },
    CallRow(
      62, "kill", .part("siginfo_t names its sender to a handler with SA_SIGINFO only, and to no process group")
    ) {
      (call, task) throws(Errno) in try kill(call, task)
    },
    CallRow(200, "tkill", .part("another process gets no si_pid")) { (call, task) throws(Errno) in
      guard call.arguments.0.int32 > 0 else { throw .invalid }
      return try kill(thread: call.arguments.0.int32, of: nil, call.arguments.1.int32, task)
    },
    CallRow(234, "tgkill", .part("another process gets no si_pid")) { (call, task) throws(Errno) in
      guard call.arguments.0.int32 > 0, call.arguments.1.int32 > 0 else { throw .invalid }
      return try kill(thread: call.arguments.1.int32, of: call.arguments.0.int32, call.arguments.2.int32, task)
    },
    CallRow(129, "rt_sigqueueinfo") { (call, task) throws(Errno) in
      let signal = call.arguments.1.int32
      let info = try loadInfo(call.arguments.2.address, signal, task)
      let id = call.arguments.0.int32
      let group = try target(id, task)
      guard info.code < 0 && info.code != SignalInfo.threadKill || group === task.group else { throw .notPermitted }
      try check(signal, to: group, task)
      if group === task.group { return own(task) }
      if task.sendsItself(signal, to: group) { return .native }
      try task.kernel.send(signal, to: group, info: info)
      return .zero
    },
    CallRow(297, "rt_tgsigqueueinfo") { (call, task) throws(Errno) in
      let (process, thread) = (call.arguments.0.int32, call.arguments.1.int32)
      guard process > 0, thread > 0 else { throw .invalid }
      let signal = call.arguments.2.int32
      let info = try loadInfo(call.arguments.3.address, signal, task)
      guard let other = task.kernel.tasks[thread], other.group.id == process else { throw .noProcess }
      guard info.code < 0 && info.code != SignalInfo.threadKill || other.group === task.group else {
        throw .notPermitted
      }
      try check(signal, to: other.group, task)
      if other.group === task.group { return own(task) }
      try task.kernel.send(signal, to: other, info: info)
      return .zero
    },
  ]

  // MARK: - Actions

  /// The host's kernel takes the action too, from the guest's memory: for SIGCHLD with SA_RESTART set there, because that signal
  /// comes from the host at any moment, also before the sentry has received a call that must not fail with EINTR.
  private static func action(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let signal = call.arguments.0.int32
    guard call.arguments.3.bits == 8 else { throw .invalid }
    let new = call.arguments.1.address
    guard Signal.isValid(signal), new.isNull || (signal != Signal.kill && signal != Signal.stop) else {
      // The kernel reads the action before it looks at the number.
      if !new.isNull { _ = try task.memory.bytes(new, count: SignalAction.size) }
      throw .invalid
    }
    let actions = task.group.actions
    if new.isNull {
      // Whether such a handler has run the host alone knows.
      if actions[signal].flags & SignalAction.resetsHandler != 0 && signal != Signal.child { return .native }
      let old = call.arguments.2.address
      if !old.isNull { try task.memory.store(actions[signal].bytes, at: old) }
      if actions[signal] == SignalAction() { task.askedDefaultAction() }
      return .zero
    }
    let action = SignalAction(try task.memory.bytes(new, count: SignalAction.size))
    actions[signal] = action
    task.group.answers.lostDefault(of: signal)
    if signal == Signal.child && action.isCaught && !action.restarts {
      // A guest whose action lies in memory that it cannot write keeps its own flag, and the EINTR that comes of it.
      do throws(Errno) {
        try task.memory.store(
          action.flags | SignalAction.restart, at: new.advanced(by: SignalAction.flagsOffset))
      } catch {}
    }
    return .native
  }

  // MARK: - Sending

  private static func kill(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (id, signal) = (call.arguments.0.int32, call.arguments.1.int32)
    let kernel = task.kernel
    if id > 0 {
      let group = try target(id, task)
      try check(signal, to: group, task)
      if group === task.group { return own(task) }
      if task.sendsItself(signal, to: group) { return .native }
      try kernel.send(signal, to: group)
      return .zero
    }
    guard id != .min else { throw .noProcess }
    let targets: [ThreadGroup]
    if id == -1 {
      targets = kernel.groups.values.filter { $0 !== task.group && $0.id > 1 && !$0.traits.hasEnded }
    } else {
      targets = kernel.members(of: id == 0 ? task.group.processGroup : 0 &- id)
    }
    guard !targets.isEmpty else { throw .noProcess }
    guard signal >= 0, signal <= Signal.last else { throw .invalid }
    var failure: Errno?
    var hasSent = false
    // The caller comes last: the signal may end it.
    for group in targets.sorted(by: { $0.id < $1.id }).filter({ $0 !== task.group })
      + targets.filter({ $0 === task.group })
    {
      do throws(Errno) {
        try check(signal, to: group, task)
        try kernel.send(signal, to: group)
        hasSent = true
      } catch {
        failure = error
      }
    }
    if !hasSent, let failure { throw failure }
    return .zero
  }

  private static func kill(thread id: Int32, of process: Int32?, _ signal: Int32, _ task: Task) throws(Errno) -> Outcome
  {
    guard signal >= 0, signal <= Signal.last else { throw .invalid }
    guard let other = task.kernel.tasks[id] else {
      // A thread of its own that has made no call yet: the host knows it.
      if process ?? task.group.id == task.group.id, task.kernel.host.isExpectingThread(of: task.group) {
        return own(task)
      }
      throw .noProcess
    }
    guard process == nil || other.group.id == process else { throw .noProcess }
    try check(signal, to: other.group, task)
    if other.group === task.group { return own(task) }
    try task.kernel.send(signal, to: other)
    return .zero
  }

  /// To its own process a guest sends by itself: glibc's cancellation believes only the host's siginfo_t (SI_TKILL of the own process).
  private static func own(_ task: Task) -> Outcome {
    if task.group.tasks.count > 1 || task.kernel.host.isExpectingThread(of: task.group) {
      task.isLetSend(to: task.group)
    }
    return .native
  }

  /// pidfd_send_signal(2), to the process that a descriptor names.
  /// - Parameter address: of a siginfo_t; null for what kill(2) would tell.
  static func send(_ signal: Int32, to group: ThreadGroup, _ address: GuestAddress, _ task: Task) throws(Errno)
    -> Outcome
  {
    if address.isNull {
      guard !task.kernel.isGone(group) else { throw .noProcess }
      try check(signal, to: group, task)
      try task.kernel.send(signal, to: group)
      return .zero
    }
    let bytes = try task.memory.bytes(address, count: SignalInfo.size)
    guard Int32(bitPattern: bytes.little32(0)) == signal else { throw .invalid }
    let info = SignalInfo(bytes)
    guard info.code < 0 && info.code != SignalInfo.threadKill || group === task.group else { throw .notPermitted }
    guard !task.kernel.isGone(group) else { throw .noProcess }
    try check(signal, to: group, task)
    try task.kernel.send(signal, to: group, info: info)
    return .zero
  }

  private static func target(_ id: Int32, _ task: Task) throws(Errno) -> ThreadGroup {
    guard id > 0 else { throw .noProcess }
    return try task.kernel.group(id, of: task)
  }

  private static func loadInfo(_ address: GuestAddress, _ signal: Int32, _ task: Task) throws(Errno) -> SignalInfo {
    SignalInfo(try task.memory.bytes(address, count: SignalInfo.size)).with(signal: signal)
  }

  /// check_kill_permission() of kernel/signal.c.
  private static func check(_ signal: Int32, to group: ThreadGroup, _ task: Task) throws(Errno) {
    guard signal >= 0, signal <= Signal.last else { throw .invalid }
    if group === task.group { return }
    // A zombie's credentials are gone with its threads; nothing happens to it.
    guard let its = group.tasks.first?.credentials else { return }
    let mine = task.credentials
    if mine.effectiveUser == its.user || mine.effectiveUser == its.savedUser || mine.user == its.user
      || mine.user == its.savedUser || mine.has(Capability.kill)
    {
      return
    }
    if signal == Signal.continue && group.session == task.group.session { return }
    throw .notPermitted
  }
}
