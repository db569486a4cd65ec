import Linux

/// Memory as sysinfo(2) and /proc/meminfo tell it: the sandbox's limit where it has one, else the host's whole, of which the guests hold
/// what their processes have resident. In bytes.
public struct MachineMemory: Equatable, Sendable {
  public var total: UInt64
  public var free: UInt64

  public static func now(_ kernel: Kernel) -> MachineMemory {
    let (host, unused) = told(kernel.host.machineContents("meminfo"))
    guard let limit = kernel.memoryLimit, limit < host || host == 0 else {
      return MachineMemory(total: host, free: unused)
    }
    var used: UInt64 = 0
    for group in kernel.groups.values where !group.traits.hasEnded {
      used &+= HostStatus(kernel.host.contents(group.hostID, "status", limit: 8192)).values.resident &* 1024
    }
    return MachineMemory(total: limit, free: limit > used ? limit - used : 0)
  }
}

extension MachineMemory {
  /// MemTotal and MemFree of proc_meminfo(5).
  private static func told(_ text: [UInt8]) -> (total: UInt64, free: UInt64) {
    var (total, free) = (UInt64(0), UInt64(0))
    for line in text.split(separator: 0x0a).prefix(8) {
      let words = line.split(separator: 0x20)
      guard words.count > 1 else { continue }
      if words[0].elementsEqual("MemTotal:".utf8) { total = HostStatus.decimal(words[1]) &* 1024 }
      if words[0].elementsEqual("MemFree:".utf8) { free = HostStatus.decimal(words[1]) &* 1024 }
    }
    return (total, free)
  }
}

/// The load averages in units of 1/65536 (SI_LOAD_SHIFT): the guests' runnable threads, looked at when asked, over 1, 5 and 15 minutes.
public enum MachineLoad {
  public static func now(_ kernel: Kernel) -> [UInt64] {
    kernel.load.look(running: kernel.runningTasks, at: kernel.now)
  }
}

/// Exponentially weighted means (loadavg.h), brought forward at each look.
public struct LoadAverage: Sendable {
  private var means: [Double] = [0, 0, 0]
  private var last: UInt64 = 0
  public init() {}

  public mutating func look(running: Int, at time: UInt64) -> [UInt64] {
    let seconds = Double(time &- last) / 1e9
    for (index, span) in [60.0, 300.0, 900.0].enumerated() where last != 0 {
      // e^-x by its halves: no libm here.
      let kept = Self.decay(seconds / span)
      means[index] = means[index] * kept + Double(running) * (1 - kept)
    }
    last = time
    return means.map { UInt64($0 * 65536) }
  }

  /// e^-x for x >= 0.
  static func decay(_ x: Double) -> Double {
    if x > 40 { return 0 }
    var term = 1.0
    var sum = 1.0
    let part = x / 64
    for index in 1...12 {
      term *= -part / Double(index)
      sum += term
    }
    for _ in 0..<6 { sum *= sum }
    return sum
  }
}

extension Kernel {
  /// Tasks that are in no call that the sentry holds.
  public var runningTasks: Int { tasks.values.count { $0.parked == nil && !$0.group.isKeeper } }
}
