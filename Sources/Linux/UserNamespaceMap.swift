import CLinux

/// One line of uid_map or gid_map (user_namespaces(7)): `count` ids from `inside` in the namespace are those from
/// `outside`.
public struct IDRange: Sendable, Equatable {
  public var inside: UInt32
  public var outside: UInt32
  public var count: UInt32
  public init(inside: UInt32, outside: UInt32, count: UInt32) {
    self.inside = inside
    self.outside = outside
    self.count = count
  }

  /// The id outside of an id inside; nil when it is not of this range.
  public func outside(of id: UInt32) -> UInt32? {
    id >= inside && id - inside < count ? outside + (id - inside) : nil
  }
}

/// How the ids of a user namespace are written, and by whom.
public struct UserNamespaceMap: Sendable, Equatable {
  public enum Means: Sendable, Equatable {
    /// This process writes the maps itself; setgroups stays allowed.
    case direct
    /// This process may map its own single id only; setgroups is denied first (user_namespaces(7)).
    case single
    /// newuidmap and newgidmap write them, as /etc/subuid and /etc/subgid allow (shadow-utils).
    case helpers
  }
  public var users: [IDRange]
  public var groups: [IDRange]
  public var means: Means

  public init(users: [IDRange], groups: [IDRange], means: Means) {
    self.users = users
    self.groups = groups
    self.means = means
  }

  /// The file's text.
  static func text(_ ranges: [IDRange]) -> String {
    var text = ""
    for range in ranges { text += "\(range.inside) \(range.outside) \(range.count)\n" }
    return text
  }

  /// Writes the maps of a child that stands in a new user namespace and waits.
  public func write(pid: Int32) throws(SystemError) {
    switch means {
    case .direct:
      try File.writeExisting("/proc/\(pid)/uid_map", UserNamespaceMap.text(users))
      try File.writeExisting("/proc/\(pid)/gid_map", UserNamespaceMap.text(groups))
    case .single:
      try File.writeExisting("/proc/\(pid)/setgroups", "deny")
      try File.writeExisting("/proc/\(pid)/uid_map", UserNamespaceMap.text(users))
      try File.writeExisting("/proc/\(pid)/gid_map", UserNamespaceMap.text(groups))
    case .helpers:
      let first = try UserNamespaceMap.spawn("newuidmap", pid, users)
      let second = try UserNamespaceMap.spawn("newgidmap", pid, groups)
      try UserNamespaceMap.finish(first, "newuidmap")
      try UserNamespaceMap.finish(second, "newgidmap")
    }
  }

  /// Where the helpers are, if both are installed.
  public static func helper(_ name: String) -> String? {
    for folder in ["/usr/bin", "/bin", "/usr/local/bin"] where File.exists(folder + "/" + name) {
      return folder + "/" + name
    }
    return nil
  }

  private static func spawn(_ name: String, _ pid: Int32, _ ranges: [IDRange]) throws(SystemError) -> Child {
    guard let path = helper(name) else { throw SystemError("exec", name, .noEntry) }
    let numbers = ranges.flatMap { ["\($0.inside)", "\($0.outside)", "\($0.count)"] }
    guard let child = try Process.clone(CloneArguments(flags: 0)) else {
      _ = Process.execute(path, arguments: [path, "\(pid)"] + numbers, environment: ["PATH=/usr/bin:/bin"])
      Process.exit(127)
    }
    return child
  }

  private static func finish(_ child: consuming Child, _ name: String) throws(SystemError) {
    let status = try child.wait()
    if status != .exited(0) { throw SystemError(name, "it ended with \(status?.code ?? -1)", .notPermitted) }
  }
}

/// Ranges of ids that a user may give to user namespaces: /etc/subuid and /etc/subgid (subuid(5)).
public enum SubordinateIDs {
  /// The ranges of a user, named or by number, in the file's order: "NAME:START:COUNT" lines. Lines that are none are
  /// left out.
  public static func ranges(in text: String, user: UInt32, name: String?) -> [(start: UInt32, count: UInt32)] {
    var found: [(start: UInt32, count: UInt32)] = []
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 3, parts[0] == "\(user)" || (name != nil && parts[0] == name!) else { continue }
      guard let start = UInt32(parts[1]), let count = UInt32(parts[2]), count > 0,
        !start.addingReportingOverflow(count).overflow
      else { continue }
      found.append((start, count))
    }
    return found
  }

  /// Id 0 inside is `own`; 1 and up are the subordinate ranges, up to 65536 ids in all.
  public static func map(own: UInt32, ranges: [(start: UInt32, count: UInt32)]) -> [IDRange] {
    var map = [IDRange(inside: 0, outside: own, count: 1)]
    var next: UInt32 = 1
    for range in ranges where next < 65536 {
      let count = min(range.count, 65536 - next)
      map.append(IDRange(inside: next, outside: range.start, count: count))
      next += count
    }
    return map
  }

  /// A user's name in the text of /etc/passwd; nil where it is not there.
  public static func userName(_ user: UInt32, passwd: String) -> String? {
    for line in passwd.split(separator: "\n") {
      let parts = line.split(separator: ":", omittingEmptySubsequences: false)
      if parts.count >= 3, parts[2] == "\(user)" { return String(parts[0]) }
    }
    return nil
  }

  /// The map for this user from the files of the machine; nil when it has no ranges or the helpers are not installed.
  public static func mapForCaller() -> UserNamespaceMap? {
    let user = Process.effectiveUser
    guard UserNamespaceMap.helper("newuidmap") != nil, UserNamespaceMap.helper("newgidmap") != nil,
      let users = try? File.text("/etc/subuid"), let groups = try? File.text("/etc/subgid")
    else { return nil }
    let name = (try? File.text("/etc/passwd")).flatMap { userName(user, passwd: $0) }
    let userRanges = ranges(in: users, user: user, name: name)
    let groupRanges = ranges(in: groups, user: user, name: name)
    if userRanges.isEmpty || groupRanges.isEmpty { return nil }
    return UserNamespaceMap(
      users: map(own: user, ranges: userRanges), groups: map(own: Process.effectiveGroup, ranges: groupRanges),
      means: .helpers)
  }
}
