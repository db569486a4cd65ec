import Foundation
import Synchronization
import Testing

/// `immure-front` as a user has it, run from the outside on a throw-away root. `IMMURE_BIN` names its folder (`make test` sets it).
struct FrontCommand {
  static let folder = ProcessInfo.processInfo.environment["IMMURE_BIN"]
  static var path: String { (folder ?? "") + "/immure-front" }
  static var isBuilt: Bool { folder != nil && FileManager.default.isExecutableFile(atPath: path) }
  static let whyNot: Comment =
    "IMMURE_BIN does not name a folder with the executables: `make test` builds them and sets it"
  static var isRoot: Bool { geteuid() == 0 }
  static let notRoot: Comment = "wants root"
  static func has(_ programs: String...) -> Bool {
    programs.allSatisfy { program in
      ["/usr/bin/", "/bin/", "/usr/sbin/"].contains { FileManager.default.isExecutableFile(atPath: $0 + program) }
    }
  }

  struct Result {
    let status: Int32
    let output: String
    let error: String
  }

  let scratch = Scratch()
  var root: String { scratch.path + "/root" }
  var store: String { root + "/images" }

  @discardableResult
  func callAsFunction(_ words: String..., seconds: Int = 60, environment: [String: String]? = nil) throws -> Result {
    try Self.run([Self.path, "--root", root] + words, seconds: seconds, environment: environment)
  }

  /// Names in one of the store's folders.
  func entries(_ folder: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: store + "/" + folder))?.sorted() ?? []
  }

  /// The folder of the only layer.
  func onlyLayer() throws -> String {
    let layers = entries("layers")
    try #require(layers.count == 1)
    return store + "/layers/" + layers[0] + "/diff"
  }

  /// Runs any command to its end, killed after `seconds`.
  static func run(
    _ words: [String], seconds: Int = 60, environment: [String: String]? = nil, folder: String = "/"
  ) throws -> Result {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
    process.arguments = ["-s", "KILL", "\(seconds)"] + words
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    if let environment { process.environment = environment }
    let output = Pipe()
    let error = Pipe()
    process.standardOutput = output
    process.standardError = error
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let errors = Mutex(Data())
    let group = DispatchGroup()
    DispatchQueue.global().async(group: group) {
      let data = error.fileHandleForReading.readDataToEndOfFile()
      errors.withLock { $0 = data }
    }
    let data = output.fileHandleForReading.readDataToEndOfFile()
    group.wait()
    process.waitUntilExit()
    let status =
      process.terminationReason == .uncaughtSignal ? 128 + process.terminationStatus : process.terminationStatus
    return Result(
      status: status, output: String(decoding: data, as: UTF8.self),
      error: String(decoding: errors.withLock { $0 }, as: UTF8.self))
  }

  /// Runs a shell's text in the scratch folder and demands that it succeeds.
  @discardableResult
  func shell(_ text: String) throws -> String {
    let result = try Self.run(["/bin/bash", "-euc", text], folder: scratch.path)
    try #require(result.status == 0, "\(result.error)")
    return result.output
  }
}

/// A throw-away folder.
final class Scratch: Sendable {
  let path: String
  init() {
    path = NSTemporaryDirectory() + "immure-front-test-\(UUID().uuidString.prefix(8))"
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { _ = try? FrontCommand.run(["/bin/rm", "-rf", path]) }
}

/// A server started for a test; it ends with the value.
final class Server: Sendable {
  private let process: Process
  /// The first line it printed.
  let announced: String
  private let rest: FileHandle

  static func fixture(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path + "/Fixtures/" + name
  }

  /// Starts a program and waits for its first line.
  init(_ words: [String]) throws {
    process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    // Pipes of tests that run beside this one are inherited; a server that kept them open would hold those tests up.
    process.arguments =
      [
        "-c",
        "for fd in /proc/self/fd/*; do fd=${fd##*/}; if [ $fd -gt 2 ]; then eval \"exec $fd>&-\"; fi; done; exec \"$@\"",
        "server",
      ] + words
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    rest = output.fileHandleForReading
    var line = Data()
    while true {
      let byte = rest.readData(ofLength: 1)
      if byte.isEmpty || byte == Data([10]) { break }
      line += byte
    }
    announced = String(decoding: line, as: UTF8.self)
  }

  /// Ends it; what else it printed.
  func end() -> String {
    process.terminate()
    let data = rest.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self)
  }

  deinit { process.terminate() }
}
