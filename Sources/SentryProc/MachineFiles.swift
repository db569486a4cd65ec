import Linux
import SentryABI
import SentryFiles
import SentryTasks

/// The files of /proc about the machine: the sandbox's share of it, not the host's load or processes.
enum MachineFiles {
  static func add(to root: FixedDirectory, _ system: ProcFileSystem) {
    let kernel = system.kernel
    func add(_ name: String, _ make: @escaping (Kernel) -> String) {
      root.add(name, GeneratedFile(system) { (_) throws(Errno) in Array(make(kernel).utf8) })
    }
    add("meminfo", memory)
    root.add("cpuinfo", GeneratedFile(system) { (_) throws(Errno) in try kernel.processors.text() })
    add("stat", statistics)
    add("uptime") { kernel in
      let up = kernel.now &- kernel.bootTime
      return
        "\(seconds(up)) \(seconds(up &* UInt64(HostProcessors.count) &- min(up, ticks(kernel).total &* 10_000_000)))\n"
    }
    add("loadavg") { kernel in
      let loads = MachineLoad.now(kernel).map { seconds($0 &* 1_000_000_000 / 65536) }
      return
        "\(loads.joined(separator: " ")) \(max(1, kernel.runningTasks))/\(kernel.tasks.count) \(kernel.groups.keys.max() ?? 1)\n"
    }
    add("version") { kernel in
      func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
      return "Linux version \(text(kernel.names.release)) (immure) \(text(kernel.names.version))\n"
    }
    add("filesystems") { _ in
      ["proc", "sysfs", "tmpfs", "devpts", "overlay"].map { "nodev\t\($0)\n" }.joined() + "\terofs\n"
    }
    add("cgroups") { _ in "#subsys_name\thierarchy\tnum_cgroups\tenabled\n" }
    add("vmstat") { kernel in
      let memory = MachineMemory.now(kernel)
      return "nr_free_pages \(memory.free / 4096)\npgfault 0\npgmajfault 0\npswpin 0\npswpout 0\noom_kill 0\n"
    }
    add("devices") { _ in
      "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n"
    }
    add("swaps") { _ in "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" }
    add("partitions") { _ in "major minor  #blocks  name\n\n" }
    add("cmdline") { _ in "\n" }
  }

  /// With two digits behind the point.
  private static func seconds(_ nanoseconds: UInt64) -> String {
    let hundredths = nanoseconds / 10_000_000
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
  }

  private static func memory(_ kernel: Kernel) -> String {
    let memory = MachineMemory.now(kernel)
    let rows: [(String, UInt64)] = [
      ("MemTotal", memory.total), ("MemFree", memory.free), ("MemAvailable", memory.free), ("Buffers", 0),
      ("Cached", 0),
      ("SwapCached", 0), ("Active", memory.total - memory.free), ("Inactive", 0), ("SwapTotal", 0), ("SwapFree", 0),
      ("Dirty", 0), ("Writeback", 0), ("AnonPages", memory.total - memory.free), ("Mapped", 0), ("Shmem", 0),
      ("Slab", 0),
      ("CommitLimit", memory.total), ("Committed_AS", memory.total - memory.free),
      ("VmallocTotal", 34_359_738_367 << 10),
      ("VmallocUsed", 0), ("HugePages_Total", 0), ("HugePages_Free", 0), ("Hugepagesize", 2 << 20),
    ]
    return rows.map { name, bytes in
      let number = name.hasPrefix("HugePages") ? "\(bytes)" : "\(bytes / 1024)"
      let gap = String(repeating: " ", count: max(1, 16 + 8 - name.utf8.count - 1 - number.utf8.count))
      return "\(name):\(gap)\(number)\(name.hasPrefix("HugePages") ? "" : " kB")\n"
    }.joined()
  }

  private static func ticks(_ kernel: Kernel) -> (user: UInt64, system: UInt64, total: UInt64) {
    var (user, system): (UInt64, UInt64) = (0, 0)
    for group in kernel.groups.values where !group.traits.hasEnded {
      let stat = HostStat(kernel.host.contents(group.hostID, "stat", limit: 4096))
      user &+= stat.userTicks &+ stat.childUserTicks
      system &+= stat.systemTicks &+ stat.childSystemTicks
    }
    return (user, system, user &+ system)
  }

  private static func statistics(_ kernel: Kernel) -> String {
    let (up, used, count) = (
      (kernel.now &- kernel.bootTime) / 10_000_000, ticks(kernel), UInt64(max(1, HostProcessors.count))
    )
    func line(_ name: String, _ share: UInt64) -> String {
      let all = up &* count / share
      let idle = all - min(all, used.total / share)
      return "\(name) \(used.user / share) 0 \(used.system / share) \(idle) 0 0 0 0 0 0\n"
    }
    var text = line("cpu ", 1)
    for number in 0..<count { text += line("cpu\(number)", count) }
    var began: Int64 = 0
    do throws(Errno) {
      let now = try GuestClock.wallTime(GuestClock.realTime)
      began = now.seconds - Int64(up / 100)
    } catch {
      // The real clock is always there.
    }
    return text
      + "intr 0\nctxt 0\nbtime \(began)\nprocesses \(kernel.births)\nprocs_running \(max(1, kernel.runningTasks))\nprocs_blocked 0\nsoftirq 0\n"
  }
}
