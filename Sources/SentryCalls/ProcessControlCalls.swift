import Linux
import SentryABI
import SentryMemory
import SentrySignals
import SentryTasks

/// prctl(2), by its own numbers (linux/prctl.h).
enum ProcessControlCalls {
  static let rows: [CallRow] = [
    CallRow(
      157, "prctl",
      .part(
        "PR_SET_THP_DISABLE, PR_SET_TIMERSLACK, PR_SET_PTRACER: without effect; PR_SET_MM, PR_SET_VMA, PR_SET_TSC, PR_SET_MDWE, PR_SCHED_CORE, PR_SET_SPECULATION_CTRL, PR_SET_SYSCALL_USER_DISPATCH and others: EINVAL"
      )
    ) { (call, task) throws(Errno) in try control(call, task) }
  ]

  private static func control(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let arguments = call.arguments
    switch arguments.0.int32 {
    case 1:  // PR_SET_PDEATHSIG
      let signal = arguments.1.bits
      guard signal <= UInt64(Signal.last) else { throw .invalid }
      task.traits.parentDeathSignal = Int32(truncatingIfNeeded: signal)
      return .zero
    case 2:  // PR_GET_PDEATHSIG
      try task.memory.store(task.traits.parentDeathSignal, at: arguments.1.address)
      return .zero
    case 3: return .value(task.group.traits.isDumpable ? 1 : 0)  // PR_GET_DUMPABLE
    case 4:  // PR_SET_DUMPABLE
      guard arguments.1.bits <= 1 else { throw .invalid }
      task.group.traits.isDumpable = arguments.1.bits == 1
      return .zero
    case 7: return .value(task.credentials.securebits & SecureBits.keepCapabilities != 0 ? 1 : 0)  // PR_GET_KEEPCAPS
    case 8:  // PR_SET_KEEPCAPS
      guard arguments.1.bits <= 1 else { throw .invalid }
      guard task.credentials.securebits & SecureBits.keepCapabilitiesLocked == 0 else { throw .notPermitted }
      task.credentials.securebits &= ~SecureBits.keepCapabilities
      if arguments.1.bits == 1 { task.credentials.securebits |= SecureBits.keepCapabilities }
      return .zero
    case 13: return .zero  // PR_GET_TIMING: PR_TIMING_STATISTICAL
    case 14:  // PR_SET_TIMING
      guard arguments.1.bits == 0 else { throw .invalid }
      return .zero
    case 15: return try setName(call, task)
    case 16:  // PR_GET_NAME
      let name = task.traits.name.prefix(15)
      try task.memory.store(name + [UInt8](repeating: 0, count: 16 - name.count), at: arguments.1.address)
      return .zero
    case 21:  // PR_GET_SECCOMP: of the guest's own
      return .value(task.traits.isStrict ? 1 : task.kernel.host.status(task).guestFilters > 0 ? 2 : 0)
    case 22:  // PR_SET_SECCOMP
      switch arguments.1.bits {
      case 1: return try GuestFilterCalls.restrict(task)
      case 2: return try GuestFilterCalls.install(arguments.2.address, flags: 0, task)
      default: throw .invalid
      }
    case 23:  // PR_CAPBSET_READ
      guard let bit = capability(arguments.1) else { throw .invalid }
      return .value(task.credentials.bounding & bit != 0 ? 1 : 0)
    case 24:  // PR_CAPBSET_DROP
      guard task.credentials.has(Capability.setCapabilities) else { throw .notPermitted }
      guard let bit = capability(arguments.1) else { throw .invalid }
      task.credentials.bounding &= ~bit
      return .zero
    case 27: return .value(Int64(task.credentials.securebits))  // PR_GET_SECUREBITS
    case 28: return try setSecureBits(arguments.1, task)
    case 29:  // PR_SET_TIMERSLACK
      task.traits.timerSlack = arguments.1.int64 <= 0 ? task.traits.defaultTimerSlack : arguments.1.bits
      return .zero
    case 30: return .value(Int64(clamping: task.traits.timerSlack))  // PR_GET_TIMERSLACK
    case 36:  // PR_SET_CHILD_SUBREAPER: the host's kernel gives orphans away, so it has to know too
      task.group.traits.isSubreaper = arguments.1.bits != 0
      return .native
    case 37:  // PR_GET_CHILD_SUBREAPER
      try task.memory.store(Int32(task.group.traits.isSubreaper ? 1 : 0), at: arguments.1.address)
      return .zero
    case 38:  // PR_SET_NO_NEW_PRIVS
      guard arguments.1.bits == 1, isZero(arguments.2, arguments.3, arguments.4) else { throw .invalid }
      task.credentials.noNewPrivileges = true
      return .zero
    case 39:  // PR_GET_NO_NEW_PRIVS
      guard isZero(arguments.1, arguments.2, arguments.3, arguments.4) else { throw .invalid }
      return .value(task.credentials.noNewPrivileges ? 1 : 0)
    case 41, 42:  // PR_SET_THP_DISABLE, PR_GET_THP_DISABLE: remembered by nobody, for pages are the host's matter
      guard isZero(arguments.2, arguments.3, arguments.4) else { throw .invalid }
      return .zero
    case 47: return try ambient(call, task)
    case 0x5961_6d61: return .zero  // PR_SET_PTRACER of the Yama module
    default: throw .invalid
    }
  }

  private static func isZero(_ words: GuestWord...) -> Bool { words.allSatisfy { $0.bits == 0 } }

  private static func capability(_ word: GuestWord) -> UInt64? {
    word.bits <= UInt64(Capability.last) ? 1 << word.bits : nil
  }

  private static func setName(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    // strncpy_from_user() reads up to 15 bytes, byte by byte as far as pages go.
    var name: [UInt8] = []
    var at = call.arguments.1.address
    while name.count < 15 {
      let piece = min(15 - name.count, 4096 - Int(at.bits & 4095))
      let bytes = try task.memory.bytes(at, count: piece)
      name += bytes.prefix { $0 != 0 }
      if bytes.contains(0) { break }
      at = at.advanced(by: piece)
    }
    task.traits.name = name
    return .zero
  }

  private static func setSecureBits(_ word: GuestWord, _ task: Task) throws(Errno) -> Outcome {
    let (old, wanted) = (task.credentials.securebits, word.uint32)
    let locked = (old & SecureBits.locks) >> 1
    guard locked & (old ^ wanted) == 0, old & SecureBits.locks & ~wanted == 0,
      wanted & ~(SecureBits.all | SecureBits.locks) == 0, word.bits >> 32 == 0,
      task.credentials.has(Capability.setCapabilities)
    else { throw .notPermitted }
    task.credentials.securebits = wanted
    return .zero
  }

  /// PR_CAP_AMBIENT.
  private static func ambient(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let arguments = call.arguments
    guard isZero(arguments.3, arguments.4) else { throw .invalid }
    if arguments.1.bits == 4 {
      guard arguments.2.bits == 0 else { throw .invalid }
      task.credentials.ambient = 0
      return .zero
    }
    guard let bit = capability(arguments.2) else { throw .invalid }
    switch arguments.1.bits {
    case 1: return .value(task.credentials.ambient & bit != 0 ? 1 : 0)
    case 2:
      let credentials = task.credentials
      guard credentials.permitted & credentials.inheritable & bit != 0,
        credentials.securebits & SecureBits.noAmbientRaise == 0
      else { throw .notPermitted }
      task.credentials.ambient |= bit
      return .zero
    case 3:
      task.credentials.ambient &= ~bit
      return .zero
    default: throw .invalid
    }
  }
}
