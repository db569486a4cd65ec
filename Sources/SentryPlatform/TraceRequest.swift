import CLinux
import Linux

/// Requests of ptrace(2) by the numbers of linux/ptrace.h, whose names do not import.
enum TraceRequest {
  static let (cont, step, attach, detach, syscall): (UInt, UInt, UInt, UInt, UInt) = (7, 9, 16, 17, 24)
  static let (emulate, emulateStep, stepBlock): (UInt, UInt, UInt) = (31, 32, 33)
  static let (setOptions, seize, interrupt, listen): (UInt, UInt, UInt, UInt) = (0x4200, 0x4206, 0x4207, 0x4208)
  static let kill: Int32 = 8
  /// PTRACE_O_TRACEEXEC.
  static let traceExec: UInt32 = 0x10

  /// PTRACE_EVENT_*.
  enum Event {
    static let (fork, vfork, clone, exec, stop): (Int32, Int32, Int32, Int32, Int32) = (1, 2, 3, 4, 128)
  }

  /// A tracer's options as the sentry sets them: it hears of calls and of programs in any case, and none outlives it (EXITKILL).
  static func hostOptions(_ options: UInt32) -> UInt32 { options | 1 | traceExec | 1 << 20 }

  /// - Returns: what the host's kernel says, -errno where it fails.
  @discardableResult
  static func ask(_ request: UInt, _ thread: Int32, _ address: UInt = 0, _ data: UInt = 0) -> Int {
    systemCall(Int(SYS_ptrace), request, word(thread), address, data)
  }

  /// PTRACE_GETEVENTMSG; nil where the thread is gone.
  static func message(_ thread: Int32) -> UInt64? {
    var message: UInt64 = 0
    // SAFETY: the request fills one word.
    let result = unsafe withUnsafeMutablePointer(to: &message) { ask(0x4201, thread, 0, UInt(bitPattern: $0)) }
    return result < 0 ? nil : message
  }

  enum CallKind { case entry, end }
  /// Whether a thread stands before its call or behind it (PTRACE_GET_SYSCALL_INFO).
  static func callKind(_ thread: Int32) -> CallKind? {
    // struct ptrace_syscall_info's first word: the kind in its lowest byte.
    var first: UInt64 = 0
    // SAFETY: the request fills no more than the eight bytes that it is told of.
    let result = unsafe withUnsafeMutablePointer(to: &first) { ask(0x420e, thread, 8, UInt(bitPattern: $0)) }
    if result < 0 { return nil }
    switch first & 0xff {
    case 1: return .entry
    case 2: return .end
    default: return nil
    }
  }

  enum Waited: Equatable {
    case nothing, gone
    case status(Int32)
  }
  /// Whether a thread has stopped or ended, with its wait status; gone where the sentry traces no such thread any more.
  static func wait(_ thread: Int32) -> Waited {
    var status: Int32 = 0
    // SAFETY: wait4 fills one word.
    let result = unsafe withUnsafeMutablePointer(to: &status) {
      systemCall(Int(SYS_wait4), word(thread), UInt(bitPattern: $0), UInt(__WALL | WNOHANG), 0)
    }
    if result == -Int(ECHILD) { return .gone }
    return result == Int(thread) ? .status(status) : .nothing
  }
}
