import ChildProcesses
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

  typealias Result = Finished

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
    _ arguments: String..., input: Finished.Input = "", environment: [String: String]? = nil, folder: String? = nil,
    seconds: Int = 120
  ) throws -> Result {
    try Immure.run(
      ["--root", root.path] + arguments, input: input, environment: environment, folder: folder, seconds: seconds)
  }

  /// Runs the command to its end; one that takes longer than `seconds` is killed and ends with 137.
  static func run(
    _ arguments: [String], input: Finished.Input = "", environment: [String: String]? = nil, folder: String? = nil,
    seconds: Int = 120
  ) throws -> Result {
    try command(
      [path] + arguments, input: input, environment: environment, folder: folder, seconds: seconds)
  }

  /// Runs any command to its end, killed after `seconds`.
  static func command(
    _ words: [String], input: Finished.Input = "", environment: [String: String]? = nil, folder: String? = nil,
    seconds: Int = 120
  ) throws -> Result {
    try Finished.run(
      words, environment: environment, folder: folder ?? "/", input: input, seconds: seconds, killsAtOnce: true)
  }
}
