import CLinux

/// A set of signals as the kernel holds it: bit N-1 is signal N (signal(7)).
public struct SignalSet: Equatable, Sendable, ExpressibleByArrayLiteral {
  public var bits: UInt64
  public init(bits: UInt64 = 0) { self.bits = bits }
  public init(arrayLiteral signals: Int32...) {
    bits = 0
    for signal in signals { insert(signal) }
  }
  public mutating func insert(_ signal: Int32) { bits |= 1 << UInt64(signal - 1) }
  public func contains(_ signal: Int32) -> Bool { bits & (1 << UInt64(signal - 1)) != 0 }

  /// Blocks these signals too; the mask as it was.
  @discardableResult
  public func block() throws(SystemError) -> SignalSet { try change(SIG_BLOCK) }

  /// Makes this the whole mask; the mask as it was.
  @discardableResult
  public func setAsMask() throws(SystemError) -> SignalSet { try change(SIG_SETMASK) }

  private func change(_ how: Int32) throws(SystemError) -> SignalSet {
    var new = bits
    var old: UInt64 = 0
    // SAFETY: the kernel reads and fills eight bytes each, which is the size passed along.
    let result = unsafe withUnsafeMutablePointer(to: &new) { new in
      unsafe withUnsafeMutablePointer(to: &old) { old in
        systemCall(
          Int(SYS_rt_sigprocmask), word(how), UInt(bitPattern: new), UInt(bitPattern: old), 8)
      }
    }
    try checked("rt_sigprocmask", "", result)
    return SignalSet(bits: old)
  }

  /// A non-blocking descriptor that is readable while one of these signals, which must be blocked, is pending (signalfd(2)).
  public func descriptor() throws(SystemError) -> FileDescriptor {
    var set = bits
    // SAFETY: the kernel reads eight bytes, which is the size passed along.
    let result = unsafe withUnsafeMutablePointer(to: &set) { set in
      systemCall(Int(SYS_signalfd4), word(-1), UInt(bitPattern: set), 8, UInt(O_CLOEXEC | O_NONBLOCK))
    }
    return FileDescriptor(owning: Int32(try checked("signalfd", "", result)))
  }

  /// Takes one pending signal from a `descriptor()`; nil when there is none.
  public static func next(_ descriptor: Int32) throws(SystemError) -> Int32? {
    // struct signalfd_siginfo: 128 bytes, the number first.
    let bytes: [UInt8]
    do { bytes = try File.read(descriptor, atMost: 128) } catch  where error.errno == .again { return nil }
    guard bytes.count == 128 else { return nil }
    return Int32(bytes[0]) | Int32(bytes[1]) << 8 | Int32(bytes[2]) << 16
  }

  /// Makes this process ignore a signal, or treat it as usual again (rt_sigaction(2)).
  public static func ignore(_ signal: Int32, _ on: Bool = true) throws(SystemError) {
    // The kernel's struct: handler, flags, restorer, mask; SIG_IGN is 1, SIG_DFL 0.
    var action: (UInt, UInt, UInt, UInt) = (on ? 1 : 0, 0, 0, 0)
    // SAFETY: the kernel reads one struct of four words.
    let result = unsafe withUnsafeMutablePointer(to: &action) { action in
      systemCall(Int(SYS_rt_sigaction), word(signal), UInt(bitPattern: action), 0, 8)
    }
    try checked("rt_sigaction", "\(signal)", result)
  }

  /// For the beginning of a process. Whoever started it may have ignored SIGCHLD, which execve(2) keeps, and then no child leaves a status
  /// to be waited for (wait(2)).
  public static func keepEndsOfChildren() {
    // The kernel refuses a disposition for SIGKILL, SIGSTOP and what is no signal only.
    try? ignore(SIGCHLD, false)
  }

  /// Before another program is run: no signal is blocked, and SIGPIPE, which immure itself ignores while it relays, ends a program
  /// again. What else the caller ignored stays ignored, as it would with any program that runs another one.
  public static func letProgramHave() throws(SystemError) {
    try SignalSet().setAsMask()
    try ignore(SIGPIPE, false)
  }
}
