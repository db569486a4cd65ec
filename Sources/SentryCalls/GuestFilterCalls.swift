import Linux
import SentryABI
import SentryMemory
import SentryTasks

/// Guests' own filters (seccomp(2)): installed in the host's kernel above the sandbox's, so that they see every call of their guest's,
/// whoever performs it, and their answers (errors, SIGSYS with its frame, ends) are the kernel's own. They can only take away. What is
/// put in front of a filter lets the program behind every name load itself (`HostThreads.filterPrologue`).
enum GuestFilterCalls {
  static let rows: [CallRow] = [
    CallRow(
      317, "seccomp",
      .part(
        "SECCOMP_FILTER_FLAG_NEW_LISTENER: EBUSY; SECCOMP_GET_NOTIF_SIZES: EINVAL; SECCOMP_RET_TRACE: ENOSYS, tracer or not; SECCOMP_MODE_STRICT sees served calls only"
      )
    ) {
      (call, task) throws(Errno) in
      let flags = call.arguments.1
      switch call.arguments.0.uint32 {
      case 0:
        guard flags.uint32 == 0, call.arguments.2.address.isNull else { throw .invalid }
        return try restrict(task)
      case 1: return try install(call.arguments.2.address, flags: flags.uint32, task)
      case 2:
        guard flags.uint32 == 0 else { throw .invalid }
        let action: UInt32 = try task.memory.load(call.arguments.2.address)
        guard actions.contains(action) else { throw .notSupported }
        return .zero
      default: throw .invalid
      }
    }
  ]

  /// SECCOMP_RET_KILL_PROCESS, KILL_THREAD, TRAP, ERRNO, TRACE, LOG, ALLOW.
  private static let actions: [UInt32] = [
    0x8000_0000, 0, 0x0003_0000, 0x0005_0000, 0x7ff0_0000, 0x7ffc_0000, 0x7fff_0000,
  ]

  private enum Flag {
    static let allThreads: UInt32 = 1
    static let listener: UInt32 = 8
    static let waitsKillably: UInt32 = 32
    static let all: UInt32 = 63
  }

  /// SECCOMP_MODE_STRICT: read, write, exit and rt_sigreturn are left.
  static func restrict(_ task: Task) throws(Errno) -> Outcome {
    task.traits.isStrict = true
    task.group.answers.giveWayToFilter()
    return .zero
  }

  /// SECCOMP_SET_MODE_FILTER (seccomp_prepare_filter, kernel/seccomp.c).
  static func install(_ address: GuestAddress, flags: UInt32, _ task: Task) throws(Errno) -> Outcome {
    guard !task.traits.isStrict, flags & ~Flag.all == 0 else { throw .invalid }
    if flags & (Flag.listener | Flag.waitsKillably) == Flag.waitsKillably { throw .invalid }
    // struct sock_fprog: a length and a pointer.
    let header = try task.memory.bytes(address, count: 16)
    let (count, longest) = (Int(header.little16(0)), 4096)
    guard count > 0, count <= longest else { throw .invalid }
    guard task.credentials.noNewPrivileges || task.credentials.has(Capability.administer) else { throw .accessDenied }
    let program = try task.memory.bytes(GuestAddress(header.little64(8)), count: 8 * count)
    // The sandbox's own has one already, as the kernel would say.
    if flags & Flag.listener != 0 { throw .busy }
    task.group.answers.giveWayToFilter()
    // The others have its promise with its filter (seccomp_sync_threads, kernel/seccomp.c): none of them executes a set-id program under it.
    if flags & Flag.allThreads != 0, task.credentials.noNewPrivileges {
      for other in task.group.tasks + task.kernel.host.expected where other.group === task.group {
        other.credentials.noNewPrivileges = true
      }
    }
    try lend(task.kernel.host.filterPrologue, before: program, at: address, task)
    return .native
  }

  /// Without a tracer or a listener of its own the kernel answers such calls with ENOSYS; the sandbox's own notification would come before that.
  private static func untraced(_ program: [UInt8]) -> [UInt8] {
    var program = program
    let (returns, notify, trace, error): (UInt16, UInt32, UInt32, UInt32) = (6, 0x7fc0_0000, 0x7ff0_0000, 0x0005_0026)
    for at in stride(from: 0, to: program.count, by: 8) where program.little16(at) == returns {
      let action = program.little32(at + 4) & 0xffff_0000
      guard action == notify || action == trace else { continue }
      for shift in 0..<4 { program[at + 4 + shift] = UInt8(truncatingIfNeeded: error >> UInt32(8 * shift)) }
    }
    return program
  }

  /// The kernel reads a filter from its caller's memory: the longer one is put below the caller's stack, where nothing of it is while it is in
  /// the call, and named in the caller's structure until its next call. What a sibling makes of it meanwhile is that process's own filter.
  private static func lend(_ prologue: [UInt8], before program: [UInt8], at address: GuestAddress, _ task: Task)
    throws(Errno)
  {
    let whole = prologue + untraced(program)
    guard whole.count / 8 <= 4096 else { throw .noMemory }
    let (redZone, alignment) = (UInt64(128), UInt64(15))
    guard let stack = task.kernel.host.stackPointer(of: task) else { throw .noMemory }
    let place = GuestAddress((stack &- redZone &- UInt64(whole.count)) & ~alignment)
    do throws(Errno) { try task.memory.store(whole, at: place) } catch { throw .noMemory }
    try task.borrow([UInt64(whole.count / 8), place.bits], at: address)
  }
}

extension CallTable {
  /// What SECCOMP_MODE_STRICT leaves: read, write, rt_sigreturn and exit.
  public static func isForbiddenStrictly(_ number: Int32) -> Bool {
    number != 0 && number != 1 && number != 15 && number != 60
  }
}
