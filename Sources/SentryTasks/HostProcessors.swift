import CLinux
public import Linux

/// The processors that the sandbox may use.
public enum HostProcessors {
  /// As sched_getaffinity(2) gave them when they were first asked for: whole words of 64.
  public static func allowed() -> [UInt8] { known }

  /// Looks while the sentry may still ask.
  public static func prepare() { _ = known }

  private static let known: [UInt8] = {
    var mask = [UInt8](repeating: 0, count: 1024)
    let filled = unsafe mask.withUnsafeMutableBytes { bytes in
      // SAFETY: the call fills at most the 1024 bytes it is told of.
      systemCall(Int(SYS_sched_getaffinity), 0, 1024, UInt(bitPattern: bytes.baseAddress))
    }
    return [UInt8](mask.prefix(max(8, filled)))
  }()

  /// Where a thread ran last (proc_pid_stat(5), field 39).
  public static func last(of task: Task) -> UInt32 {
    let text = task.kernel.host.contents(task.hostID, "stat", limit: 1024)
    // Behind the name, which may have anything in it but its last parenthesis.
    guard let end = text.lastIndex(of: 0x29) else { return 0 }
    let fields = text[(end + 1)...].split(separator: 0x20)
    return fields.count > 36 ? UInt32(truncatingIfNeeded: HostStatus.decimal(fields[36])) : 0
  }

  /// The host's /proc/cpuinfo, opened while the sentry may still: its procfs shows processes only. It is read when asked for: the host asks
  /// each of its processors for its speed, which takes its time on a large machine.
  public final class Description {
    private var file: FileDescriptor?

    /// - Parameter machine: the root of a whole procfs.
    public func open(in machine: Int32) throws(SystemError) {
      file = try File.open("cpuinfo", O_RDONLY, at: machine)
    }

    /// As proc_cpuinfo(5) has it.
    /// - Throws: ENOENT where it was never opened.
    public func text() throws(Errno) -> [UInt8] {
      guard let number = file?.rawValue else { throw .noEntry }
      var all: [UInt8] = []
      do throws(SystemError) {
        while true {
          let part = try File.read(number, atMost: 64 << 10, at: all.count)
          if part.isEmpty { return all }
          all += part
        }
      } catch {
        throw error.errno
      }
    }
  }

  /// How many.
  public static var count: Int { allowed().reduce(0) { $0 + $1.nonzeroBitCount } }
}
