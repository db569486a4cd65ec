import Linux

/// Sums over processes, for want of a group that counts: /proc/PID/stat (proc_pid_stat(5)).
package struct ProcessSums {
  package var cpuMicroseconds: UInt64 = 0
  package var memoryBytes: UInt64 = 0

  package init(_ pids: [Int32]) {
    for pid in pids {
      // One that has ended meanwhile counts in its parent's "children" fields.
      guard let text = try? File.text("/proc/\(pid)/stat") else { continue }
      add(text)
    }
  }

  package init(stat text: String) { add(text) }

  private mutating func add(_ text: String) {
    guard let close = text.utf8.lastIndex(of: UInt8(ascii: ")")) else { return }
    let fields = text[text.index(after: close)...].split(separator: " ")
    guard fields.count > 21 else { return }
    // Fields 14 to 17 are CPU time in ticks of 10 ms, own and of reaped children; 24 is resident pages.
    let ticks = (11...14).reduce(0) { $0 + (UInt64(fields[$1]) ?? 0) }
    cpuMicroseconds += ticks * 10_000
    memoryBytes += (UInt64(fields[21]) ?? 0) * 4096
  }
}
