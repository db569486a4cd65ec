import ChildProcesses
import Foundation
import Testing

/// A state root, bundles with busybox and the attacker's tools in them, and the runtime as clients call it. All of it goes with the test.
final class Rig {
  static let folder = ProcessInfo.processInfo.environment["IMMURE_BIN"] ?? ""
  static let isWhole = ProcessInfo.processInfo.environment["IMMURE_TEST_ALL"] == "1"
  private static let busybox = ["/usr/bin/busybox", "/bin/busybox"].first { isExecutable($0) }
  private static let compiler = ["/usr/bin/musl-gcc", "/usr/local/bin/musl-gcc"].first { isExecutable($0) }
  static var canRun: Bool {
    isExecutable(folder + "/immure") && geteuid() == 0 && busybox != nil && compiler != nil
  }
  static let whyNot: Comment =
    "wants root, busybox-static, musl-tools, and a folder in IMMURE_BIN with immure: `make test` has them"

  private static func isExecutable(_ path: String) -> Bool { FileManager.default.isExecutableFile(atPath: path) }

  /// Tests/Fixtures/escapes/attack.c as a static program.
  private static let attackProgram: Data? = {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let output = NSTemporaryDirectory() + "immure-attack-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: output) }
    let source = tests.path + "/Fixtures/escapes/attack.c"
    let result = try? command([compiler ?? "", "-static", "-O2", "-o", output, source])
    guard result?.status == 0 else { return nil }
    return FileManager.default.contents(atPath: output)
  }()

  typealias Result = Finished

  let path: String
  let program: String
  /// The attacker's tools, for use outside of a container.
  let attack: String
  private var containers: [String] = []
  private var helpers: [Child] = []

