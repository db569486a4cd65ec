import CLinux

/// Stopping every process of a box at once and letting it go on (freezer of version 1, cgroup.freeze of version 2).
/// The group
/// is made when a box is first paused: a box that is never paused pays nothing for it.
public struct CgroupFreezer: Sendable, Equatable {
  public let path: String
  let isUnified: Bool

  /// The group itself where the box stands in version 2, else a folder made for it in the freezer or version 2
  /// hierarchy.
  public static func prepare(
    for group: Cgroup, name: String, layout: CgroupLayout = .detect()
  ) throws(SystemError) -> CgroupFreezer {
    if let path = group.unifiedPath { return CgroupFreezer(path: path, isUnified: true) }
    if let directory = layout.directory(of: .freezer) {
      return CgroupFreezer(path: try make(name, in: directory), isUnified: false)
    }
    if let directory = layout.unifiedDirectory {
      return CgroupFreezer(path: try make(name, in: directory), isUnified: true)
    }
    throw SystemError("cgroup", "controller freezer", .noDevice)
  }

  private static func make(_ name: String, in directory: String) throws(SystemError) -> String {
    let path = directory + "/immure/" + name
    do throws(SystemError) { try File.makeDirectories(path) } catch { throw SystemError("mkdir", path, error.errno) }
    return path
  }

  /// Stops them; `processes` lists those that belong to the box now, and is asked again until none is outside the
  /// group, for
  /// they may fork meanwhile.
  ///
  /// A task that waits, killably, for another one of the group to answer its system call (seccomp_unotify(2)) is not frozen before it
  /// gets its answer, which it does not get while that one is frozen: with `whenNoneRuns` the box counts as stopped once no task of it
  /// is running, as each that comes back from a call is frozen before its next instruction.
  public func freeze(
    whenNoneRuns: Bool = false, _ processes: () throws(SystemError) -> [Int32]
  ) throws(SystemError) {
    while true {
      let inside = Set(try members())
      let outside = try processes().filter { !inside.contains($0) }
      if outside.isEmpty { break }
      for pid in outside {
        do throws(SystemError) {
          try File.writeExisting(path + "/cgroup.procs", "\(pid)")
        } catch  where error.errno == .noProcess {}
      }
    }
    try set(frozen: true)
    let deadline = Clock.monotonicNanoseconds() + 10_000_000_000
    while try !isFrozen() {
      if whenNoneRuns, try !hasRunningTask() { return }
      if Clock.monotonicNanoseconds() > deadline {
        try set(frozen: false)
        throw SystemError("freeze", path, .timedOut)
      }
      Clock.pause(milliseconds: 1)
      if !isUnified { try set(frozen: true) }
    }
  }

  public func thaw() throws(SystemError) { try set(frozen: false) }

  public func isFrozen() throws(SystemError) -> Bool {
    if isUnified { return Cgroup.value(of: "frozen", in: try File.text(path + "/cgroup.events")) == 1 }
    return try File.text(path + "/freezer.state").hasPrefix("FROZEN")
  }

  private func set(frozen: Bool) throws(SystemError) {
    if isUnified { return try File.writeExisting(path + "/cgroup.freeze", frozen ? "1" : "0") }
    try File.writeExisting(path + "/freezer.state", frozen ? "FROZEN" : "THAWED")
  }

  /// Whether a thread of the group has the state R (proc_pid_stat(5)).
  private func hasRunningTask() throws(SystemError) -> Bool {
    for pid in try members() {
      // Whoever is gone does not run.
      for task in (try? File.names(inDirectory: "/proc/\(pid)/task")) ?? [] {
        let text = (try? File.text("/proc/\(pid)/task/\(task)/stat")) ?? ""
        // The name, in parentheses, may hold anything.
        if let end = text.lastIndex(of: ")"), text[end...].dropFirst(2).first == "R" { return true }
      }
    }
    return false
  }

  private func members() throws(SystemError) -> [Int32] {
    try Cgroup.processes(in: path)
  }
}

extension CgroupFreezer {
  /// The group of a box that stands in version 2.
  public init(group path: String) { self.init(path: path, isUnified: true) }

  /// Freezer groups that were made for a box of this name.
  public static func leftovers(_ name: String, layout: CgroupLayout = .detect()) -> [CgroupFreezer] {
    guard layout.mode != .unified else { return [] }
    var found: [CgroupFreezer] = []
    for (directory, isUnified) in [(layout.mountPoint + "/freezer", false), (layout.mountPoint + "/unified", true)] {
      let path = directory + "/immure/" + name
      if File.exists(path) { found.append(CgroupFreezer(path: path, isUnified: isUnified)) }
    }
    return found
  }

  /// Removes them; their processes have been killed.
  public static func removeLeftovers(_ name: String) throws(SystemError) {
    for freezer in leftovers(name) {
      try Cgroup(places: [Cgroup.Place(controller: freezer.isUnified ? nil : .freezer, path: freezer.path)]).remove()
    }
  }
}
