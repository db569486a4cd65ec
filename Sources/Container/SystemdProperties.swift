import Formats
import Linux

/// Limits as properties of a unit (systemd.resource-control(5), org.freedesktop.systemd1(5)). Files that have no property (cpu.idle,
/// cpu.max.burst, io.max, hugetlb, rdma, misc) are written to the group alone: systemd leaves what it was never told of.
enum SystemdProperties {
  static func of(_ limits: CgroupLimits) -> [(name: String, value: BusValue)] {
    var properties: [(name: String, value: BusValue)] = []
    for setting in limits.unifiedSettings {
      // The last word counts, as it does for the file.
      for property in of(setting.file, setting.value) {
        properties.removeAll { $0.name == property.name }
        properties.append(property)
      }
    }
    return properties
  }

  private static let infinity = UInt64.max

  private static func of(_ file: String, _ value: String) -> [(name: String, value: BusValue)] {
    func one(_ name: String) -> [(name: String, value: BusValue)] {
      let number = value == "max" ? infinity : UInt64(value)
      return number.map { [(name, .uint64($0))] } ?? []
    }
    switch file {
    case "memory.max": return one("MemoryMax")
    case "memory.high": return one("MemoryHigh")
    case "memory.low": return one("MemoryLow")
    case "memory.min": return one("MemoryMin")
    case "memory.swap.max": return one("MemorySwapMax")
    case "pids.max": return one("TasksMax")
    case "cpu.weight": return one("CPUWeight")
    case "cpu.max": return quota(value)
    case "cpuset.cpus": return mask("AllowedCPUs", value)
    case "cpuset.mems": return mask("AllowedMemoryNodes", value)
    case "io.weight":
      let words = value.split(separator: " ")
      guard let number = words.last.flatMap({ UInt64($0) }), words.count == 1 || words.first == "default" else {
        return []
      }
      return [("IOWeight", .uint64(number))]
    default: return []
    }
  }

  /// "QUOTA PERIOD". systemd keeps whole percents of a CPU: 10 ms a second, rounded up.
  private static func quota(_ value: String) -> [(name: String, value: BusValue)] {
    let words = value.split(separator: " ")
    let period = words.count > 1 ? UInt64(words[1]) ?? 100_000 : 100_000
    let limit = (name: "CPUQuotaPeriodUSec", value: BusValue.uint64(period))
    guard let quota = words.first.flatMap({ UInt64($0) }), period > 0 else {
      return [("CPUQuotaPerSecUSec", .uint64(infinity)), limit]
    }
    let (product, overflow) = quota.multipliedReportingOverflow(by: 1_000_000)
    guard !overflow else { return [("CPUQuotaPerSecUSec", .uint64(infinity)), limit] }
    let second = product / period
    return [("CPUQuotaPerSecUSec", .uint64(second % 10_000 == 0 ? second : (second / 10_000 + 1) * 10_000)), limit]
  }

  /// A bit a number, the lowest first.
  private static func mask(_ name: String, _ list: String) -> [(name: String, value: BusValue)] {
    guard let numbers = CPUList.numbers(list), let last = numbers.max(), last < 8192 else { return [] }
    var bytes = [UInt8](repeating: 0, count: Int(last) / 8 + 1)
    for number in numbers { bytes[Int(number) / 8] |= 1 << UInt8(number % 8) }
    return [(name, .array(of: "y", bytes.map { .byte($0) }))]
  }
}
