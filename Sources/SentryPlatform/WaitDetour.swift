import CLinux
import Linux
import SentryABI
import SentryMemory
import SentryTasks
import SentryWait

/// The way that wait4(2) and waitid(2) of a thread go that traces others. Under `native-harmless` the host's kernel performs them unasked, and
/// there the thread has no tracees. So the sentry has seized it: each of these calls is made into one that comes to the sentry; where
/// nothing is to be told of tracees, the thread asks the host without waiting, and where that has nothing either, it sleeps with the sentry.
final class WaitDetour {
  private let tracer: Task
  var thread: Int32
  var process: Int32 { tracer.group.hostID }
  /// The sentry has nothing to tell: at the call's end the host is asked.
  var asksHost = false
  /// A call made for that, by the stack pointer that it has: handlers may run before it, and make calls of their own.
  private var asks: [UInt64: Ask] = [:]
  private struct Ask {
    let call: UInt64
    let instruction: UInt64
    /// The caller's own, which were changed.
    let flags: UInt64
  }
  /// Of handlers within handlers; those that were left by longjmp(3) are forgotten together.
  private static let mostAsks = 16
  /// Children that had ended when the host was asked last, and had nothing.
  private var asked: UInt64?
  /// Nanoseconds until the host is asked again of its own accord.
  private var patience = leastPatience
  private static let leastPatience: UInt64 = 50_000
  private static let mostPatience: UInt64 = 50_000_000

  init(_ tracer: Task) {
    self.tracer = tracer
    thread = tracer.hostID
  }

  /// Whether the host has nothing to tell either.
  var mayPark: Bool { asked == tracer.group.endedChildren }

  /// Children that nobody traces stop and go on without a word to the sentry: the host is asked, at longer and longer intervals.
  func askAgain() {
    let kernel = tracer.kernel
    _ = kernel.deadlines.add(Reminder(self), at: kernel.now &+ patience)
    patience = min(patience &* 2, Self.mostPatience)
  }

  private final class Reminder: Waiter {
    private weak var detour: WaitDetour?
    init(_ detour: WaitDetour) { self.detour = detour }
    override func wake(_ events: PollEvents) {
      guard let detour else { return }
      detour.asked = nil
      detour.tracer.group.traceEvents.wake()
    }
  }

  /// - Returns: false where the thread is gone.
  func stopped(_ status: Int32) -> Bool {
    guard status & 0xff == 0x7f else { return false }
    let (signal, event) = (status >> 8 & 0xff, status >> 16)
    switch event {
    case 0 where signal == SIGTRAP | 0x80: call()
    case 0: _ = TraceRequest.ask(TraceRequest.syscall, thread, 0, UInt(signal))
    case TraceRequest.Event.stop where signal != SIGTRAP: Tracing.listen(thread)
    default: _ = TraceRequest.ask(TraceRequest.syscall, thread)
    }
    return true
  }

  private func call() {
    defer { _ = TraceRequest.ask(TraceRequest.syscall, thread) }
    guard let kind = TraceRequest.callKind(thread), var registers = Tracing.registers(thread) else { return }
    let ask = asks[registers.stack].flatMap {
      $0.call == registers.call && $0.instruction == registers.instruction ? $0 : nil
    }
    if kind == .entry {
      if ask != nil { return }
      switch Int32(truncatingIfNeeded: registers.call) {
      case StubCall.waitsForTracee, StubCall.waitsForTraceeByID: return
      case Int32(SYS_wait4): registers.call = UInt64(StubCall.waitsForTracee)
      case Int32(SYS_waitid) where registers.rdi != 3: registers.call = UInt64(StubCall.waitsForTraceeByID)
      default: return
      }
      (asked, patience) = (nil, Self.leastPatience)
      Tracing.set(registers, of: thread)
    } else if let ask {
      asks[registers.stack] = nil
      answered(&registers, ask.flags)
      Tracing.set(registers, of: thread)
    } else if asksHost {
      asksHost = false
      askHost(&registers)
      Tracing.set(registers, of: thread)
    }
  }

  /// Behind the sentry's answer: the host's call with WNOHANG, from the same place.
  private func askHost(_ registers: inout TracedRegisters) {
    let isByID = registers.call == UInt64(StubCall.waitsForTraceeByID)
    registers.rax = UInt64(isByID ? SYS_waitid : SYS_wait4)
    if asks.count >= Self.mostAsks { asks = [:] }
    asks[registers.stack] = Ask(
      call: registers.rax, instruction: registers.instruction, flags: isByID ? registers.r10 : registers.rdx)
    if isByID { registers.r10 |= UInt64(WNOHANG) } else { registers.rdx |= UInt64(WNOHANG) }
    registers.call = .max
    registers.instruction &-= 2
    asked = tracer.group.endedChildren
  }

