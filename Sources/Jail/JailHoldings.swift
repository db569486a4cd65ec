import CLinux
import Confinement
import Linux
import Walls

/// What a jail has of the host and must give back: processes first, then names.
struct JailHoldings: BoxHoldings {
  let id: String
  var user: JailUser?
  var cgroup: Cgroup?
  /// The private folder of a jail without a root of its own.
  var home: String?

  init(id: String) { self.id = id }

  /// From a sandbox's record.
  init(id: String, details: [String: String]) {
    self.id = id
    user = details["user"].flatMap { UInt32($0) }.flatMap(JailUser.init(id:))
    cgroup = details["cgroup"].map(Cgroup.init(text:))
    if let path = details["home"], path == Self.home(of: id) { home = path }
  }

  var details: [String: String] {
    var details: [String: String] = [:]
    if let user { details["user"] = "\(user.id)" }
    if let cgroup { details["cgroup"] = cgroup.text }
    if let home { details["home"] = home }
    return details
  }

  static func home(of id: String) -> String { "/tmp/immure-\(id)" }

  /// By its user, its groups, or down the tree of the first process; orphans come to the parent.
  func end(_ first: BoxLife.First?, isParent: Bool) throws(SystemError) {
    if let user { return try UserEnd.killAll(of: user) }
    if let cgroup { try cgroup.killAll() }
    if let process = first?.process { try TreeEnd.kill(process) }
    if isParent { try TreeEnd.killOrphans(but: first?.process.pid) }
  }

  func endRest() throws(SystemError) {
    // A jail's process is born into the group and has no way out of it: who removes it has seen that none is left.
    if user != nil, let cgroup, try cgroup.removeIfEmpty() { return }
    try end(nil, isParent: true)
  }

  /// Gives the names back; all processes have ended.
  func free(isParent: Bool) throws(WallError) {
    do throws(SystemError) {
      if let cgroup, user != nil, try cgroup.removeIfEmpty() {
        // As `endRest` has it.
      } else {
        if let user { try UserEnd.killAll(of: user) }
        try cgroup?.remove()
      }
      if let home, File.exists(home) {
        // Its supervisor and the command that ends the box may both be here: what the other one removed is gone as well.
        do throws(SystemError) { try File.removeTree(home) } catch  where error.errno == .noEntry {
          if File.exists(home) { try File.removeTree(home) }
        }
      }
    } catch {
      throw WallError("sandbox \(id)", error)
    }
  }
}
