import ChildProcesses
import Foundation
import Testing

/// The C programs of Tests/SentryPrograms: each passes natively on this Linux, then does and prints the same in the sentry.
@Suite("Programs that check system calls", .serialized)
struct ProgramTests {
  struct Program: Sendable, CustomTestStringConvertible {
    let path: String
    var testDescription: String { path }
  }
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "SentryPrograms").path
  static let programs: [Program] = {
    let found = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    // Attackers and victims of SentryPlatformTests, for a guest alone, say nothing of Linux; random calls have a test of their own.
    let others = [
      "platform/glutton.c", "platform/hostile.c", "platform/neighbour.c", "platform/racer.c", "platform/refusals.c",
      "platform/scribbler.c",
      "platform/sleeper.c", "random/random.c", "files/steady.c",
    ]
    return found.filter { $0.hasSuffix(".c") && !others.contains($0) }.sorted().map(Program.init)
  }()

  @Test("there are programs, each natively as it says", arguments: programs)
  func natively(program: Program) throws {
    let folder = try Folder()
    let binary = try folder.compile(program)
    let seen = try folder.run([binary])
    #expect(seen.status == 0, "\(seen.output)")
    #expect(seen.output.contains("ok ") && !seen.output.contains("FAIL"), "\(seen.output)")
  }

  static let probe: String? = {
    let tools = ((try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "") as NSString
    let path = tools.deletingLastPathComponent + "/SentryProbe"
    return getuid() == 0 && FileManager.default.isExecutableFile(atPath: path) ? path : nil
  }()

  @Test(
    "in the sentry they print what they print natively, under both policies, and by a tracer",
    .enabled(if: probe != nil, "as root only"), arguments: programs, [[], ["--strict"], ["--tracing"]]
  )
  func inSentry(program: Program, options: [String]) throws {
    // What is not there by a tracer (docs/sentry-platform.md): clone3, guests that trace, and files for a guest whose own filter forbids recvmsg.
    let others = ["platform/modern.c", "seccomp/filters.c", "tasks/tracing.c", "tasks/setid.c", "tasks/gains.c"]
    if others.contains(program.path), options == ["--tracing"] { return }
    let probe = try #require(Self.probe)
    let folder = try Folder()
    _ = try folder.compile(program)
    let native = try folder.run([folder.root + "/program"])
    let seen = try folder.run([probe] + options + [folder.root, "/program"])
    #expect(seen.status == native.status)
    #expect(lines(seen.output).difference(from: lines(native.output)).isEmpty, "\(seen.output)\(seen.errors)")
  }
  /// Each row of the table that calls can come to is asked for by some program: those that are not stand in a list, with the reason.
  @Test("every call has a program", .enabled(if: probe != nil, "as root only"))
  func everyCall() throws {
    let probe = try #require(Self.probe)
    let folder = try Folder()
    let called = folder.path + "/calls"
    for program in Self.programs {
      _ = try folder.compile(program)
      _ = try folder.run([probe, "--strict", "--calls", called, folder.root, "/program"])
    }
    let seen = Set(lines(try String(contentsOfFile: called, encoding: .utf8)))
    let rows = Set(lines(try folder.run([probe, "--rows"]).output))
    try #require(rows.count > 200 && seen.isSubset(of: rows))
    let listed = Set(
      lines(try String(contentsOfFile: Self.list, encoding: .utf8)).filter { !$0.hasPrefix("#") }
        .map { String($0.prefix { $0 != " " }) })
    #expect(rows.subtracting(seen).subtracting(listed).sorted() == [], "without a program, and not in the list")
    #expect(listed.subtracting(rows.subtracting(seen)).sorted() == [], "to be struck from the list")
  }
  private static let list = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
    path: "calls-without-a-program.txt"
  ).path

  private func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

  /// A root with one program in it, gone with the test.
  final class Folder {
    let path = FileManager.default.temporaryDirectory.path + "/sentry-program-\(UUID().uuidString)"
    var root: String { path + "/root" }
    init() throws {
      try FileManager.default.createDirectory(
        atPath: root, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    }
    deinit {
      // What cannot be removed stays in the temporary folder.
      try? FileManager.default.removeItem(atPath: path)
    }

    func compile(_ program: Program) throws -> String {
      let binary = root + "/program"
      let seen = try run([
        "musl-gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-result", "-idirafter", "/usr/include",
        "-idirafter", "/usr/include/x86_64-linux-gnu", "-o", binary, ProgramTests.folder + "/" + program.path,
        "-lpthread",
      ])
      try #require(seen.status == 0, "\(seen.errors)")
      return binary
    }

    struct Seen {
      let status: Int32
      let output: String
      let errors: String
    }
    /// What a program says must not hang on who started the tests: umask and nice value are the usual ones (only root may change the
    /// latter back).
    private static let usual = "umask 022; renice -n 0 -p $$ > /dev/null 2>&1; exec timeout -s KILL 120 \"$@\""
    func run(_ words: [String]) throws -> Seen {
      let (output, errors) = (path + "/output", path + "/errors")
      for name in [output, errors] { try Data().write(to: URL(fileURLWithPath: name)) }
      let environment = ProcessInfo.processInfo.environment
      let child = try Child(
        ["sh", "-c", Self.usual, "sh"] + words,
        environment: [
          "PATH": environment["PATH"] ?? "/usr/bin:/bin", "LD_LIBRARY_PATH": environment["LD_LIBRARY_PATH"] ?? "",
          "LC_ALL": "C",
        ], folder: root, input: .path("/dev/null"), output: output, error: errors)
      let status = child.wait()
      return Seen(
        status: status, output: try String(contentsOfFile: output, encoding: .utf8),
        errors: try String(contentsOfFile: errors, encoding: .utf8))
    }
  }
}