  private func answered(_ registers: inout TracedRegisters, _ flags: UInt64) {
    let isByID = registers.call == UInt64(SYS_waitid)
    if isByID { registers.r10 = flags } else { registers.rdx = flags }
    let result = Int64(bitPattern: registers.rax)
    let hasNothing = result == 0 && (!isByID || hasNobody(registers.rsi))
    let hasTracees = !tracer.group.tracees.isEmpty
    // Threads that are traced and no children are children to wait(2).
    guard hasNothing || result == -Int64(ECHILD) && hasTracees else { return }
    if flags & UInt64(WNOHANG) != 0 {
      registers.rax = 0
      return
    }
    registers.rax = UInt64(isByID ? StubCall.waitsForTraceeByID : StubCall.waitsForTracee)
    registers.call = .max
    registers.instruction &-= 2
  }

  /// Whether waitid(2) has filled a siginfo_t of nobody.
  private func hasNobody(_ information: UInt64) -> Bool {
    if information == 0 { return true }
    do throws(Errno) {
      return try tracer.memory.load(GuestAddress(information).advanced(by: 12), as: Int32.self) == 0
    } catch { return false }
  }
}

/// What a tracer waits for.
struct TraceeWait {
  private let call: Call
  private let isByID: Bool
  init(_ call: Call, byID: Bool) {
    self.call = call
    isByID = byID
  }

  private var flags: UInt32 { isByID ? call.arguments.3.uint32 : call.arguments.2.uint32 }
  /// __WNOTHREAD, WNOWAIT, WSTOPPED, WEXITED.
  private static let (ownThread, stays): (UInt32, UInt32) = (0x2000_0000, 0x0100_0000)
  private static let (stops, ends): (UInt32, UInt32) = (2, 4)

  /// WUNTRACED, which is WSTOPPED, or WCONTINUED: children's stops are asked for, traced or not.
  var isForStops: Bool { flags & 0xa != 0 }

  private func concerns(_ tracee: Tracee, _ caller: Task) -> Bool {
    if flags & Self.ownThread != 0, tracee.tracer !== caller { return false }
    let group = tracee.task.group.processGroup
    if isByID {
      let id = call.arguments.1.int32
      switch call.arguments.0.int32 {
      case 0: return true
      case 1: return tracee.id == id
      case 2: return group == (id == 0 ? caller.group.processGroup : id)
      default: return false
      }
    }
    switch call.arguments.0.int32 {
    case -1: return true
    case 0: return group == caller.group.processGroup
    case let id where id > 0: return tracee.id == id
    case let id: return group == 0 &- id
    }
  }

  /// Tells of a stop or end that nobody has heard of.
  /// - Returns: nil where there is none.
  func find(_ caller: Task) throws(Errno) -> Outcome? {
    for tracee in caller.group.tracees where concerns(tracee, caller) {
      guard let stop = tracee.stop, !stop.isTold else { continue }
      if isByID, flags & (stop.isEnd ? Self.ends : Self.stops) == 0 { continue }
      let usage = ResourceUsage(of: tracee.task.group).bytes
      let usageAt = isByID ? call.arguments.4.address : call.arguments.3.address
      if isByID {
        let place = call.arguments.2.address
        if !place.isNull { try caller.memory.store(information(tracee, stop), at: place) }
      } else if !call.arguments.1.address.isNull {
        try caller.memory.store(stop.status, at: call.arguments.1.address)
      }
      if !usageAt.isNull { try caller.memory.store(usage, at: usageAt) }
      if !isByID || flags & Self.stays == 0 {
        if stop.isEnd { tracee.release() } else { tracee.stop?.isTold = true }
      }
      return .value(isByID ? 0 : Int64(tracee.id))
    }
    return nil
  }

  /// siginfo_t of SIGCHLD: CLD_TRAPPED for a stop, CLD_EXITED, CLD_KILLED or CLD_DUMPED for an end.
  private func information(_ tracee: Tracee, _ stop: Tracee.Stop) -> [UInt8] {
    let (code, status): (Int32, Int32) =
      if !stop.isEnd {
        (4, stop.status >> 8)
      } else if stop.status & 0x7f == 0 {
        (1, stop.status >> 8 & 0xff)
      } else {
        (stop.status & 0x80 != 0 ? 3 : 2, stop.status & 0x7f)
      }
    var bytes: [UInt8] = []
    for word in [SIGCHLD, 0, code, 0, tracee.id] { bytes.append(little: UInt32(bitPattern: word)) }
    bytes.append(little: tracee.task.credentials.user)
    bytes.append(little: UInt32(bitPattern: status))
    return bytes + [UInt8](repeating: 0, count: 128 - bytes.count)
  }
}
