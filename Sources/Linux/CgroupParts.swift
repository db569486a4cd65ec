import CLinux

/// Two groups within a box's own: one for the guests of a user-space kernel, with a memory limit a little below the box's, one for who serves
/// them. When the guests use up what is theirs, the kernel looks for whom to end among them alone (cgroup-v2.rst, "Memory";
/// cgroup-v1/memory.rst, section 2.5). The box's own group stays what engines know: its limits hold for both, and it counts both.
///
/// Version 1 lets processes stand beside groups: the server stays in the box's own group, and the guests' is in the memory hierarchy only. In
/// version 2 no process may stand in a group that hands a controller on, so both go down.
public struct CgroupParts: Sendable, Equatable {
  /// The box's own group in the hierarchy that counts memory.
  let whole: Cgroup.Place
  /// The guests' folder, which is there exactly where the group has parts.
  public var guests: String { whole.path + "/" + Self.guestsName }
  var server: String { whole.path + "/" + Self.serverName }

  static let guestsName = "guests"
  static let serverName = "sentry"

  /// Those of a group that has them, or may get them.
  public init?(_ group: Cgroup) {
    guard let place = group.places.first(where: { $0.controller == .memory || $0.isUnified }) else { return nil }
    whole = place
  }

  public var isUnified: Bool { whole.isUnified }
  public var exist: Bool { File.exists(guests) }

  /// What the guests may use of a limit for all, in bytes; nil where there is none. A quarter of a limit below 32 MiB is the server's,
  /// 8 MiB of those up to 64, an eighth of others, 32 MiB at most.
  public static func share(of limit: Int64) -> Int64? {
    if limit <= 0 { return nil }
    let own = min(max(limit / 8, min(8 << 20, limit / 4)), 32 << 20)
    return limit - own
  }

  // MARK: Making

  /// Version 1: makes the guests' group.
  /// - Returns: a descriptor by which who inherits it joins (`Cgroup.join(tasks:)`).
  public func makeGuests(limit: Int64) throws(SystemError) -> FileDescriptor {
    // What stands below counts above, always so from Linux 5.11 on.
    try File.writeExisting(whole.path + "/memory.use_hierarchy", "1")
    try Self.make(guests)
    try setGuests(limit: limit)
    return try File.open(guests + "/tasks", O_WRONLY)
  }

  /// Version 2: moves the server and the guests, each with its threads, from the box's own group into theirs. Each move waits for the machine's
  /// forks, some milliseconds in all.
  public func divide(server pid: Int32, guests pids: [Int32], limit: Int64) throws(SystemError) {
    try Self.make(guests)
    try Self.make(server)
    try File.writeExisting(server + "/cgroup.procs", "\(pid)")
    for pid in pids { try File.writeExisting(guests + "/cgroup.procs", "\(pid)") }
    try File.writeExisting(whole.path + "/cgroup.subtree_control", "+memory")
    try setGuests(limit: limit)
  }

  private static func make(_ path: String) throws(SystemError) {
    do throws(SystemError) { try File.makeDirectory(path) } catch  where error.errno == .exists {}
  }

  /// - Parameter limit: for all, as the box's own group has it; none where it is not positive.
  public func setGuests(limit: Int64) throws(SystemError) {
    let share = Self.share(of: limit)
    if whole.isUnified {
      try File.writeExisting(guests + "/memory.max", share.map { "\($0)" } ?? "max")
    } else {
      try File.writeExisting(guests + "/memory.limit_in_bytes", "\(share ?? -1)")
    }
  }
}

/// Groups below a box's own: its parts, or what a box made that was given its own to manage.
extension Cgroup {
  /// The folders directly below one of a control group file system; their number is the folder's links beyond two.
  static func groups(below path: String) throws(SystemError) -> [String] {
    do throws(SystemError) {
      guard try File.status(path).st_nlink > 2 else { return [] }
      var found: [String] = []
      for name in try File.names(inDirectory: path) where File.exists(path + "/" + name + "/cgroup.procs") {
        found.append(path + "/" + name)
      }
      return found
    } catch  where error.errno == .noEntry {
      return []
    }
  }

  /// The processes of a folder and of all below it.
  /// - Throws: ENOENT where the folder is gone; also where it goes between being opened and being read, which the kernel
  ///   answers with ENODEV (kernfs_seq_start, fs/kernfs/file.c).
  static func processes(in path: String) throws(SystemError) -> [Int32] {
    let text: String
    do throws(SystemError) { text = try File.text(path + "/cgroup.procs") } catch  where error.errno == .noDevice {
      throw SystemError(error.call, error.subject, .noEntry)
    }
    var pids = text.split(separator: "\n").compactMap { Int32($0) }
    for inner in try groups(below: path) {
      // One that goes meanwhile has none.
      do throws(SystemError) { pids += try processes(in: inner) } catch  where error.errno == .noEntry {}
    }
    return pids
  }

  /// Removes all folders below one; whoever is in them has ended.
  /// - Returns: false where there are none.
  static func removeGroups(below path: String) throws(SystemError) -> Bool {
    let inner = try groups(below: path)
    for path in inner { try Cgroup(places: [Place(controller: nil, path: path)]).remove() }
    return !inner.isEmpty
  }
}
