import CLinux
import Linux
import SentryABI
import SentryFileSystems
import SentryMemory
import SentryTasks

/// The machine's names and state (uname(2), sysinfo(2)), chance (getrandom(2)), personality(2).
enum MachineCalls {
  static let rows: [CallRow] = [
    CallRow(63, "uname") { (call, task) throws(Errno) in
      try task.memory.store(task.namespaces.names.names.bytes, at: call.arguments.0.address)
      return .zero
    },
    CallRow(170, "sethostname") { (call, task) throws(Errno) in
      task.namespaces.names.names.host = try name(call, task)
      return .zero
    },
    CallRow(171, "setdomainname") { (call, task) throws(Errno) in
      task.namespaces.names.names.domain = try name(call, task)
      return .zero
    },
    CallRow(99, "sysinfo", .part("shared memory, buffers and swap are 0")) { (call, task) throws(Errno) in
      try task.memory.store(SystemInfo(task.kernel).bytes, at: call.arguments.0.address)
      return .zero
    },
    CallRow(318, "getrandom", .part("1 MiB at once")) { (call, task) throws(Errno) in try random(call, task) },
    CallRow(135, "personality", .part("remembered; changes no mapping")) { (call, task) in
      let before = task.group.traits.personality
      if call.arguments.0.uint32 != .max { task.group.traits.personality = call.arguments.0.uint32 }
      return .value(Int64(before))
    },
    CallRow(103, "syslog", .refused(.notPermitted)) { (_, _) throws(Errno) in throw .notPermitted },
  ]

  private static func name(_ call: Call, _ task: Task) throws(Errno) -> [UInt8] {
    guard task.credentials.has(Capability.administer) else { throw .notPermitted }
    let length = call.arguments.1.int32
    // __NEW_UTS_LEN.
    guard length >= 0, length <= 64 else { throw .invalid }
    return try task.memory.bytes(call.arguments.0.address, count: Int(length))
  }

  /// Never more than a megabyte at once, as if a signal had come: one guest must not hold the others up.
  private static func random(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    // GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE; the last two exclude each other.
    let flags = call.arguments.2.uint32
    guard flags & ~7 == 0, flags & 6 != 6 else { throw .invalid }
    // Also of nothing (access_ok).
    guard MessageCalls.isReachable(call.arguments.0, call.arguments.1) else { throw .badAddress }
    var buffer = GuestBuffer(
      task.memory, call.arguments.0.address, count: min(call.arguments.1.size ?? .max, 1 << 20))
    var block = [UInt8](repeating: 0, count: min(65536, max(1, buffer.remaining)))
    while buffer.remaining > 0 {
      let count = min(block.count, buffer.remaining)
      let filled = unsafe block.withUnsafeMutableBytes { bytes in
        // SAFETY: at most `count` bytes of the block are filled.
        HostRandom.fill(UInt(bitPattern: bytes.baseAddress), count)
      }
      guard filled > 0 else { throw .inputOutput }
      do throws(Errno) {
        if try buffer.put([UInt8](block[..<filled])) < filled { break }
      } catch {
        if buffer.moved > 0 { break }
        throw error
      }
    }
    return .value(Int64(buffer.moved))
  }
}

/// struct sysinfo.
struct SystemInfo {
  let kernel: Kernel
  init(_ kernel: Kernel) { self.kernel = kernel }

  var bytes: [UInt8] {
    let memory = MachineMemory.now(kernel)
    let loads = MachineLoad.now(kernel)
    var bytes: [UInt8] = []
    bytes.append(little: (kernel.now &- kernel.bootTime) / 1_000_000_000)
    for load in loads { bytes.append(little: load) }
    for size in [memory.total, memory.free, 0, 0, 0, 0] { bytes.append(little: size) }
    bytes.append(little: UInt16(clamping: kernel.tasks.count))
    bytes.append(little: UInt16(0))
    bytes.append(little: UInt32(0))
    bytes.append(little: UInt64(0))
    bytes.append(little: UInt64(0))
    bytes.append(little: UInt32(1))
    bytes.append(little: UInt32(0))
    return bytes
  }
}
