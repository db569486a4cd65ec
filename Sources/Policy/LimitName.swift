/// The limits by the names people write, with the unit and the range each accepts.
public enum LimitName: String, CaseIterable, Sendable {
  case memory, cpus, pids
  case openFiles = "open_files"
  case coreSize = "core_size"
  case fileSize = "file_size"
  case scratch, log, timeout, output
  case cpuTime = "cpu_time"
  case diskBytesPerSecond = "disk_bps"
  case diskOperationsPerSecond = "disk_iops"

  enum Unit { case bytes, bytesPerSecond, count, countPerSecond, thousandths, milliseconds }

  /// "--open-files" for `open_files`; `--log-size` for `log`, because the OCI verbs have a `--log` of their own.
  public var option: PolicyOption {
    switch self {
    case .memory: .memory
    case .cpus: .cpus
    case .pids: .pids
    case .openFiles: .openFiles
    case .coreSize: .coreSize
    case .fileSize: .fileSize
    case .scratch: .scratch
    case .log: .log
    case .timeout: .timeout
    case .output: .output
    case .cpuTime: .cpuTime
    case .diskBytesPerSecond: .diskBytes
    case .diskOperationsPerSecond: .diskOperations
    }
  }

  var unit: Unit {
    switch self {
    case .memory, .coreSize, .fileSize, .scratch, .log, .output: .bytes
    case .diskBytesPerSecond: .bytesPerSecond
    case .diskOperationsPerSecond: .countPerSecond
    case .pids, .openFiles: .count
    case .cpus: .thousandths
    case .timeout, .cpuTime: .milliseconds
    }
  }

  /// In the unit's smallest step. What is below cannot run any program, or means "no limit" to the kernel (tmpfs size=0).
  var accepted: ClosedRange<UInt64> {
    let mostBytes = UInt64(Int64.max)
    switch self {
    case .memory: return 1 << 20...mostBytes
    case .scratch, .log: return 4096...mostBytes
    case .coreSize, .fileSize: return 0...mostBytes
    case .output, .diskBytesPerSecond: return 1...mostBytes
    // PID_MAX_LIMIT (include/linux/threads.h) and the kernel's ceiling for fs.nr_open.
    case .pids: return 1...4_194_304
    case .openFiles: return 4...2_147_483_584
    // The kernel refuses a quota below 1 ms in a period of 100 ms.
    case .cpus: return 10...1_024_000
    case .timeout, .cpuTime: return 1...100 * 365 * 86_400_000
    case .diskOperationsPerSecond: return 1...UInt64(UInt32.max)
    }
  }

  /// As people read it: "256 MiB", "1.5", "30s".
  public func text(_ value: UInt64) -> String {
    switch unit {
    case .bytes: Quantity.bytes(value)
    case .bytesPerSecond: Quantity.bytes(value) + "/s"
    case .count: "\(value)"
    case .countPerSecond: "\(value)/s"
    case .thousandths: Quantity.thousandths(value)
    case .milliseconds: Quantity.milliseconds(value)
    }
  }

  var ruleKey: Rule.Key {
    switch self {
    case .memory: .memory
    case .cpus: .cpus
    case .pids: .pids
    case .openFiles: .openFiles
    case .coreSize: .coreSize
    case .fileSize: .fileSize
    case .scratch: .scratch
    case .log: .log
    case .timeout: .timeout
    case .output: .output
    case .cpuTime: .cpuTime
    case .diskBytesPerSecond: .diskBytes
    case .diskOperationsPerSecond: .diskOperations
    }
  }

  /// What the text means; nil for "unlimited".
  func parse(_ text: String, _ subject: Subject) throws(PolicyError) -> UInt64? {
    if text == "unlimited" { return nil }
    let value: UInt64?
    let what: String
    switch unit {
    case .bytes, .bytesPerSecond:
      value = Quantity.parseBytes(text)
      what = "a size: write bytes, or a number with k, m, g or t (\"256m\")"
    case .count, .countPerSecond:
      value = Quantity.parseDecimal(text, scale: 1).flatMap { text.contains(".") ? nil : $0 }
      what = "a whole number"
    case .thousandths:
      value = Quantity.parseThousandths(text)
      what = "a number of CPUs (\"1.5\")"
    case .milliseconds:
      value = Quantity.parseMilliseconds(text)
      what = "a time: write seconds, or numbers with ms, s, m, h or d (\"30s\", \"1h30m\")"
    }
    guard let value else { throw subject.failure("is not \(what), or \"unlimited\"", text) }
    if value < accepted.lowerBound {
      let hint = self == .scratch ? "; --read-only leaves no writable layer" : ""
      throw subject.failure(
        "is too small: at least \(self.text(accepted.lowerBound)), or \"unlimited\"\(hint)", text)
    }
    if value > accepted.upperBound {
      throw subject.failure("is too large: at most \(self.text(accepted.upperBound)), or \"unlimited\"", text)
    }
    return value
  }
}

extension Limits {
  public subscript(_ name: LimitName) -> Setting<UInt64>? {
    get {
      switch name {
      case .memory: memory
      case .cpus: milliCPUs
      case .pids: pids
      case .openFiles: openFiles
      case .coreSize: coreSize
      case .fileSize: fileSize
      case .scratch: scratch
      case .log: log
      case .timeout: timeout
      case .output: output
      case .cpuTime: cpuTime
      case .diskBytesPerSecond: diskBytesPerSecond
      case .diskOperationsPerSecond: diskOperationsPerSecond
      }
    }
    set {
      switch name {
      case .memory: memory = newValue
      case .cpus: milliCPUs = newValue
      case .pids: pids = newValue
      case .openFiles: openFiles = newValue
      case .coreSize: coreSize = newValue
      case .fileSize: fileSize = newValue
      case .scratch: scratch = newValue
      case .log: log = newValue
      case .timeout: timeout = newValue
      case .output: output = newValue
      case .cpuTime: cpuTime = newValue
      case .diskBytesPerSecond: diskBytesPerSecond = newValue
      case .diskOperationsPerSecond: diskOperationsPerSecond = newValue
      }
    }
  }
}
