import ChildProcesses
import Foundation

/// A C program of Tests/SentryPrograms, for a test that first proves it on Linux and then runs it in the sentry.
public final class GuestProgram {
  public struct Run: Equatable, Sendable, CustomStringConvertible {
    public let status: Int32
    public let output: String
    public let error: String
    public var description: String { "status \(status)\n\(output)\(error)" }
  }
  public struct Failure: Error, CustomStringConvertible {
    public let description: String
    public init(description: String) { self.description = description }
  }

  /// Why guests cannot run here; nil where they can.
  public static let obstacle: String? = {
    if geteuid() != 0 { return "guests of the probe want root" }
    if !FileManager.default.isExecutableFile(atPath: probe) { return "the probe is not built" }
    if !FileManager.default.isExecutableFile(atPath: "/usr/bin/musl-gcc") {
      return "musl-gcc (musl-tools) is not installed"
    }
    return nil
  }()
  public static var canRun: Bool { obstacle == nil }

  /// Beside the test's own executable.
  public static let probe: String = {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return (own as NSString).deletingLastPathComponent + "/SentryProbe"
  }()
  private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "SentryPrograms").path

  /// A root file system of the program alone; gone with this object.
  public let root: String
  private let folder: String
  private var runs = 0

  /// - Parameter name: "area/name", without ".c".
  public init(_ name: String, options: [String] = []) throws {
    folder = FileManager.default.temporaryDirectory.path + "/immure-guest-\(UUID().uuidString)"
    root = folder + "/root"
    for part in ["bin", "tmp", "dev", "etc", "proc", "sys"] {
      try FileManager.default.createDirectory(atPath: root + "/" + part, withIntermediateDirectories: true)
    }
    // Whatever mask other tests have set meanwhile.
    for part in ["", "/bin", "/tmp", "/dev", "/etc", "/proc", "/sys"] {
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: root + part)
    }
    let made = try start(
      [
        "musl-gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-Wno-unused-result", "-idirafter",
        "/usr/include",
        "-idirafter", "/usr/include/x86_64-linux-gnu", Self.sources + "/\(name).c", "-o",
        program,
      ]
        + options)
    if made.status != 0 { throw Failure(description: made.error) }
  }
  deinit {
    // What stays is in the temporary folder.
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// Where it lies on the host, and within `root` as /bin/program.
  public var program: String { root + "/bin/program" }

  /// Puts another file of the host into the root.
  public func add(_ path: String, as name: String) throws {
    try FileManager.default.createDirectory(
      atPath: (root + name as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: path, toPath: root + name)
  }

  /// On Linux itself.
  public func natively(_ arguments: [String] = []) throws -> Run { try start([program] + arguments) }

  /// In the sentry.
  public func inSentry(_ arguments: [String] = [], options: [String] = [], input: String = "/dev/null") throws -> Run {
    try start([Self.probe] + options + [root, "/bin/program"] + arguments, input: input)
  }

  /// A command before a command: it gives the host no calls that are younger than Linux 5.9.
  public func oldHost() throws -> String {
    let command = folder + "/old-host"
    let source = (Self.sources as NSString).deletingLastPathComponent + "/Fixtures/OldHost/old-host.c"
    let made = try start(
      [
        "musl-gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-idirafter", "/usr/include",
        "-idirafter",
        "/usr/include/x86_64-linux-gnu", source, "-o", command,
      ])
    if made.status != 0 { throw Failure(description: made.error) }
    return command
  }

  /// A command of the host, at most for two minutes.
  public func start(_ words: [String], input: String = "/dev/null") throws -> Run {
    runs += 1
    let (output, error) = ("\(folder)/output-\(runs)", "\(folder)/error-\(runs)")
    let child = try Child(
      ["timeout", "-s", "KILL", "120"] + words, environment: ["PATH": "/usr/bin:/bin", "HOME": "/root"], folder: folder,
      input: .path(input), output: output, error: error)
    let status = child.wait()
    let text = { (path: String) in String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }
    return Run(status: status, output: text(output), error: text(error))
  }
}
