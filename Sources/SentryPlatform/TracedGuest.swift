import CLinux
import Linux
import SentryABI
import SentryMemory
import SentryTasks

/// A tracee as the sentry holds it on the host.
final class TracedGuest {
  enum Phase {
    /// Until the stop that ATTACH brings; one that asked to be traced does not stop for that.
    case begins(reports: Bool)
    case runs
    /// The stub loads the program that the thread has executed.
    case loads
    /// To be let go at the next stop.
    case leaves
  }
  let tracee: Tracee
  var thread: Int32
  var phase: Phase
  /// Its tracer is there.
  var isTraced = true
  /// How it was last told to go on.
  var last = TraceRequest.cont
  /// Stops to tell of before it goes on.
  var upcoming: [Tracee.MadeStop] = []
  private var mask: UInt64?
  private var isHeld = false
  private var seals = 0
  private var steps = 0

  init(_ tracee: Tracee, thread: Int32, _ phase: Phase) {
    self.tracee = tracee
    self.thread = thread
    self.phase = phase
  }

  func go(signal: Int32 = 0) { _ = TraceRequest.ask(last, thread, 0, UInt(signal)) }

  @discardableResult
  func setOptions() -> Bool {
    TraceRequest.ask(TraceRequest.setOptions, thread, 0, UInt(TraceRequest.hostOptions(tracee.options))) >= 0
  }

  // MARK: - Loading

  /// Stands where the host has executed the stub. No handler may run before there is a program.
  func beginLoading() {
    phase = .loads
    (seals, steps, isHeld) = (0, 0, false)
    mask = Tracing.exchangeMask(thread, .max)
    _ = TraceRequest.ask(TraceRequest.syscall, thread)
  }

  /// The stub's last call seals it (mseal(2)); a few steps further stands the program.
  /// - Returns: whether it is loaded.
  func load(event: Int32, signal: Int32) -> Bool {
    if event != 0 {
      _ = TraceRequest.ask(steps > 0 ? TraceRequest.step : TraceRequest.syscall, thread)
      return false
    }
    switch signal {
    case SIGTRAP | 0x80:
      guard let registers = Tracing.registers(thread) else { return false }
      if registers.call == 462, StubProgram.holds(registers.instruction) { seals += 1 }
      // Before the call and behind it.
      if seals == 2 { steps = 1 }
      _ = TraceRequest.ask(seals == 2 ? TraceRequest.step : TraceRequest.syscall, thread)
      return false
    case SIGTRAP where steps > 0:
      guard var registers = Tracing.registers(thread) else { return false }
      if StubProgram.holds(registers.instruction) {
        steps += 1
        _ = TraceRequest.ask(TraceRequest.step, thread)
        return false
      }
      // As execve(2) leaves them.
      (registers.call, registers.rax) = (59, 0)
      Tracing.set(registers, of: thread)
      if let mask { _ = Tracing.exchangeMask(thread, mask) }
      if isHeld { _ = systemCall(Int(SYS_tgkill), word(tracee.task.group.hostID), word(thread), UInt(SIGSTOP)) }
      phase = .runs
      return true
    case SIGSTOP:
      // Nobody blocks it: it comes once there is a program.
      isHeld = true
      _ = TraceRequest.ask(steps > 0 ? TraceRequest.step : TraceRequest.syscall, thread)
      return false
    default:
      _ = TraceRequest.ask(steps > 0 ? TraceRequest.step : TraceRequest.syscall, thread, 0, UInt(signal))
      return false
    }
  }

  // MARK: - Requests about a stopped thread

  /// - Throws: EIO for what is not there, EFAULT for the tracer's bad pointers, what the host says.
  func answer(_ number: Int32, _ address: UInt64, _ data: UInt64, _ stop: Tracee.Stop, _ memory: GuestMemory)
    throws(Errno) -> Int64
  {
    let place = GuestAddress(data)
    switch number {
    case 1, 2, 3:  // PEEKTEXT, PEEKDATA, PEEKUSER: eight bytes
      try memory.store(try filled(number, address, 8).bytes, at: place)
    case 4, 5, 6:  // POKETEXT, POKEDATA, POKEUSER
      try checked(TraceRequest.ask(UInt(number), thread, UInt(address), UInt(data)))
    case 12: try memory.store(try filled(number, 0, 216).bytes, at: place)  // GETREGS
    case 14: try memory.store(try filled(number, 0, 512).bytes, at: place)  // GETFPREGS
    case 13: try give(number, 0, try memory.bytes(place, count: 216))  // SETREGS
    case 15: try give(number, 0, try memory.bytes(place, count: 512))  // SETFPREGS
    case 0x4204, 0x4205: try registers(number, address, place, memory)
    case 0x4200:  // SETOPTIONS
      guard data & ~0x3000ff == 0 else { throw .invalid }
      if data & 1 << 21 != 0 { throw .notPermitted }
      tracee.options = UInt32(truncatingIfNeeded: data)
      setOptions()
    case 0x4201: try memory.store(stop.message, at: place)  // GETEVENTMSG
    case 0x4202: try memory.store(try signalInfo(stop), at: place)
    case 0x4203: try give(number, 0, try memory.bytes(place, count: 128))  // SETSIGINFO
    case 0x420a:  // GETSIGMASK
      guard address == 8 else { throw .invalid }
      try memory.store(try filled(number, 8, 8).bytes, at: place)
    case 0x420b:  // SETSIGMASK
      guard address == 8 else { throw .invalid }
      try give(number, 8, try memory.bytes(place, count: 8))
    case 0x420c: throw .notPermitted  // SECCOMP_GET_FILTER
    case 0x420e:  // GET_SYSCALL_INFO
      let (bytes, size) = try callInfo(stop)
      try memory.store(Array(bytes.prefix(Int(clamping: address))), at: place)
      return size
    case 0x420f:  // GET_RSEQ_CONFIGURATION
      guard address == 24 else { throw .invalid }
      try memory.store(try filled(number, 24, 24).bytes, at: place)
      return 24
    default: throw .inputOutput
    }
    return 0
  }

