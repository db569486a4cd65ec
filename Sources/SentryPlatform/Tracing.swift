import CLinux
import Linux

/// The registers of a thread that stopped (`struct user_regs_struct`, sys/user.h), in the kernel's order.
struct TracedRegisters: BitwiseCopyable {
  var (r15, r14, r13, r12, rbp, rbx): (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0)
  var (r11, r10, r9, r8): (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
  /// The result, and what a call's number is put into.
  var rax: UInt64 = 0
  var (rcx, rdx, rsi, rdi): (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
  /// The call's number; -1 for no call.
  var call: UInt64 = 0
  /// Behind the `syscall` instruction, of two bytes.
  var instruction: UInt64 = 0
  var (cs, flags): (UInt64, UInt64) = (0, 0)
  var stack: UInt64 = 0
  var (ss, fsBase, gsBase): (UInt64, UInt64, UInt64) = (0, 0, 0)
  var (ds, es, fs, gs): (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  /// In a call's order.
  var arguments: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) {
    get { (rdi, rsi, rdx, r10, r8, r9) }
    set { (rdi, rsi, rdx, r10, r8, r9) = newValue }
  }
}

/// ptrace(2) of a thread that the sentry has seized. It may be killed at any moment: calls then fail, and wait4(2) tells its end.
enum Tracing {
  // linux/ptrace.h; the names do not import.
  private static let (cont, getRegisters, setRegisters, syscall): (UInt, UInt, UInt, UInt) = (7, 12, 13, 24)
  private static let (seizeRequest, listenRequest, getMask, setMask): (UInt, UInt, UInt, UInt) =
    (0x4206, 0x4208, 0x420a, 0x420b)
  /// SYSGOOD, FORK, VFORK, CLONE, SECCOMP, EXITKILL: every child and thread is followed, and none outlives the sentry.
  private static let options: UInt = 1 | 2 | 4 | 8 | 0x80 | 1 << 20

  static func seize(_ thread: Int32) throws(SystemError) {
    try checked("ptrace(SEIZE)", "\(thread)", systemCall(Int(SYS_ptrace), seizeRequest, word(thread), 0, options))
  }

  /// Goes on, delivering a signal; at the end of the call that it is in it stops again where `untilCall` says so.
  static func resume(_ thread: Int32, signal: Int32 = 0, untilCall: Bool = false) {
    _ = systemCall(Int(SYS_ptrace), untilCall ? syscall : cont, word(thread), 0, word(signal))
  }

  /// Leaves a thread in its group-stop until SIGCONT ends it.
  static func listen(_ thread: Int32) { _ = systemCall(Int(SYS_ptrace), listenRequest, word(thread), 0, 0) }

  /// Nil where the thread is gone.
  static func registers(_ thread: Int32) -> TracedRegisters? {
    var registers = TracedRegisters()
    // SAFETY: the kernel fills the struct's 216 bytes.
    let result = unsafe withUnsafeMutablePointer(to: &registers) {
      systemCall(Int(SYS_ptrace), getRegisters, word(thread), 0, UInt(bitPattern: $0))
    }
    return result < 0 ? nil : registers
  }

  @discardableResult
  static func set(_ registers: TracedRegisters, of thread: Int32) -> Bool {
    var registers = registers
    // SAFETY: the kernel reads the struct's 216 bytes.
    return unsafe withUnsafeMutablePointer(to: &registers) {
      systemCall(Int(SYS_ptrace), setRegisters, word(thread), 0, UInt(bitPattern: $0))
    } >= 0
  }

  /// Gives the thread another signal mask.
  /// - Returns: the one that it had; nil where the thread is gone.
  static func exchangeMask(_ thread: Int32, _ mask: UInt64) -> UInt64? {
    var (old, new) = (UInt64(0), mask)
    // SAFETY: each is the eight bytes that the request fills or reads.
    let result = unsafe withUnsafeMutablePointer(to: &old) { old in
      unsafe withUnsafeMutablePointer(to: &new) { new in
        if systemCall(Int(SYS_ptrace), getMask, word(thread), 8, UInt(bitPattern: old)) < 0 { return -1 }
        return systemCall(Int(SYS_ptrace), setMask, word(thread), 8, UInt(bitPattern: new))
      }
    }
    return result < 0 ? nil : old
  }

  /// How a thread stands, as wait4(2) tells.
  enum Stop: Equatable {
    /// Before a call that the filter asks about.
    case asked
    /// At the beginning or the end of a call, where it was told to stop there.
    case call
    /// Before a signal is delivered.
    case signal(Int32)
    /// With all of its process.
    case group
    /// At its own beginning, or where it has made a child.
    case event
    case ended

    init(status: Int32) {
      guard status & 0xff == 0x7f else {
        self = .ended
        return
      }
      let signal = status >> 8 & 0xff
      switch status >> 16 {
      case 7: self = .asked
      case 128: self = [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU].contains(signal) ? .group : .event
      case 0: self = signal == SIGTRAP | 0x80 ? .call : .signal(signal)
      default: self = .event
      }
    }
  }

  /// One thread's next stop, of any where `thread` is -1.
  /// - Returns: nil where none has stopped.
  static func next(_ thread: Int32 = -1) -> (thread: Int32, stop: Stop)? {
    while true {
      var status: Int32 = 0
      // SAFETY: wait4 fills one word.
      let result = unsafe withUnsafeMutablePointer(to: &status) {
        systemCall(Int(SYS_wait4), word(thread), UInt(bitPattern: $0), UInt(__WALL | WNOHANG), 0)
      }
      if result == -Int(EINTR) { continue }
      return result > 0 ? (Int32(truncatingIfNeeded: result), Stop(status: status)) : nil
    }
  }
}
