import CLinux
import Linux

/// ptrace(2), as a tracer uses it that has seized its tracees (PTRACE_SEIZE): no stray SIGSTOP, and group-stops that can be told
/// from signals. A tracee may be killed at any moment: calls say so by false or nil, and its end is then waited for.
enum Ptrace {
  // linux/ptrace.h; the names do not import.
  private static let (cont, syscall): (UInt, UInt) = (7, 24)
  private static let (getEventMessage, seizeRequest, listenRequest): (UInt, UInt, UInt) = (0x4201, 0x4206, 0x4208)
  private static let getSyscallInfo: UInt = 0x420e

  /// SYSGOOD, FORK, VFORK, CLONE, EXEC, EXIT, EXITKILL: every child and thread is followed, and none outlives a killed tracer unseen.
  private static let options: UInt = 1 | 2 | 4 | 8 | 0x10 | 0x40 | 1 << 20

  /// What a stop with an event tells (`status >> 16`).
  enum Event: Int32 {
    case fork = 1
    case vfork = 2
    case clone = 3
    case exec = 4
    case exit = 6
    /// A group-stop, a new tracee's first stop, or the end of a group-stop.
    case stop = 128
  }

  static func seize(_ pid: Int32) throws(SystemError) {
    try checked("ptrace(SEIZE)", "\(pid)", systemCall(Int(SYS_ptrace), seizeRequest, word(pid), 0, options))
  }

  /// Goes on to the next beginning or end of a system call, delivering a signal.
  static func resume(_ pid: Int32, signal: Int32 = 0) {
    // ESRCH: it was killed meanwhile, which wait4 will tell.
    _ = systemCall(Int(SYS_ptrace), syscall, word(pid), 0, word(signal))
  }

  /// Goes on without a stop at calls.
  static func resumeUntraced(_ pid: Int32, signal: Int32 = 0) {
    _ = systemCall(Int(SYS_ptrace), cont, word(pid), 0, word(signal))
  }

  /// Leaves a tracee in its group-stop until SIGCONT ends it.
  static func listen(_ pid: Int32) { _ = systemCall(Int(SYS_ptrace), listenRequest, word(pid), 0, 0) }

  /// The new task of a fork event, the former thread of an exec event.
  static func message(_ pid: Int32) -> Int32? {
    var message: UInt = 0
    // SAFETY: the kernel fills one word, which lives across the call.
    let result = unsafe withUnsafeMutablePointer(to: &message) { pointer in
      systemCall(Int(SYS_ptrace), getEventMessage, word(pid), 0, UInt(bitPattern: pointer))
    }
    return result < 0 ? nil : Int32(truncatingIfNeeded: message)
  }

  /// What a tracee stopped at: the beginning of a call or its end.
  enum CallStop {
    case entry(token: UInt32, number: UInt64, arguments: CallArguments)
    /// -errno where it failed.
    case exit(Int64)
  }

  /// PTRACE_GET_SYSCALL_INFO (Linux 5.3): the same on every architecture, and right for tracees of another one.
  static func callStop(_ pid: Int32) -> CallStop? {
    var info: RawInfo = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    // SAFETY: the kernel fills at most as many bytes as it is told, which is the tuple's size.
    let result = unsafe withUnsafeMutablePointer(to: &info) { pointer in
      systemCall(
        Int(SYS_ptrace), getSyscallInfo, word(pid), UInt(MemoryLayout<RawInfo>.size), UInt(bitPattern: pointer))
    }
    // struct ptrace_syscall_info: op in the first byte, arch from byte 4, instruction and stack pointer, then the call.
    guard result >= 33 else { return nil }
    switch info.0 & 0xff {
    case 1 where result >= 80:
      return .entry(
        token: UInt32(truncatingIfNeeded: info.0 >> 32), number: info.3,
        arguments: CallArguments(info.4, info.5, info.6, info.7, info.8, info.9))
    case 2: return .exit(Int64(bitPattern: info.3))
    default: return nil
    }
  }

  private typealias RawInfo = (
    UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64
  )
}

/// The six arguments of a call.
struct CallArguments {
  private var values: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

  init(_ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0, _ d: UInt64 = 0, _ e: UInt64 = 0, _ f: UInt64 = 0) {
    values = (a, b, c, d, e, f)
  }

  subscript(_ index: Int) -> UInt64 {
    switch index {
    case 0: values.0
    case 1: values.1
    case 2: values.2
    case 3: values.3
    case 4: values.4
    default: values.5
    }
  }

  /// As an `int` parameter: the kernel looks at the low half only.
  func int(_ index: Int) -> Int32 { Int32(truncatingIfNeeded: self[index]) }
}
