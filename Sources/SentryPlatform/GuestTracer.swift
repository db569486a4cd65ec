import CLinux
import Linux

/// Guests' calls by ptrace(2), where the kernel hands over no notification, or none that signals leave alone: the filter stops the thread
/// before the call (SECCOMP_RET_TRACE) and its tracer, the sentry, writes the answer into its registers. Calls that the filter allows
/// stop nobody.
final class GuestTracer {
  /// A thread that stands before its call.
  private struct Held {
    let sequence: UInt32
    let registers: TracedRegisters
  }
  /// Readable where a thread has stopped (SIGCHLD).
  let descriptor: FileDescriptor
  private var held: [Int32: Held] = [:]
  private var arrived: [Notification] = []
  /// Threads that job control has stopped.
  private(set) var stopped: Set<Int32> = []
  private var sequence: UInt32 = 0
  let passage: GuestPassage
  /// The first of the guests' processes, whose start is the stub's and nobody else's.
  private(set) var keeper: Int32 = 0

  init() throws(SystemError) {
    let child: SignalSet = [SIGCHLD]
    try child.block()
    descriptor = try child.descriptor()
    passage = try GuestPassage()
  }

  func seize(keeper: Int32) throws(SystemError) {
    try Tracing.seize(keeper)
    self.keeper = keeper
  }

  /// Whether calls are there that `next` gives without asking the kernel.
  var hasMore: Bool { !arrived.isEmpty }

  func next() -> Notification? {
    if arrived.isEmpty { collect() }
    return arrived.isEmpty ? nil : arrived.removeFirst()
  }

  /// Takes in every stop there is, and every end: a process that ended is its parent's to wait for only after that.
  func collect() {
    // One signal may stand for many stops.
    do throws(SystemError) { while try SignalSet.next(descriptor.rawValue) != nil {} } catch {}
    while let (thread, stop) = Tracing.next() {
      stopped.remove(thread)
      switch stop {
      case .asked: arrive(thread)
      case .signal(let signal): Tracing.resume(thread, signal: signal)
      case .group:
        stopped.insert(thread)
        Tracing.listen(thread)
      case .event, .call: Tracing.resume(thread)
      case .ended: forget(thread)
      }
    }
  }

  private func arrive(_ thread: Int32) {
    // Another thread of its process has executed a program and has its number now.
    forget(thread)
    guard let registers = Tracing.registers(thread) else { return }
    sequence &+= 1
    held[thread] = Held(sequence: sequence, registers: registers)
    var notification = Notification()
    notification.id = UInt64(sequence) << 32 | UInt64(UInt32(bitPattern: thread))
    notification.thread = thread
    notification.number = Int32(truncatingIfNeeded: registers.call)
    notification.architecture = StubFilter.architecture
    notification.instructionPointer = registers.instruction
    notification.arguments = registers.arguments
    arrived.append(notification)
  }

  private func forget(_ thread: Int32) {
    guard held.removeValue(forKey: thread) != nil else { return }
    arrived.removeAll { $0.thread == thread }
  }

  /// The thread that stands before the call of this name, and its registers; nil where it is gone.
  private func holder(_ id: UInt64) -> (thread: Int32, registers: TracedRegisters)? {
    let thread = Int32(truncatingIfNeeded: id)
    guard let held = held[thread], held.sequence == UInt32(truncatingIfNeeded: id >> 32) else { return nil }
    return (thread, held.registers)
  }

  func answer(_ id: UInt64, value: Int64, error: Int32) {
    if let thread = prepareAnswer(id, value: value, error: error) { Tracing.resume(thread) }
  }

  /// The answer is in the registers of the thread, which still stands.
  func prepareAnswer(_ id: UInt64, value: Int64, error: Int32) -> Int32? {
    guard let (thread, found) = holder(id) else { return nil }
    var registers = found
    held[thread] = nil
    if (-516 ... -512).contains(error) {
      // ERESTARTSYS and its kin: once the signal that is there has been seen to, the thread makes the call again.
      registers.rax = registers.call
      registers.instruction &-= 2
    } else {
      registers.rax = UInt64(bitPattern: error < 0 ? Int64(error) : value)
    }
    registers.call = .max
    Tracing.set(registers, of: thread)
    return thread
  }

  func proceed(_ id: UInt64) {
    guard let (thread, found) = holder(id) else { return }
    var registers = found
    held[thread] = nil
    switch Int(registers.call) {
    case Int(SYS_clone):
      // CLONE_UNTRACED: nobody would ask for the child's calls.
      registers.rdi &= ~0x80_0000
      Tracing.set(registers, of: thread)
    case Int(IMMURE_SYS_close_range) where thread == keeper:
      // All but what descriptors come through.
      registers.rsi = UInt64(passage.number - 1)
      Tracing.set(registers, of: thread)
    default: break
    }
    Tracing.resume(thread)
  }

  /// Puts an open file into the table of the thread, close-on-exec; then it stands before its call as it did.
  /// - Parameter number: nil takes the lowest free one.
  /// - Returns: the number that it has there.
  func inject(_ file: Int32, as number: Int32?, during id: UInt64) throws(Errno) -> Int32 {
    guard let (thread, registers) = holder(id) else { throw .noProcess }
    if let number, number >= passage.number { throw .tooManyFiles }
    return try passage.give(file, as: number, to: TracedThread(thread, registers))
  }
}
