import CLinux
import Linux

/// Memory as sysinfo(2) and /proc/meminfo tell it: the sandbox's limit where it has one, else the host's whole, of which the guests hold
/// what their processes have resident. In bytes.
public struct MachineMemory: Equatable, Sendable {
  public var total: UInt64
  public var free: UInt64

  public static func now(_ kernel: Kernel) -> MachineMemory {
    let total = min(host, kernel.memoryLimit ?? .max)
    var used: UInt64 = 0
    for group in kernel.groups.values where !group.traits.hasEnded {
      used &+= HostStatus(kernel.host.contents(group.hostID, "status", limit: 8192)).values.resident &* 1024
    }
    return MachineMemory(total: total, free: total > used ? total - used : 0)
  }

  /// Looks while the sentry may still ask.
  public static func prepare() { _ = host }

  /// The host's whole memory, as it was when it was first asked for.
  private static let host: UInt64 = {
    var info = CLinux.sysinfo()
    // SAFETY: sysinfo fills one struct.
    _ = unsafe withUnsafeMutablePointer(to: &info) { systemCall(Int(SYS_sysinfo), UInt(bitPattern: $0)) }
    return UInt64(info.totalram) &* UInt64(max(1, info.mem_unit))
  }()
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