  /// - Parameter ownsProgram: whether nobody else runs the same file, so that no other command's running it keeps it from being written.
  init(ownsProgram: Bool = false, name: String = "immure-oci") throws {
    path = NSTemporaryDirectory() + "immure-escape-\(UUID().uuidString.prefix(8))"
    program = path + "/" + name
    attack = path + "/attack"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    if ownsProgram {
      try FileManager.default.copyItem(atPath: Self.folder + "/immure", toPath: program)
    } else {
      try FileManager.default.createSymbolicLink(atPath: program, withDestinationPath: Self.folder + "/immure")
    }
    try #require(Self.attackProgram, "the attacker's tools could not be compiled").write(
      to: URL(fileURLWithPath: attack))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: attack)
  }

  deinit {
    // timeout(1) leads a group of its own, in which its command is.
    for helper in helpers {
      kill(-helper.pid, SIGKILL)
      _ = helper.wait()
    }
    for id in containers { _ = try? run("delete", "--force", id) }
    try? FileManager.default.removeItem(atPath: path)
  }

  /// An id that no other test has; deleted when the test is over.
  func newID(_ word: String = "e") -> String {
    let id = "\(word)-\(UUID().uuidString.prefix(8).lowercased())"
    containers.append(id)
    return id
  }

  // MARK: Bundles

  typealias Configuration = [String: Any]

  func bundle(_ command: [String], _ change: (inout Configuration) -> Void = { _ in }) throws -> String {
    let bundle = path + "/bundle-\(UUID().uuidString.prefix(8))"
    let root = bundle + "/rootfs"
    for folder in ["bin", "etc", "tmp", "proc", "sys", "dev", "root", "run"] {
      try FileManager.default.createDirectory(atPath: root + "/" + folder, withIntermediateDirectories: true)
    }
    try FileManager.default.copyItem(atPath: Self.busybox ?? "", toPath: root + "/bin/busybox")
    try FileManager.default.copyItem(atPath: attack, toPath: root + "/attack")
    for name in ["sh", "true", "sleep", "cat", "id", "echo", "ls", "grep", "stat", "mount", "find", "pwd", "touch"] {
      try FileManager.default.createSymbolicLink(atPath: root + "/bin/" + name, withDestinationPath: "busybox")
    }
    try write(configuration(command, change), to: bundle)
    return bundle
  }

  func configuration(_ command: [String], _ change: (inout Configuration) -> Void = { _ in }) throws -> Configuration {
    var configuration = try template()
    configuration.change("process") { process in
      process["args"] = command
      process["env"] = ["PATH=/bin"]
      process["terminal"] = false
    }
    configuration["root"] = ["path": "rootfs", "readonly": false]
    change(&configuration)
    return configuration
  }

  func write(_ configuration: Configuration, to bundle: String) throws {
    try JSONSerialization.data(withJSONObject: configuration).write(to: URL(fileURLWithPath: bundle + "/config.json"))
  }

  private func template() throws -> Configuration {
    let file = path + "/config.json"
    if !FileManager.default.fileExists(atPath: file) {
      let result = try Self.command([program, "spec", "--bundle", path])
      try #require(result.status == 0, "\(result.error)")
    }
    let value = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: file)))
    return value as? Configuration ?? [:]
  }

  // MARK: Running

  func words(_ arguments: [String]) -> [String] { [program, "--root", path + "/state"] + arguments }

  @discardableResult
  func run(_ arguments: String..., input: Finished.Input = "", seconds: Int = 60) throws -> Result {
    try Self.command(words(arguments), input: input, seconds: seconds)
  }

  /// The bundle's program run to its end.
  func box(_ command: [String], _ change: (inout Configuration) -> Void = { _ in }) throws -> Result {
    try run("run", "--bundle", try bundle(command, change), newID())
  }

  /// `create` and `start`, with the container's output in a file, whose path it returns.
  func begin(_ id: String, _ bundle: String) throws -> String {
    let output = try create(id, bundle)
    let started = try run("start", id)
    try #require(started.status == 0, "\(started.error)")
    return output
  }

  func create(_ id: String, _ bundle: String) throws -> String {
    let output = path + "/output-\(id)"
    let script = "exec \"$@\" > '\(output)' 2> '\(output).error' < /dev/null"
    let result = try Self.command(["/bin/sh", "-c", script, "x"] + words(["create", "--bundle", bundle, id]))
    let error = (try? String(contentsOfFile: output + ".error", encoding: .utf8)) ?? ""
    try #require(result.status == 0, "\(error)")
    return output
  }

  func status(_ id: String) throws -> String? { try run("state", id).json["status"] as? String }
  func pid(_ id: String) throws -> Int { try #require(try run("state", id).json["pid"] as? Int) }

  /// Waits, within a bound, for a text in a file.
  static func text(of path: String, with word: String) throws -> String {
    let deadline = Date(timeIntervalSinceNow: 120)
    while true {
      let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
      if text.contains(word) || Date() > deadline { return text }
      usleep(10_000)
    }
  }

  /// Waits, within a bound, until something holds.
  static func eventually(_ holds: () throws -> Bool) rethrows -> Bool {
    let deadline = Date(timeIntervalSinceNow: 120)
    while Date() < deadline {
      if try holds() { return true }
      usleep(10_000)
    }
    return try holds()
  }

  /// A process beside the test, with its output in a file; ended with the test, or by itself after two minutes.
  func helper(_ command: [String], output: String) throws -> Child {
    let child = try Child(
      ["/usr/bin/timeout", "-s", "KILL", "120"] + command, environment: ProcessInfo.processInfo.environment,
      input: .path("/dev/null"), output: output, error: "/dev/null")
    helpers.append(child)
    return child
  }

  /// Runs a command to its end; one that takes longer than `seconds` is killed.
  static func command(_ words: [String], input: Finished.Input = "", seconds: Int = 60) throws -> Result {
    try Finished.run(words, input: input, seconds: seconds)
  }
}

extension [String: Any] {
  /// Changes an object within an object.
  mutating func change(_ key: String, _ body: (inout [String: Any]) -> Void) {
    var inner = self[key] as? [String: Any] ?? [:]
    body(&inner)
    self[key] = inner
  }

  mutating func append(_ value: Any, to key: String) { self[key] = (self[key] as? [Any] ?? []) + [value] }

  /// The same capabilities in every set but the inheritable and ambient ones.
  mutating func setCapabilities(_ names: [String]) {
    change("process") { $0["capabilities"] = ["bounding": names, "effective": names, "permitted": names] }
  }

  /// A bind or file system mount over what the template has.
  mutating func mount(_ destination: String, _ type: String, _ source: String, _ options: [String] = []) {
    append(["destination": destination, "type": type, "source": source, "options": options], to: "mounts")
  }

  /// A user namespace of its own, in which the container's root is nobody of the host's.
  mutating func mapUsers() {
    change("linux") { linux in
      linux.append(["type": "user"], to: "namespaces")
      for key in ["uidMappings", "gidMappings"] {
        linux[key] = [["containerID": 0, "hostID": 700_000, "size": 65_536]]
      }
    }
  }
}

extension Finished {
  var json: [String: Any] {
    // No object is none: what is looked for in it is missed.
    (try? JSONSerialization.jsonObject(with: Data(output.utf8))) as? [String: Any] ?? [:]
  }
}
