import Linux
public import SentryFiles
import SentryTasks

/// sysfs(5), as much as programs look at: processors, memory's nodes, huge pages.
public enum SysFileSystem {
  /// A tree to be mounted at /sys.
  public static func tree() -> Inode {
    let system = PseudoFileSystem(type: "sysfs", magic: 0x6265_6572)
    let root = FixedDirectory(system)
    var folders = Folders()
    func fixed(_ path: String, _ rows: [(String, String)]) {
      let directory = folders.make(path, root, system)
      for (name, text) in rows {
        let bytes = Array((text + "\n").utf8)
        directory.add(name, GeneratedFile(system) { (_) throws(Errno) in bytes })
      }
    }
    let count = max(1, HostProcessors.count)
    let range = count == 1 ? "0" : "0-\(count - 1)"
    fixed(
      "devices/system/cpu",
      [
        ("online", range), ("possible", range), ("present", range), ("offline", ""), ("kernel_max", "8191"),
        ("isolated", ""),
      ])
    for number in 0..<count {
      fixed(
        "devices/system/cpu/cpu\(number)/topology",
        [
          ("core_id", "\(number)"), ("physical_package_id", "0"), ("thread_siblings_list", "\(number)"),
          ("core_siblings_list", range), ("core_cpus_list", "\(number)"), ("package_cpus_list", range),
        ])
    }
    fixed("devices/system/node", [("online", "0"), ("possible", "0"), ("has_cpu", "0"), ("has_memory", "0")])
    let mask = count >= 64 ? UInt64.max : (1 << UInt64(count)) - 1
    fixed("devices/system/node/node0", [("cpulist", range), ("cpumap", String(mask, radix: 16)), ("distance", "10")])
    fixed(
      "devices/system/clocksource/clocksource0", [("current_clocksource", "tsc"), ("available_clocksource", "tsc")])
    fixed(
      "kernel/mm/transparent_hugepage",
      [
        ("enabled", "always [madvise] never"), ("defrag", "always defer defer+madvise [madvise] never"),
        ("hpage_pmd_size", "2097152"),
      ])
    for path in [
      "kernel/mm/hugepages", "fs/cgroup", "class/net", "class/dmi", "block", "bus", "dev/char", "dev/block", "module",
    ] {
      _ = folders.make(path, root, system)
    }
    return root
  }

  private struct Folders {
    private var known: [String: FixedDirectory] = [:]
    mutating func make(_ path: String, _ root: FixedDirectory, _ system: FileSystem) -> FixedDirectory {
      var at = root
      var name = ""
      for part in path.split(separator: "/") {
        name += "/" + part
        if let there = known[name] {
          at = there
          continue
        }
        let made = FixedDirectory(system)
        at.add(String(part), made)
        known[name] = made
        at = made
      }
      return at
    }
  }
}
