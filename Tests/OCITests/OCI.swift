import ChildProcesses
import Foundation
import Linux
import Testing

/// The runtime as clients call it, on hand-made bundles with busybox as their whole root, in a state root that goes with the test.
final class OCI {
  static let folder = ProcessInfo.processInfo.environment["IMMURE_BIN"] ?? ""
  static let busybox = ["/usr/bin/busybox", "/bin/busybox"].first { FileManager.default.isExecutableFile(atPath: $0) }
  static var canRun: Bool {
    FileManager.default.isExecutableFile(atPath: folder + "/immure") && geteuid() == 0 && busybox != nil
  }
  static let whyNot: Comment =
    "wants root, busybox-static, and a folder in IMMURE_BIN with immure: `make test` has them"

  /// What a command printed and how it ended.
  typealias Result = Finished

  /// The names under which a container's whole life must be the same.
  static let names = ["immure-oci", sentry]
  static let sentry = "immure-sentry"
  /// And where nothing enters the container but its first program.
  static let namesWithoutExec = names + [jail]
  static let jail = "immure-jail"

  let path: String
  /// The program under the name of a runtime.
  let program: String
  private var containers: [String] = []

  init(name: String = "immure-oci") throws {
    path = NSTemporaryDirectory() + "immure-oci-\(UUID().uuidString.prefix(8))"
    program = path + "/" + name
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: program, withDestinationPath: Self.folder + "/immure")
  }

  deinit {
    for id in containers { _ = try? run("delete", "--force", id) }
    try? FileManager.default.removeItem(atPath: path)
  }

  /// An id that no other test has; deleted when the test is over.
  func newID(_ word: String = "c") -> String {
    let id = "\(word)-\(UUID().uuidString.prefix(8).lowercased())"
    containers.append(id)
    return id
  }

  /// A bundle whose program is `command`; `change` has the last word about its configuration.
  func bundle(_ command: [String], _ change: (inout [String: Any]) -> Void = { _ in }) throws -> String {
    let bundle = path + "/bundle-\(UUID().uuidString.prefix(8))"
    let root = bundle + "/rootfs"
    for folder in ["bin", "etc", "tmp", "proc", "sys", "dev", "root", "run"] {
      try FileManager.default.createDirectory(atPath: root + "/" + folder, withIntermediateDirectories: true)
    }
    try FileManager.default.copyItem(atPath: Self.busybox ?? "", toPath: root + "/bin/busybox")
    for name in ["sh", "true", "false", "sleep", "cat", "id", "echo", "env", "ls", "tty", "kill", "wc", "pwd"] {
      try FileManager.default.createSymbolicLink(atPath: root + "/bin/" + name, withDestinationPath: "busybox")
    }
    var configuration = try configuration()
    var process = configuration["process"] as? [String: Any] ?? [:]
    process["args"] = command
    process["env"] = ["PATH=/bin"]
    process["terminal"] = false
    configuration["process"] = process
    configuration["root"] = ["path": "rootfs", "readonly": false]
    change(&configuration)
    try JSONSerialization.data(withJSONObject: configuration).write(to: URL(fileURLWithPath: bundle + "/config.json"))
    return bundle
  }

  /// What `spec` writes.
  func configuration(_ flags: String...) throws -> [String: Any] {
    let folder = path + "/spec-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let result = try Self.command([program, "spec", "--bundle", folder] + flags)
    #expect(result.status == 0, "\(result.error)")
    let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/config.json"))
    return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
  }

  @discardableResult
  func run(_ arguments: String..., input: Finished.Input = "", seconds: Int = 60) throws -> Result {
    try Self.command([program, "--root", path + "/state"] + arguments, input: input, seconds: seconds)
  }

  /// `create` with the container's output in a file, whose path it returns: a pipe would be held open by the container.
  func create(_ id: String, _ bundle: String, _ flags: String...) throws -> String {
    let output = path + "/output-\(id)"
    let words = [program, "--root", path + "/state", "create", "--bundle", bundle] + flags + [id]
    let result = try Self.command(
      ["/bin/sh", "-c", "exec \"$@\" > '\(output)' 2> '\(output).error' < /dev/null", "x"] + words)
    let error = (try? String(contentsOfFile: output + ".error", encoding: .utf8)) ?? ""
    try #require(result.status == 0, "\(error)")
    return output
  }

  func status(_ id: String) throws -> String? { try run("state", id).json["status"] as? String }

  /// Waits, within a bound, until the container's status is this.
  func wait(_ id: String, _ status: String) throws {
    let deadline = Date(timeIntervalSinceNow: 120)
    while try self.status(id) != status {
      guard Date() < deadline else {
        Issue.record("\(id) is \(try self.status(id) ?? "gone"), not \(status), after 120 seconds")
        return
      }
      usleep(20_000)
    }
  }

  /// Waits, within a bound, for a file with something in it.
  static func text(of path: String, until isWhole: (String) -> Bool = { !$0.isEmpty }) throws -> String {
    let deadline = Date(timeIntervalSinceNow: 120)
    while true {
      let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
      if isWhole(text) || Date() > deadline { return text }
      usleep(20_000)
    }
  }

  /// Runs a command to its end; one that takes longer than `seconds` is killed.
  static func command(
    _ words: [String], input: Finished.Input = "", environment: [String: String]? = nil, seconds: Int = 60
  ) throws -> Result {
    try Finished.run(words, environment: environment, input: input, seconds: seconds)
  }
}

extension Finished {
  var json: [String: Any] {
    // No object is none: what is looked for in it is missed.
    (try? JSONSerialization.jsonObject(with: Data(output.utf8))) as? [String: Any] ?? [:]
  }
}
