import ChildProcesses
import Foundation
import Testing

/// A machine of its own in which containerd and dockerd run as the documents say they are set up: world.sh makes it.
///
/// What ends it is the end of its input: it goes with this process, however that ends.
final class World: @unchecked Sendable {
  @TaskLocal static var current: World?

  static let immure = (ProcessInfo.processInfo.environment["IMMURE_BIN"] ?? "") + "/immure"
  static let packages = [
    "containerd", "dockerd", "ctr", "buildah", "busybox", "unshare", "nsenter", "iptables", "curl",
  ]
  /// Why there can be no such machine here; nil where there can.
  static let obstacle: String? = {
    let manager = FileManager.default
    if geteuid() != 0 { return "engines' daemons want root" }
    if !manager.isExecutableFile(atPath: immure) {
      return "wants a folder in IMMURE_BIN with immure: `make test` has one"
    }
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    let missing = packages.filter { name in
      !folders.contains { manager.isExecutableFile(atPath: $0 + "/" + name) }
    }
    if !missing.isEmpty { return "wants \(missing.joined(separator: ", ")): Scripts/install-packages.sh test" }
    let pids = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].first { manager.fileExists(atPath: $0 + "/cgroup.procs") }
    guard let pids, manager.isWritableFile(atPath: pids) else { return "wants control groups that can be made" }
    return nil
  }()

  typealias Result = Finished

  /// Outside and inside the same.
  let folder: String
  private let process: Child
  private let hold = Pipe()
  private var first = ""

  /// `blocks`: what the documents put into which file below /etc.
  init(blocks: [String: String]) throws {
    folder = NSTemporaryDirectory() + "immure-engines-\(UUID().uuidString.prefix(8))"
    let manager = FileManager.default
    var blocks = blocks
    blocks["/etc/containerd/config.toml"]? += Self.pods
    for (path, text) in blocks {
      let file = folder + path
      try manager.createDirectory(
        atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      try text.write(toFile: file, atomically: true, encoding: .utf8)
    }
    try Self.daemons.write(toFile: folder + "/run.sh", atomically: true, encoding: .utf8)
    let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "world.sh").path
    process = try Child(
      ["bash", script, folder, Self.immure], environment: Self.environment,
      input: .descriptor(hold.fileHandleForReading.fileDescriptor), output: folder + "/world.log",
      error: folder + "/world.log")
    try Self.eventually("the world stands: \(read("world.log"))") {
      if process.hasEnded { return true }
      first = read("pid").trimmingCharacters(in: .whitespacesAndNewlines)
      return !first.isEmpty
    }
    try #require(!process.hasEnded, "\(read("world.log"))")
    // A third party's: on a busy machine it may take its time.
    try Self.eventually("dockerd answers: \(read("daemons.log").suffix(2000))", seconds: 120) {
      try run("docker", "version").status == 0
    }
    try Image.write(to: folder + "/tiny.tar")
  }

  /// Both end with the world.
  private static let daemons = """
    exec >"$(dirname "$0")/daemons.log" 2>&1
    containerd &
    # One that gave up waiting for the other on a busy machine is started again.
    for _ in 1 2 3; do
      dockerd --containerd /run/containerd/containerd.sock --exec-opt native.cgroupdriver=cgroupfs && break
    done
    """

  /// What pods want on a machine without registries, AppArmor and CAP_SYS_RESOURCE, whatever the runtime.
  private static let pods = """

    [plugins."io.containerd.grpc.v1.cri"]
      sandbox_image = "\(Image.name)"
      restrict_oom_score_adj = true
      disable_apparmor = true

    """

  private func read(_ name: String) -> String {
    // Absent is empty: it is asked for again.
    (try? String(contentsOfFile: folder + "/" + name, encoding: .utf8)) ?? ""
  }

  /// Ends everything in it, waits for that, and removes it. Returns the control groups that are left.
  func end() throws -> [String] {
    try hold.fileHandleForWriting.close()
    _ = process.wait()
    let left = try Self.command([
      "find", "/sys/fs/cgroup", "-type", "d", "-name", "immure-engines-\(process.pid)",
    ])
    return left.output.split(separator: "\n").map(String.init)
  }

  /// Runs a command in the world to its end; one that takes longer than `seconds` is killed.
  @discardableResult
  func run(_ words: String..., input: Finished.Input = "", seconds: Int = 90) throws -> Result {
    try run(words: words, input: input, seconds: seconds)
  }

  /// A line for the world's shell.
  @discardableResult
  func shell(_ line: String, seconds: Int = 90) throws -> Result {
    try run(words: ["bash", "-c", line], input: "", seconds: seconds)
  }

  /// The same at a terminal of script(1)'s, at which nobody types.
  func atTerminal(_ line: String, seconds: Int = 90) throws -> Result {
    try run(words: ["script", "-qec", line, "/dev/null"], input: .silence, seconds: seconds)
  }

  /// The same with the words in an array.
  @discardableResult
  func run(words: [String], input: Finished.Input = "", seconds: Int = 90) throws -> Result {
    try Self.command(
      [
        "nsenter", "--target", first, "--mount", "--net", "--cgroup", "--uts", "--ipc", "--pid", "--", "env", "-i",
        "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=xterm", "timeout", "-k", "2",
        "\(seconds)",
      ] + words, input: input)
  }

  /// Asks again until it is so, within a bound.
  static func eventually(
    _ what: @autoclosure () -> String, seconds: Double = 90, _ isSo: () throws -> Bool
  ) throws {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while try !isSo() {
      try #require(Date() < deadline, "not after \(seconds) seconds: \(what())")
      usleep(50_000)
    }
  }

  private static let environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"]

  static func command(_ words: [String], input: Finished.Input = "") throws -> Result {
    // The world's own timeout ends what hangs in it, and ours what hangs at its door.
    try Finished.run(words, environment: environment, input: input, seconds: 180)
  }
}

/// Gives every test of a suite one world, and looks that nothing of it is left.
struct InOneWorld: SuiteTrait, TestScoping {
  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let world = try World(blocks: Documents.blocks())
    do { try await World.$current.withValue(world, operation: function) } catch {
      _ = try world.end()
      throw error
    }
    #expect(try world.end() == [], "control groups that nobody is in any more")
  }
}

extension Finished {
  /// Without the end of the last line.
  var line: String { output.trimmingCharacters(in: .whitespacesAndNewlines) }
}
