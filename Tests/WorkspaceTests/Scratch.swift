import ChildProcesses
import Foundation
import Testing

/// A folder of the test's own, gone with it: `host` is what a workspace is made of, `root` the state root.
final class Scratch {
  let path: String
  var host: String { path + "/host" }
  var root: String { path + "/root" }

  init() throws {
    path = FileManager.default.temporaryDirectory.path + "/immure-workspace-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path + "/host", withIntermediateDirectories: true)
  }

  deinit {
    // What cannot be removed stays in the temporary folder.
    _ = try? run(["rm", "-rf", path])
  }

  func write(_ relative: String, _ text: String, mode: Int = 0o644) throws {
    let target = path + "/" + relative
    try FileManager.default.createDirectory(
      atPath: (target as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(fileURLWithPath: target))
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: target)
  }

  func read(_ relative: String) -> String? {
    FileManager.default.contents(atPath: path + "/" + relative).map { String(decoding: $0, as: UTF8.self) }
  }

  func exists(_ relative: String) -> Bool {
    (try? FileManager.default.attributesOfItem(atPath: path + "/" + relative)) != nil
  }

  /// Every name of the host folder with its type, permissions and content or target, as lines.
  func picture() throws -> String {
    try run([
      "sh", "-c",
      "cd \"$0\" && find . -mindepth 1 \\( -type f -printf '%y %m %p ' -exec sh -c 'cksum < \"$0\"' {} \\; \\) -o \\( -type l -printf '%y %p %l\\n' \\) -o -printf '%y %m %p\\n' | sort",
      host,
    ]).output
  }

  /// Runs commands of a shell in a mount namespace of its own, in the overlay that a workspace describes.
  func inside(_ options: [String], _ commands: String) throws {
    let flags = options.joined(separator: ",")
    let result = try run([
      "timeout", "-s", "KILL", "60", "unshare", "-m", "--propagation", "private", "sh", "-euc",
      "mkdir -p \"$0/merged\"; mount -t overlay overlay -o \"$1\" \"$0/merged\"; cd \"$0/merged\"; \(commands)", path,
      flags,
    ])
    if result.status != 0 { throw Failure(text: "in the overlay: \(result.output)") }
  }

  struct Failure: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
  }

  /// Runs a program to its end; stdout and stderr together.
  @discardableResult
  func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let result = try Finished.run(arguments, isMerged: true, seconds: 300)
    return (result.status, result.output)
  }

  /// An executable of this package, beside the test's own.
  static func tool(_ name: String) -> String {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return (own as NSString).deletingLastPathComponent + "/" + name
  }
}
