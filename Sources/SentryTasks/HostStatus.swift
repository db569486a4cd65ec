import CLinux
import Linux
public import SentrySignals

/// What the host's kernel says of a thread (proc_pid_status(5)).
public struct HostStatus: Equatable, Sendable {
  /// The letter of `State:`, 0 where the thread is gone.
  public var state: UInt8 = 0
  /// Pending for the thread, and for its whole process.
  public var pending = SignalBits()
  public var sharedPending = SignalBits()
  public var blocked = SignalBits()
  /// Of its process, with those that have not called yet and those that are ending; 0 where the thread is gone.
  public private(set) var threads: UInt64 = 0
  /// In kB.
  public var values = Values()
  public struct Values: Equatable, Sendable {
    public var size: UInt64 = 0
    public var resident: UInt64 = 0
    public var peak: UInt64 = 0
    public var highWater: UInt64 = 0
    public var voluntarySwitches: UInt64 = 0
    public var involuntarySwitches: UInt64 = 0
    public init() {}
  }
  /// With the sandbox's own; 0 where the host does not tell (Linux 5.9 does).
  public private(set) var filters: UInt64 = 0
  public init() {}

  /// The guest's own filters.
  public var guestFilters: UInt64 { filters > 1 ? filters - 1 : 0 }

  /// - Parameter text: of the file.
  public init(_ text: [UInt8]) {
    var start = 0
    while start < text.count {
      let end = text[start...].firstIndex(of: 0x0a) ?? text.count
      if let colon = text[start..<end].firstIndex(of: 0x3a) {
        take(name: text[start..<colon], value: text[(colon + 1)..<end])
      }
      start = end + 1
    }
  }

  private mutating func take(name: ArraySlice<UInt8>, value: ArraySlice<UInt8>) {
    let value = value.drop { $0 == 0x20 || $0 == 0x09 }
    switch name {
    case Self.state: state = value.first ?? 0
    case Self.pending: pending = SignalBits(Self.hexadecimal(value))
    case Self.sharedPending: sharedPending = SignalBits(Self.hexadecimal(value))
    case Self.blocked: blocked = SignalBits(Self.hexadecimal(value))
    case Self.size: values.size = Self.decimal(value)
    case Self.resident: values.resident = Self.decimal(value)
    case Self.peak: values.peak = Self.decimal(value)
    case Self.highWater: values.highWater = Self.decimal(value)
    case Self.voluntary: values.voluntarySwitches = Self.decimal(value)
    case Self.filters: filters = Self.decimal(value)
    case Self.threads: threads = Self.decimal(value)
    case Self.involuntary: values.involuntarySwitches = Self.decimal(value)
    default: break
    }
  }
  private static let threads = [UInt8]("Threads".utf8)[...]
  private static let filters = [UInt8]("Seccomp_filters".utf8)[...]
  private static let state = [UInt8]("State".utf8)[...]
  private static let pending = [UInt8]("SigPnd".utf8)[...]
  private static let sharedPending = [UInt8]("ShdPnd".utf8)[...]
  private static let blocked = [UInt8]("SigBlk".utf8)[...]
  private static let size = [UInt8]("VmSize".utf8)[...]
  private static let resident = [UInt8]("VmRSS".utf8)[...]
  private static let peak = [UInt8]("VmPeak".utf8)[...]
  private static let highWater = [UInt8]("VmHWM".utf8)[...]
  private static let voluntary = [UInt8]("voluntary_ctxt_switches".utf8)[...]
  private static let involuntary = [UInt8]("nonvoluntary_ctxt_switches".utf8)[...]

  private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt64 {
    var value: UInt64 = 0
    for digit in digits {
      switch digit {
      case 0x30...0x39: value = value << 4 | UInt64(digit - 0x30)
      case 0x61...0x66: value = value << 4 | UInt64(digit - 0x61 + 10)
      default: return value
      }
    }
    return value
  }

  static func decimal(_ digits: ArraySlice<UInt8>) -> UInt64 {
    var value: UInt64 = 0
    for digit in digits {
      guard digit >= 0x30, digit <= 0x39 else { return value }
      value = value &* 10 &+ UInt64(digit - 0x30)
    }
    return value
  }
}

/// The numbers of /proc/PID/stat (proc_pid_stat(5)), from the third field on, where the name has ended.
public struct HostStat: Equatable, Sendable {
  private let fields: [UInt64]
  /// - Parameter text: of the file; one that is cut or empty gives zeros.
  public init(_ text: [UInt8]) {
    guard let end = text.lastIndex(of: 0x29) else {
      fields = []
      return
    }
    fields = text[(end + 1)...].split(separator: 0x20).map { HostStatus.decimal($0) }
  }
  /// - Parameter number: as proc_pid_stat(5) counts, from 4 on.
  public subscript(number: Int) -> UInt64 { number >= 3 && number - 3 < fields.count ? fields[number - 3] : 0 }

  public var minorFaults: UInt64 { self[10] }
  public var childMinorFaults: UInt64 { self[11] }
  public var majorFaults: UInt64 { self[12] }
  public var childMajorFaults: UInt64 { self[13] }
  /// In ticks of a hundredth of a second.
  public var userTicks: UInt64 { self[14] }
  public var systemTicks: UInt64 { self[15] }
  public var childUserTicks: UInt64 { self[16] }
  public var childSystemTicks: UInt64 { self[17] }
}

extension HostThreads {
  /// A file of the host's procfs about one thread or process.
  /// - Parameters:
  ///   - id: the host's number.
  ///   - limit: bytes read at most.
  /// - Returns: nothing where the thread is gone or there is no procfs.
  public func contents(_ id: Int32, _ name: StaticString, limit: Int = 65536) -> [UInt8] {
    guard processes >= 0, id > 0 else { return [] }
    do {
      let file = try File.open("\(id)/\(name)", O_RDONLY, at: processes)
      return try File.read(file.rawValue, atMost: limit)
    } catch {
      // It ended meanwhile.
      return []
    }
  }

  /// A file of many records about one process, of which each read(2) gives a page at most (fs/seq_file.c).
  /// - Parameter limit: of bytes; what goes beyond is left out.
  public func records(_ id: Int32, _ name: StaticString, limit: Int) -> [UInt8] {
    id > 0 ? whole("\(id)/\(name)", limit: limit) : []
  }

  /// A file of the sandbox's network namespace.
  public func networkContents(_ name: StaticString) -> [UInt8] { whole("self/net/\(name)", limit: 1 << 20) }

  private func whole(_ path: String, limit: Int) -> [UInt8] {
    guard processes >= 0 else { return [] }
    var all: [UInt8] = []
    do throws(SystemError) {
      let file = try File.open(path, O_RDONLY, at: processes)
      while all.count < limit {
        let part = try File.read(file.rawValue, atMost: min(64 << 10, limit - all.count))
        if part.isEmpty { break }
        all += part
      }
    } catch {
      // The process ended meanwhile, or a procfs without it.
    }
    return all
  }

  public func status(_ task: Task) -> HostStatus { status(task.hostID) }
  func status(_ thread: Int32) -> HostStatus { HostStatus(contents(thread, "status", limit: 8192)) }

  /// The threads of a process as the host has them, by its numbers; none where the process is gone.
  func threads(of group: ThreadGroup) -> [Int32] {
    guard processes >= 0, group.hostID > 0 else { return [] }
    do {
      let names = try File.names(inDirectory: "\(group.hostID)/task", at: processes)
      return names.map { Int32(truncatingIfNeeded: HostStatus.decimal(Array($0.utf8)[...])) }.sorted()
    } catch { return [] }
  }
}
