import CLinux
public import Linux

/// A user namespace in which a caller who is not root owns a range of ids, so that layers can be unpacked and removed with the
/// owners they have inside.
public enum OwnNamespace {
  public enum Ids: Sendable, Equatable {
    /// Root of the machine (or of a namespace with a range of ids) needs none.
    case all
    /// The caller's subordinate ids are mapped (subuid(5)).
    case range
    /// Only the caller's own id: every file is his.
    case one
  }

  /// Moves this process there and says which ids it has. Only sound while this process has one thread.
  public static func enter() throws(SystemError) -> Ids {
    if Process.effectiveUser == 0 { return .all }
    if let map = SubordinateIDs.mapForCaller(), try enter(map) { return .range }
    return .one
  }

  /// False where namespaces or the map are refused: the caller then goes on as he is.
  private static func enter(_ map: UserNamespaceMap) throws(SystemError) -> Bool {
    // newuidmap must run outside: a child that stays there does it once we have left.
    let parent = Process.id
    let toHelper = try DescriptorPair.pipe()
    let fromHelper = try DescriptorPair.pipe()
    guard let helper = try Process.clone(CloneArguments(flags: 0)) else {
      do throws(SystemError) {
        if try File.read(toHelper.first.rawValue, atMost: 1) == [1] {
          try map.write(pid: parent)
          try File.writeAll(fromHelper.second.rawValue, [1])
        }
        Process.exit(0)
      } catch {
        Process.exit(1)
      }
    }
    let left: Bool
    do throws(SystemError) {
      try Namespaces.unshare(Namespaces.user)
      left = true
    } catch {
      left = false
    }
    try File.writeAll(toHelper.second.rawValue, [left ? 1 : 0])
    let status = try helper.wait()
    guard left else { return false }
    guard status == .exited(0) else {
      throw SystemError("newuidmap", "/etc/subuid names a range that the system refuses", .notPermitted)
    }
    // Full capabilities came with the namespace; the ids become root's inside.
    try Identity.setGroup(0)
    try Identity.setUser(0)
    return true
  }

  /// Runs `body` in a child in the namespace, where the caller is not root; else here.
  static func run(_ body: () throws(SystemError) -> Void) throws(SystemError) {
    if Process.effectiveUser == 0 { return try body() }
    guard let child = try Process.clone(CloneArguments(flags: 0)) else {
      do throws(SystemError) {
        _ = try enter()
        try body()
        Process.exit(0)
      } catch {
        Process.exit(error.errno.rawValue & 0xFF)
      }
    }
    switch try child.wait() {
    case .exited(0): return
    case .exited(let code): throw SystemError("remove", "", Errno(rawValue: code))
    default: throw SystemError("remove", "", .interrupted)
    }
  }
}
