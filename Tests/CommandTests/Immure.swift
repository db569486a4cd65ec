import Foundation
import Testing

/// The executables as a user has them, run from the outside. `IMMURE_BIN` names the folder they are in (`make test` sets it).
struct Immure {
  static let folder: String? = {
    if let set = ProcessInfo.processInfo.environment["IMMURE_BIN"] { return set }
    return nil
  }()
  static var path: String { (folder ?? "") + "/immure" }
  /// For `.enabled(if:)`: without the executables the suite is skipped, and says so.
  static var isBuilt: Bool { folder != nil && FileManager.default.isExecutableFile(atPath: path) }
  static let whyNot: Comment =
    "IMMURE_BIN does not name a folder with the executables: `make test` builds them and sets it"
  /// Whether the front is there too: a build of the core alone has none.
  static var hasFront: Bool { FileManager.default.isExecutableFile(atPath: (folder ?? "") + "/immure-front") }
  static let whyNoFront: Comment =
    "wants root and a folder in IMMURE_BIN with immure and immure-front, as `make test` has"
  static var isRoot: Bool { geteuid() == 0 }

  /// What a command printed and how it ended.
  struct Result {
    let status: Int32
    let output: String
    let error: String
  }

  /// A throw-away state root, removed when the test is over.
  final class Root {
    let path: String
    init() {
      path = NSTemporaryDirectory() + "immure-test-\(UUID().uuidString.prefix(8))"
      try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      try? FileManager.default.setAttributes([.posixPermissions: 0o711], ofItemAtPath: path)
    }
    deinit {
      _ = try? Immure.run(["--root", path, "rm", "-f", "--all"])
      try? FileManager.default.removeItem(atPath: path)
    }
  }

  let root: Root
  init() { root = Root() }

  /// Runs `immure --root ROOT ARGUMENTS` to its end, at most `seconds` long.
  @discardableResult
  func callAsFunction(
    _ arguments: String..., input: String? = nil, environment: [String: String]? = nil, folder: String? = nil,
    seconds: Int = 60
  ) throws -> Result {
    try Immure.run(
      ["--root", root.path] + arguments, input: input, environment: environment, folder: folder, seconds: seconds)
  }

  /// Runs the command to its end; one that takes longer than `seconds` is killed and ends with 137.
  static func run(
    _ arguments: [String], input: String? = nil, environment: [String: String]? = nil, folder: String? = nil,
    seconds: Int = 60
  ) throws -> Result {
    try command(
      [path] + arguments, input: input, environment: environment, folder: folder, seconds: seconds)
  }

  /// Runs any command to its end, killed after `seconds`.
  static func command(
    _ words: [String], input: String? = nil, environment: [String: String]? = nil, folder: String? = nil,
    seconds: Int = 60
  ) throws -> Result {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
    process.arguments = ["-s", "KILL", "\(seconds)"] + words
    if let environment { process.environment = environment }
    process.currentDirectoryURL = URL(fileURLWithPath: folder ?? "/")
    let output = Pipe()
    // A file, not a second pipe: reading both would want a second thread, and waiting tests may hold all of Dispatch's.
    let errors = NSTemporaryDirectory() + "immure-test-stderr-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: errors) }
    try Data().write(to: URL(fileURLWithPath: errors))
    process.standardOutput = output
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
    if let input {
      let pipe = Pipe()
      process.standardInput = pipe
      try process.run()
      pipe.fileHandleForWriting.write(Data(input.utf8))
      try pipe.fileHandleForWriting.close()
    } else {
      process.standardInput = FileHandle.nullDevice
      try process.run()
    }
    let outputData = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let status = process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    return Result(
      status: status, output: String(decoding: outputData, as: UTF8.self),
      error: String(decoding: try Data(contentsOf: URL(fileURLWithPath: errors)), as: UTF8.self))
  }
}
