import CLinux
import Linux
import SentryABI
import SentryMemory
import SentryTasks

/// ptrace(2) and process_vm_readv(2): what guests see and change of other guests. The sentry traces on the host in their stead.
enum TraceCalls {
  static let rows: [CallRow] = [
    CallRow(
      101, "ptrace",
      .part(
        "by a thread that is traced itself: EPERM; PTRACE_SECCOMP_GET_FILTER, PTRACE_O_SUSPEND_SECCOMP: EPERM; PTRACE_PEEKSIGINFO, PTRACE_ARCH_PRCTL: EIO; where calls come by a tracer: EPERM"
      )
    ) { (call, task) throws(Errno) in try trace(call, task) },
    CallRow(310, "process_vm_readv") { (call, task) throws(Errno) in try move(call, task, writes: false) },
    CallRow(311, "process_vm_writev") { (call, task) throws(Errno) in try move(call, task, writes: true) },
  ]

  /// PTRACE_* of linux/ptrace.h.
  private enum Request {
    static let traceMe: Int32 = 0
    static let attach: Int32 = 16
    static let seize: Int32 = 0x4206
  }
  /// PTRACE_O_MASK, and of it what lifts filters.
  private static let (options, suspendsFilters): (UInt64, UInt64) = (0x3000ff, 1 << 21)

  private static func trace(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let number = call.arguments.0.bits == UInt64(call.arguments.0.uint32) ? call.arguments.0.int32 : -1
    let (id, address, data) = (call.arguments.1.int32, call.arguments.2.bits, call.arguments.3.bits)
    switch number {
    case Request.traceMe:
      guard task.tracee == nil, let tracer = task.group.realParent else { throw .notPermitted }
      // cap_ptrace_traceme() of security/commoncap.c.
      let (its, mine) = (task.credentials, tracer.credentials)
      guard its.permitted & ~mine.permitted == 0 || mine.has(Capability.trace) else { throw .notPermitted }
      try begin(task, by: tracer, .asked, options: 0)
    case Request.attach, Request.seize:
      guard let other = task.kernel.tasks[id] else { throw .noProcess }
      if number == Request.seize {
        guard address == 0, data & ~options == 0 else { throw .inputOutput }
        if data & suspendsFilters != 0 { throw .notPermitted }
      }
      guard other.group !== task.group, !other.group.isKeeper, other.tracee == nil, task.mayTrace(other) else {
        throw .notPermitted
      }
      try begin(
        other, by: task, number == Request.seize ? .seized : .attached,
        options: number == Request.seize ? UInt32(truncatingIfNeeded: data) : 0)
    default:
      guard let tracee = task.group.tracees.first(where: { $0.id == id && $0.tracer === task }) else {
        throw .noProcess
      }
      return .value(try task.kernel.host.request(number, tracee, address, data, by: task))
    }
    return .zero
  }

  /// A tracer is not traced, and who traces is not traced: the sentry is the one tracer that the host lets a thread have.
  private static func begin(_ task: Task, by tracer: Task, _ beginning: TraceBeginning, options: UInt32) throws(Errno) {
    guard tracer.group.tasks.allSatisfy({ $0.tracee == nil }), task.group.tracees.isEmpty, tracer.group !== task.group
    else { throw .notPermitted }
    try task.kernel.host.trace(task, by: tracer, beginning, options: options)
  }

  // MARK: - Memory

  /// Bytes moved at once.
  private static let piece = 64 << 10

  private static func move(_ call: Call, _ task: Task, writes: Bool) throws(Errno) -> Outcome {
    guard call.arguments.5.bits == 0 else { throw .invalid }
    let near = call.arguments.2
    guard near.bits <= 1024, let ranges = call.arguments.4.size, ranges <= 1024 else { throw .invalid }
    var own = try GuestBuffer(task.memory, vector: call.arguments.1.address, count: near.int32)
    let words = try task.memory.bytes(call.arguments.3.address, count: ranges * 16)
    guard let other = task.kernel.tasks[call.arguments.0.int32] else { throw .noProcess }
    guard other.group === task.group || !other.group.isKeeper && task.mayTrace(other) else { throw .notPermitted }
    var moved = 0
    do throws(Errno) {
      for index in 0..<ranges {
        guard let size = Int(exactly: words.little64(16 * index + 8)) else { throw .invalid }
        var buffer = GuestBuffer(other.memory, GuestAddress(words.little64(16 * index)), count: size)
        while buffer.remaining > 0, own.remaining > 0 {
          let count = min(piece, own.remaining, buffer.remaining)
          let bytes = writes ? try own.take(count) : try buffer.take(count)
          if bytes.isEmpty { throw .badAddress }
          let stored = writes ? try buffer.put(bytes) : try own.put(bytes)
          moved += stored
          if stored < bytes.count || bytes.count < count { throw .badAddress }
        }
      }
    } catch {
      if moved == 0 { throw error }
    }
    return .value(Int64(moved))
  }
}
