import ChildProcesses
import Foundation
import Linux
import Synchronization
import Testing

/// Who calls immure.
enum Caller: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case root
  /// An account of its own with a range in /etc/subuid, as a person at a machine has it.
  case user
  /// Inside a user namespace that maps one id, as in an unprivileged container: no range, no setgroups, no cgroup.
  case oneID

  var testDescription: String {
    switch self {
    case .root: "root"
    case .user: "user"
    case .oneID: "one-id namespace"
    }
  }

  /// What makes a command this caller's.
  var words: [String] {
    let environment = ["env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"]
    switch self {
    case .root: return environment + ["HOME=/root"]
    case .user:
      return ["setpriv", "--reuid", Self.account, "--regid", Self.account, "--init-groups", "--inh-caps=-all"]
        + environment + ["HOME=/home/\(Self.account)"]
    case .oneID:
      return ["setpriv", "--reuid", "\(Self.lone)", "--regid", "\(Self.lone)", "--clear-groups", "--inh-caps=-all"]
        + environment + ["HOME=/nonexistent", "unshare", "--user", "--map-root-user"]
    }
  }

  /// For chown.
  var owner: String {
    switch self {
    case .root: "0"
    case .user: Self.account
    case .oneID: "\(Self.lone)"
    }
  }

  static let account = "immuretest"
  private static let lone = 48766

  /// The account is there, made if it was not; false where that cannot be.
  static let hasAccount: Bool = {
    func exists() -> Bool { (try? Immure.command(["id", account]).status) == 0 }
    if exists() { return true }
    // Its home and its range of ids are what useradd gives anybody.
    _ = try? Immure.command(["/usr/sbin/useradd", "-m", account])
    return exists()
  }()

  static let canBeAnybody: Bool = Immure.isBuilt && Immure.isRoot && hasAccount
  static let whyNotAnybody: Comment =
    "wants root, IMMURE_BIN with the executables, and useradd (passwd) to make the account \"immuretest\""

  /// A copy of the command that everybody may run: a build folder may be closed to others. Removed when the tests end.
  static let executable: String = {
    let folder = NSTemporaryDirectory() + "immure-bin-\(UUID().uuidString.prefix(8))"
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try? FileManager.default.copyItem(atPath: Immure.path, toPath: folder + "/immure")
    _ = try? Immure.command(["chmod", "755", folder, folder + "/immure"])
    copies.withLock { $0 = folder }
    // SAFETY: the handler touches nothing but a lock and the file system.
    atexit { Caller.copies.withLock { if let path = $0 { try? FileManager.default.removeItem(atPath: path) } } }
    return folder + "/immure"
  }()
  private static let copies = Mutex<String?>(nil)

  /// The front beside the command that everybody may run; copied once, whatever runs at the same time.
  static let hasFrontBeside: Bool = {
    let folder = (executable as NSString).deletingLastPathComponent
    let front = (Immure.path as NSString).deletingLastPathComponent + "/immure-front"
    return (try? Immure.command(["install", "-m", "755", front, folder]).status) == 0
  }()
}

/// One caller's state root, and a mark that its boxes' processes carry in their arguments. Everything is cleared and looked for when
/// `close` is called.
struct Station {
  let caller: Caller
  let root: String
  /// A number that no other process has in its command line.
  let mark: String

  init(_ caller: Caller) throws {
    self.caller = caller
    let name = UUID().uuidString.prefix(8).lowercased()
    root = "/tmp/immure-st-\(name)"
    mark = "\(Int.random(in: 1_000_000_000...9_999_999_999))"
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    _ = try Immure.command(["chown", caller.owner, root])
    _ = try Immure.command(["chmod", "711", root])
  }

  /// Runs a shell script in which `immure` is the command with this root, `box` is `immure run` behind the wall, and $W, $R and $M
  /// are the wall, the root and the mark.
  /// - Parameter options: what every `box` has besides, split at blanks.
  func script(_ text: String, wall: String = "container", options: String = "", seconds: Int = 120) throws
    -> Immure.Result
  {
    let prelude = """
      B=\(Caller.executable) R=\(root) M=\(mark) W=\(wall)
      immure() { "$B" --root "$R" "$@"; }
      box() { "$B" --root "$R" run --wall "$W" \(options) "$@"; }

      """
    // Into files: a process that outlives the script must not keep the test waiting for the end of a pipe.
    let output = "/tmp/immure-out-\(UUID().uuidString)"
    defer {
      for path in [output, output + ".err"] { try? FileManager.default.removeItem(atPath: path) }
    }
    let words = (caller.words + ["sh", "-c", prelude + text]).map {
      "'" + $0.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
    let ended = try Immure.command(
      ["sh", "-c", words.joined(separator: " ") + " > \(output) 2> \(output).err"], folder: "/", seconds: seconds)
    func contents(_ path: String) -> String {
      String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }
    return Immure.Result(status: ended.status, output: contents(output), error: contents(output + ".err"))
  }

  /// Removes every sandbox, then the root, and tells what was left of it: processes with the mark, mounts and control groups.
  func close() throws -> [String] {
    // As root, who may do it for anybody.
    let removal = try Immure.run(["--root", root, "rm", "-f", "--all"])
    var left: [String] = []
    if removal.status != 0 { left.append("rm -f --all: \(removal.error)") }
    left += try leftovers()
    try FileManager.default.removeItem(atPath: root)
    return left
  }

  /// What the machine still has of this station's boxes.
  func leftovers() throws -> [String] {
    var left: [String] = []
    // A script's own: a reader of logs, or a shell in its background, ends with the box, a moment after it.
    for process in Machine.processes(containing: mark)
    where process.command.contains(" logs -f ") || process.command.contains("immure() {") {
      Machine.awaitEnd(of: process.pid)
    }
    left += Machine.processes(containing: mark).map { "process: \($0.pid) \($0.command)" }
    let mounts = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
    for line in mounts.split(separator: "\n") where line.contains(root) { left.append("mount: \(line)") }
    let folders = (try? FileManager.default.contentsOfDirectory(atPath: root + "/sandboxes")) ?? []
    for folder in folders { left.append("sandbox: \(folder)") }
    return left
  }
}

/// What is looked at on the host, outside every box.
enum Machine {
  /// Waits until the process has ended, at most two minutes.
  static func awaitEnd(of pid: Int32) {
    // Gone already, or never there: as well.
    guard let handle = try? Linux.Process.open(pid: pid) else { return }
    _ = try? Readiness.wait(handle.rawValue, milliseconds: 120_000)
  }

  /// The processes whose command line holds `text`.
  static func processes(containing text: String) -> [(pid: Int32, command: String)] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { name in
      // One that has ended since it was listed is not there any more.
      guard let pid = Int32(name), let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else {
        return nil
      }
      let command = String(decoding: bytes.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
      return command.contains(text) ? (pid, command) : nil
    }
  }
}

/// A script of a station came to its last line, which prints "done"; else what it printed and said is told.
func expectDone(_ result: Immure.Result, _ line: SourceLocation = #_sourceLocation) {
  #expect(
    result.output.hasSuffix("done\n"), "printed: \(result.output.suffix(2500)) said: \(result.error.suffix(1500))",
    sourceLocation: line)
}
