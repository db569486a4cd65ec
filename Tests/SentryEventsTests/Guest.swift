import CLinux
import Linux
import SentryABI
import SentryCalls
import SentryFiles
import SentryMemory
import SentryPipes
import SentryTasks
import SentryWait

/// A kernel with one process that is this one: its memory is a mapping of ours, its calls come from a test.
@safe final class Guest {
  let kernel: Kernel
  let task: Task
  private let start: UnsafeMutableRawPointer
  private let size = 16 << 20
  private var used = 0
  private let table = CallTable.all

  /// What a call came to.
  enum Answer: Equatable {
    case value(Int64)
    case error(Errno)
    case blocked
  }

  /// - Parameter other: a guest of the same kernel; a new kernel if nil.
  init(beside other: Guest? = nil, id: Int32 = getpid()) throws {
    let mapped = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let base = unsafe mapped, UInt(bitPattern: base) != .max else { throw Errno.noMemory }
    unsafe start = base
    kernel = other?.kernel ?? Kernel()
    let group = ThreadGroup(kernel: kernel, id: id, parent: nil, session: id, processGroup: id)
    kernel.groups[id] = group
    task = Task(
      kernel: kernel, id: id, hostID: getpid(), group: group, memory: GuestMemory(process: getpid()),
      descriptors: DescriptorTable(), paths: other?.task.paths.copy() ?? Guest.paths(), credentials: Credentials())
    group.tasks.append(task)
    kernel.tasks[id] = task
  }
  private static func paths() -> PathContext {
    let system = PseudoFileSystem(type: "test", magic: 1)
    let namespace = MountNamespace(root: FixedDirectory(system))
    Pipe.serve(namespace.special)
    return PathContext(namespace)
  }
  // SAFETY: the mapping is this object's alone; tests reach it within its size through `memory`.
  deinit { unsafe munmap(start, size) }

  /// Room in the guest's memory, zeroed.
  func room(_ count: Int) -> UInt64 {
    let at = used
    used += (count + 15) & ~15
    precondition(used <= size)
    return unsafe UInt64(UInt(bitPattern: start + at))
  }
  func place(_ bytes: [UInt8]) throws -> UInt64 {
    let address = room(max(1, bytes.count))
    try task.memory.store(bytes, at: GuestAddress(address))
    return address
  }
  func place(_ text: String) throws -> UInt64 { try place(Array(text.utf8) + [0]) }
  func bytes(_ address: UInt64, _ count: Int) throws -> [UInt8] {
    try task.memory.bytes(GuestAddress(address), count: count)
  }
  func word32(_ address: UInt64) throws -> Int32 { try task.memory.load(GuestAddress(address)) }

  /// A call's first look.
  func call(
    _ number: Int, _ a: UInt64 = 0, _ b: UInt64 = 0, _ c: UInt64 = 0, _ d: UInt64 = 0, _ e: UInt64 = 0, _ f: UInt64 = 0
  )
    -> Answer
  {
    task.parked = ParkedCall(call: Call(Int32(number), a, b, c, d, e, f), id: 0)
    return look()
  }

  /// read(2) and write(2), which other parts of the table hold.
  func read(_ number: Int32, _ count: Int = 4096) -> (Answer, [UInt8]) {
    let address = room(count)
    let answer = transfer { (task) throws(Errno) in
      var buffer = GuestBuffer(task.memory, GuestAddress(address), count: count)
      return try Transfer.read(try task.descriptors.file(number), &buffer, task)
    }
    pendingRead = address
    return (answer, taken(answer))
  }
  private var pendingRead: UInt64 = 0
  private func taken(_ answer: Answer) -> [UInt8] {
    guard case .value(let count) = answer, count > 0 else { return [] }
    do { return try bytes(pendingRead, Int(count)) } catch { return [] }
  }
  func write(_ number: Int32, _ bytes: [UInt8]) throws -> Answer {
    let address = try place(bytes)
    return transfer { (task) throws(Errno) in
      var buffer = GuestBuffer(task.memory, GuestAddress(address), count: bytes.count)
      return try Transfer.write(try task.descriptors.file(number), &buffer, task)
    }
  }
  private var transferring: ((Task) throws(Errno) -> Outcome)?
  private func transfer(_ body: @escaping (Task) throws(Errno) -> Outcome) -> Answer {
    transferring = body
    task.parked = ParkedCall(call: Call(-1), id: 0)
    return look()
  }
  func goOnReading() -> (Answer, [UInt8]) {
    let answer = goOn()
    return (answer, taken(answer))
  }

  /// A call's next look, if something woke it.
  func goOn() -> Answer {
    guard let index = kernel.ready.firstIndex(where: { $0 === task }) else { return .blocked }
    kernel.ready.remove(at: index)
    task.beginLook()
    return look()
  }

  private func look() -> Answer {
    guard let call = task.parked?.call else { return .blocked }
    do throws(Errno) {
      let outcome: Outcome
      if call.number < 0, let transferring {
        outcome = try transferring(task)
      } else if let row = table[call.number] {
        outcome = try row.handler(call, task)
      } else {
        throw .notImplemented
      }
      if outcome == .blocked { return .blocked }
      task.endCall()
      guard case .value(let value) = outcome else { return .blocked }
      return .value(value)
    } catch {
      task.endCall()
      return .error(error)
    }
  }

  /// Both ends of a pipe.
  func pipe(_ flags: Int32 = 0) throws -> (Int32, Int32) {
    let ends = room(8)
    guard call(Int(SYS_pipe2), ends, UInt64(flags)) == .value(0) else { throw Errno.invalid }
    return (try word32(ends), try word32(ends + 4))
  }
  func file(_ number: Int32) throws -> OpenFile { try task.descriptors.file(number) }
}

extension UInt64 {
  init(_ number: Int32) { self = UInt64(bitPattern: Int64(number)) }
}
