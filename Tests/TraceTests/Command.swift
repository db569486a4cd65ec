import ChildProcesses
import Formats
import Foundation
import Testing

/// The command as a user has it: a tracer forks, which a test process with its threads must not.
struct Command {
  static let path = (ProcessInfo.processInfo.environment["IMMURE_BIN"] ?? "") + "/immure"
  static var isBuilt: Bool { FileManager.default.isExecutableFile(atPath: path) }
  static let whyNot: Comment = "IMMURE_BIN does not name a folder with immure: `make test` builds it and sets it"
  static var isRoot: Bool { geteuid() == 0 }
  static let whyNotRoot: Comment = "running behind a wall without an image wants root here"
  static let python = "/usr/bin/python3"
  static var hasPython: Bool { FileManager.default.isExecutableFile(atPath: python) }

  /// A folder for one test, which a box may see: not below /tmp or a home.
  final class Place {
    let folder: String
    init() throws {
      let parent = Command.isRoot ? "/srv" : NSTemporaryDirectory()
      folder = parent + "/immure-trace-\(UUID().uuidString.prefix(8))"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { folder + "/" + name }
    func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }
    func write(_ name: String, _ text: String) throws {
      try text.write(toFile: path(name), atomically: true, encoding: .utf8)
    }
  }

  typealias Result = Finished

  /// Runs words in a folder to their end, which comes after `seconds`.
  static func run(_ words: [String], in place: Place, environment: [String: String] = [:], seconds: Int = 60) throws
    -> Result
  {
    try Finished.run(
      words,
      environment: [
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
      ].merging(environment, uniquingKeysWith: { $1 }), folder: place.folder, seconds: seconds)
  }

  /// Traces words and reads what was seen.
  static func trace(_ words: [String], in place: Place, environment: [String: String] = [:]) throws -> (
    result: Result, seen: Seen
  ) {
    let report = place.path("report-\(UUID().uuidString).json")
    defer { try? FileManager.default.removeItem(atPath: report) }
    let result = try run(
      [path, "trace", "--quiet", "--format", "json", "-o", report, "--"] + words, in: place, environment: environment)
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: report)))
    return (result, Seen(try JSONNode.parse(bytes, source: "report").value))
  }
}

/// A report of `--format json`.
struct Seen {
  let value: JSONValue
  init(_ value: JSONValue) { self.value = value }
  var facts: JSONValue { value["facts"] ?? .null }

  private static func elements(_ value: JSONValue?) -> [JSONValue] {
    if case .array(let elements)? = value { return elements }
    return []
  }
  private static func text(_ value: JSONValue?) -> String? {
    if case .string(let text)? = value { return text }
    return nil
  }
  func number(_ key: String) -> Int64? {
    if case .integer(let number)? = facts[key] { return number }
    return nil
  }
  func strings(_ key: String) -> [String] { Self.elements(facts[key]).compactMap { Self.text($0) } }
  func uses(_ path: String) -> Set<String> {
    let entry = Self.elements(facts["paths"]).first { Self.text($0["path"]) == path }
    return Set(Self.elements(entry?["uses"]).compactMap { Self.text($0) })
  }
  func calls(_ architecture: String) -> Set<String> {
    Set(
      Self.elements(facts["calls"]).filter { Self.text($0["architecture"]) == architecture }.compactMap {
        Self.text($0["name"])
      })
  }
  func addresses(_ key: String) -> [String] { Self.elements(facts[key]).compactMap { Self.text($0["address"]) } }
}
