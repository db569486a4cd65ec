import CLinux
import Foundation
import Linux
import Testing

extension Trait where Self == TimeLimitTrait {
  /// No limit of a test's own: all tests begin at once and wait for one of the few threads, so each one's time is that of the whole suite,
  /// and on a busy machine the suite's would end tests that have not begun. What hangs is a command, which `FrontCommand.run` ends;
  /// the suite as a whole is ended by Scripts/test.sh.
  static var whileTheSuiteRuns: Self { .timeLimit(.minutes(60)) }
}

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

  /// Seconds after which a command hangs. The longest takes four of processor time, but may have a thirtieth of a processor.
  static let patience = 600

  struct Result {
    let status: Int32
    let output: String
    let error: String
  }

  let scratch = Scratch()
  var root: String { scratch.path + "/root" }
  var store: String { root + "/images" }

  @discardableResult
  func callAsFunction(_ words: String..., seconds: Int = FrontCommand.patience, environment: [String: String]? = nil)
    throws -> Result
  {
    try Self.run([Self.path, "--root", root] + words, seconds: seconds, environment: environment)
  }

  /// Names in one of the store's folders.
  func entries(_ folder: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: store + "/" + folder))?.sorted() ?? []
  }

  /// The manifests of all images, as hexadecimal digits.
  func manifests() throws -> [String] {
    let listed = try JSONSerialization.jsonObject(with: Data(try self("images", "--format", "json").output.utf8))
    let images = try #require(listed as? [[String: Any]])
    return Set(images.compactMap { ($0["manifest"] as? String)?.dropFirst(7) }).map(String.init).sorted()
  }

  /// Makes what `immure` lets make before a box of an image starts: its metadata, or its layers as trees.
  func make(_ role: String, _ manifest: String) throws -> Result {
    try Self.run([Self.path, role, store, manifest])
  }

  /// Unpacks every layer, as at the first use of an image where images cannot be mounted.
  func makeTrees() throws {
    for manifest in try manifests() {
      let result = try make("image-trees", manifest)
      try #require(result.status == 0, "\(result.output)\(result.error)")
    }
  }

  /// The tree of the only layer.
  func onlyLayer() throws -> String {
    let layers = entries("layers")
    try #require(layers.count == 1)
    try makeTrees()
    return store + "/layers/" + layers[0] + "/tree/diff"
  }

  /// Runs any command to its end, killed after `seconds`. By our own calls: Foundation's child inherits blocked signals and other
  /// tests' pipes.
  static func run(
    _ words: [String], seconds: Int = FrontCommand.patience, environment: [String: String]? = nil, folder: String = "/"
  ) throws -> Result {
    let output = try DescriptorPair.pipe()
    let errors = NSTemporaryDirectory() + "immure-front-test-stderr-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: errors) }
    try Data().write(to: URL(fileURLWithPath: errors))
    let error = try File.open(errors, O_WRONLY)
    let input = try File.open("/dev/null", O_RDONLY)
    let child = try Linux.Process.spawn(
      "/usr/bin/env",
      arguments: ["env", "-C", folder, "timeout", "-s", "KILL", "\(seconds)"] + words,
      environment: environment.map { $0.map { "\($0)=\($1)" } } ?? Linux.Process.environment,
      descriptors: [input.rawValue, output.second.rawValue, error.rawValue])
    // Ours would keep the pipe open.
    let reading = try output.first.duplicate()
    _ = consume output
    let data = try File.readAll(reading.rawValue)
    let status = try child.wait()
    return Result(
      status: status?.code ?? -1, output: String(decoding: data, as: UTF8.self),
      error: try String(contentsOfFile: errors, encoding: .utf8))
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
final class Server {
  private let child: Child
  private let output: FileDescriptor
  /// The first line it printed.
  let announced: String

  static func fixture(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path + "/Fixtures/" + name
  }

  /// Starts a program and waits for its first line, where it prints one.
  init(_ words: [String], announces: Bool = true) throws {
    let pipe = try DescriptorPair.pipe()
    let null = try File.open("/dev/null", O_RDWR)
    child = try Linux.Process.spawn(
      "/usr/bin/env", arguments: ["env"] + words, environment: Linux.Process.environment,
      descriptors: [null.rawValue, pipe.second.rawValue, null.rawValue])
    output = try pipe.first.duplicate()
    _ = consume pipe
    var line: [UInt8] = []
    while announces {
      let byte = try File.read(output.rawValue, atMost: 1)
      if byte.isEmpty || byte == [10] { break }
      line += byte
    }
    announced = String(decoding: line, as: UTF8.self)
  }

  /// Ends it; what else it printed.
  func end() throws -> String {
    try child.signal(SIGKILL)
    let data = try File.readAll(output.rawValue)
    _ = try child.wait()
    return String(decoding: data, as: UTF8.self)
  }

  deinit {
    // It may have been ended and waited for already.
    try? child.signal(SIGKILL)
    _ = try? child.wait(block: false)
  }
}