  /// struct iovec of a register set (NT_PRSTATUS and so on): at most what any set of a processor takes.
  private func registers(_ number: Int32, _ kind: UInt64, _ place: GuestAddress, _ memory: GuestMemory) throws(Errno) {
    let vector = try memory.bytes(place, count: 16)
    let (base, wanted) = (GuestAddress(vector.little64(0)), vector.little64(8))
    let size = Int(min(wanted, 16 << 10))
    var bytes =
      number == 0x4205
      ? try memory.bytes(base, count: size) : [UInt8](repeating: 0, count: size)
    var count = UInt64(size)
    // SAFETY: the host's kernel reads or fills at most `size` bytes of the array, which lives across the call.
    let result = unsafe bytes.withUnsafeMutableBytes { bytes in
      var pair = unsafe iovec(iov_base: bytes.baseAddress, iov_len: size)
      let result = unsafe withUnsafeMutablePointer(to: &pair) {
        TraceRequest.ask(UInt(number), thread, UInt(kind), UInt(bitPattern: $0))
      }
      count = unsafe UInt64(min(pair.iov_len, size))
      return result
    }
    try checked(result)
    if number == 0x4204 { try memory.store(Array(bytes.prefix(Int(count))), at: base) }
    try memory.store(count, at: place.advanced(by: 8))
  }

  private func signalInfo(_ stop: Tracee.Stop) throws(Errno) -> [UInt8] {
    guard let made = stop.made else { return try filled(0x4202, 0, 128).bytes }
    let code: Int32 =
      switch made {
      case .executed: TraceRequest.Event.exec << 8 | SIGTRAP
      case .callEnd: SIGTRAP | 0x80
      case .trap: 0
      }
    var bytes: [UInt8] = []
    for word in [SIGTRAP, 0, code, 0, tracee.id] { bytes.append(little: UInt32(bitPattern: word)) }
    bytes.append(little: tracee.task.credentials.user)
    return bytes + [UInt8](repeating: 0, count: 128 - bytes.count)
  }

  /// struct ptrace_syscall_info (linux/ptrace.h), 88 bytes, and how many of them say something.
  private func callInfo(_ stop: Tracee.Stop) throws(Errno) -> ([UInt8], Int64) {
    var (bytes, size) = try filled(0x420e, 88, 88)
    guard let made = stop.made else { return (bytes, Int64(size)) }
    // PTRACE_SYSCALL_INFO_NONE 0, and EXIT 2 with a result of 0 that is no error.
    bytes[0] = made == .callEnd ? 2 : 0
    for index in 24..<88 { bytes[index] = 0 }
    size = made == .callEnd ? 33 : 24
    return (bytes, Int64(size))
  }

  /// What the host's kernel fills.
  private func filled(_ number: Int32, _ address: UInt64, _ count: Int) throws(Errno) -> (bytes: [UInt8], result: Int) {
    var bytes = [UInt8](repeating: 0, count: count)
    // SAFETY: the request fills `count` bytes at most, which the array has across the call.
    let result = unsafe bytes.withUnsafeMutableBytes {
      TraceRequest.ask(UInt(number), thread, UInt(address), UInt(bitPattern: $0.baseAddress))
    }
    try checked(result)
    return (bytes, result)
  }

  private func give(_ number: Int32, _ address: UInt64, _ bytes: [UInt8]) throws(Errno) {
    // SAFETY: the request reads as many bytes as the caller took for it.
    try checked(
      unsafe bytes.span.withUnsafeBytes {
        TraceRequest.ask(UInt(number), thread, UInt(address), UInt(bitPattern: $0.baseAddress))
      })
  }

  private func checked(_ result: Int) throws(Errno) {
    if result < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
  }
}
