import Formats
import Linux
import Options
import Policy
import Walls

/// What one verb works with: the machine, the state root, the walls.
final class RuntimeSession {
  let host = Host()
  let store: SandboxStore
  let walls: [any Wall]
  let log: RuntimeLog
  /// The wall that the name called asks for.
  private let named: WallName?
  /// Whether control groups of containers that are made now are systemd's to make.
  let usesSystemd: Bool

  init(
    _ command: ParsedCommand, _ global: ParsedCommand, walls: [any Wall], wall: WallName?, log: RuntimeLog
  ) throws(RuntimeFailure) {
    self.walls = walls
    self.log = log
    named = wall
    usesSystemd = global.flag("systemd-cgroup")
    if usesSystemd, !File.exists("/run/systemd/system") {
      throw RuntimeFailure(
        "systemd cgroup flag passed, but systemd support for managing cgroups is not available: systemd does not run here (/run/systemd/system is absent)"
      )
    }
    if let rootless = global.value("rootless"), !["true", "false", "auto"].contains(rootless) {
      throw RuntimeFailure("--rootless \"\(FormatError.presentable(rootless))\": true, false or auto")
    }
    store = SandboxStore(root: try RuntimeSession.root(command.value("root") ?? global.value("root"), host))
  }

  var version: String { Help.version }

  /// Clients name the same root in every verb, or none in any; some run verbs without PATH and HOME.
  private static func root(_ given: String?, _ host: Host) throws(RuntimeFailure) -> String {
    if let given {
      if given.isEmpty { throw RuntimeFailure("--root: an empty path") }
      return RuntimePath.absolute(given)
    }
    // Root of the machine is asked for /run; root of a user namespace is some user's.
    if Process.effectiveUser == 0 && host.inInitialUserNamespace { return "/run/immure-oci" }
    if let folder = Process.environment("XDG_RUNTIME_DIR"), folder.hasPrefix("/") { return folder + "/immure-oci" }
    if Process.effectiveUser == 0 { return "/run/immure-oci" }
    throw RuntimeFailure("XDG_RUNTIME_DIR is not set: give --root DIR")
  }

  /// The wall for a bundle: its annotation's, else the one whose name was called, else the first.
  func wall(for configuration: RuntimeConfiguration) throws(RuntimeFailure) -> any Wall {
    let annotation = "dev.immure.wall"
    guard let word = configuration.annotations[annotation] ?? named?.rawValue else { return walls[0] }
    for wall in walls where wall.name.rawValue == word { return wall }
    let names = walls.map(\.name.rawValue).joined(separator: " and ")
    throw RuntimeFailure(
      "annotation \(annotation)=\(FormatError.presentable(word)): there is no such wall; there are \(names)")
  }

  func open(_ record: SandboxRecord) throws(RuntimeFailure) -> any Sandbox {
    for wall in walls where wall.name == record.wall {
      do throws(WallError) { return try wall.open(record, on: host) } catch { throw RuntimeFailure(error) }
    }
    throw RuntimeFailure(
      "container \(record.name) stands behind the wall \(record.wall.rawValue), which this immure does not have")
  }
}

/// Paths as a command line gives them.
enum RuntimePath {
  /// Against the current folder, without "." and double slashes; ".." stays, for a link may stand before it.
  static func absolute(_ path: String) -> String {
    let whole = path.hasPrefix("/") ? path : currentFolder + "/" + path
    var path = ""
    for part in whole.utf8.split(separator: UInt8(ascii: "/")) where !part.elementsEqual(".".utf8) {
      path += "/" + String(Substring(part))
    }
    return path.isEmpty ? "/" : path
  }

  private static var currentFolder: String {
    // A folder that was removed has no path; what is asked for beneath it is then not found.
    (try? File.readLink("/proc/self/cwd")) ?? "/"
  }
}
