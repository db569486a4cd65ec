import CLinux

/// How this machine lays its control groups out (cgroups(7)): version 1 with a hierarchy per controller, version 2
/// with one for
/// all, or version 1 with a version 2 hierarchy beside it that has few controllers or none.
public struct CgroupLayout: Sendable, Equatable {
  public enum Mode: String, Sendable { case none, legacy, hybrid, unified }
  public let mode: Mode
  /// Where the hierarchies are mounted: /sys/fs/cgroup by convention (systemd's, and every container runtime's).
  public let mountPoint: String

  public init(mode: Mode, mountPoint: String = "/sys/fs/cgroup") {
    self.mode = mode
    self.mountPoint = mountPoint
  }

  /// This machine's, looked at once.
  public static func detect() -> CgroupLayout { standard }
  private static let standard = detect(mountPoint: "/sys/fs/cgroup")

  /// Looks at the kinds of file systems that are mounted (statfs(2)); no table of mounts is read.
  public static func detect(mountPoint: String) -> CgroupLayout {
    let version2 = 0x6367_7270
    switch kind(mountPoint) {
    case version2: return CgroupLayout(mode: .unified, mountPoint: mountPoint)
    case nil: return CgroupLayout(mode: .none, mountPoint: mountPoint)
    default: break
    }
    let hasMemory = ["memory", "pids", "cpu"].contains { isVersion1(mountPoint + "/" + $0) }
    let hasUnified = kind(mountPoint + "/unified") == version2
    if !hasMemory { return CgroupLayout(mode: .none, mountPoint: mountPoint) }
    return CgroupLayout(mode: hasUnified ? .hybrid : .legacy, mountPoint: mountPoint)
  }

  /// The folder where a controller's hierarchy is mounted; nil where there is none of it.
  public func directory(of controller: CgroupController) -> String? {
    switch mode {
    case .none: return nil
    case .unified: return mountPoint
    case .legacy, .hybrid:
      let path = mountPoint + "/" + controller.rawValue
      let isThere =
        self == CgroupLayout.standard ? CgroupLayout.found.contains(controller) : CgroupLayout.isVersion1(path)
      return isThere ? path : nil
    }
  }
  /// The hierarchies of this machine, looked at once: whoever makes groups asks for each of them several times.
  private static let found = CgroupController.allCases.filter { isVersion1(standard.mountPoint + "/" + $0.rawValue) }

  private static func isVersion1(_ path: String) -> Bool { kind(path) == 0x27_e0eb }

  /// The folder of the version 2 hierarchy, also where it has no controllers: it can still freeze and kill.
  public var unifiedDirectory: String? {
    switch mode {
    case .unified: mountPoint
    case .hybrid: mountPoint + "/unified"
    case .none, .legacy: nil
    }
  }

  private static func kind(_ path: String) -> Int? {
    var status = statfs()
    // SAFETY: the kernel fills the struct, whose layout is glibc's on this architecture.
    let result = unsafe withUnsafeMutablePointer(to: &status) { pointer in
      path.withPathAddress { systemCall(Int(SYS_statfs), $0, UInt(bitPattern: pointer)) }
    }
    return result == 0 ? Int(status.f_type) : nil
  }
}

/// The controllers that limits are made of, by the names of version 1 (`io` of version 2 is `blkio`).
public enum CgroupController: String, Sendable, CaseIterable {
  case memory, pids, cpu, cpuacct, cpuset, blkio, devices, freezer, hugetlb, rdma, misc
  case netClass = "net_cls"
  case netPriority = "net_prio"
  case perfEvent = "perf_event"

  /// Its name in version 2's cgroup.controllers; nil for those that became part of the core or eBPF.
  public var unifiedName: String? {
    switch self {
    case .memory, .pids, .cpu, .cpuset, .hugetlb, .rdma, .misc: rawValue
    case .blkio: "io"
    case .cpuacct, .devices, .freezer, .netClass, .netPriority, .perfEvent: nil
    }
  }
}

/// Where a process stands in each hierarchy: /proc/PID/cgroup (cgroups(7)).
public struct CgroupMembership: Sendable, Equatable {
  /// Version 1 controllers and named hierarchies ("name=systemd") to paths.
  public var legacy: [String: String] = [:]
  /// The path in the version 2 hierarchy.
  public var unified: String?

  /// From the file's text: "ID:CONTROLLERS:PATH" lines, the path being all after the second colon.
  public init(text: String) {
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3, parts[2].hasPrefix("/") else { continue }
      if parts[1].isEmpty {
        unified = String(parts[2])
      } else {
        for name in parts[1].split(separator: ",") { legacy[String(name)] = String(parts[2]) }
      }
    }
  }

  /// Of a process, this one by default.
  public static func of(pid: Int32? = nil) throws(SystemError) -> CgroupMembership {
    CgroupMembership(text: try File.text(pid.map { "/proc/\($0)/cgroup" } ?? "/proc/self/cgroup"))
  }
}
