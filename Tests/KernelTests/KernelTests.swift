import Foundation
import Linux
import Testing

/// One boot of Debian 12's stock kernel with control groups of version 2 alone and nothing else about, in which the release executable runs
/// behind the walls, as root and as a user with a delegated group, and as an OCI runtime. `make test-kernels` does more, with systemd.
///
/// What holds here and nowhere else in the suites: limits, freezer and delegation on version 2; the device program that decides by
/// itself (a node that CAP_MKNOD made is refused, and opens once a rule says so: the refusal is the program's); layers that overlayfs
/// of Linux 6.1 takes by name only. Found by it and mended: with `OverlayMount.wantsNames` taken out, "writes are thrown away" fails.
@Suite(.enabled(if: Lab.canBoot, Lab.whyNot), .enabled(if: Lab.boot.absent == nil, Lab.whyNoBoot))
struct KernelTests {
  @Test func theGuestIsWhatItIsSaidToBe() {
    let facts = Lab.boot.facts
    #expect(facts["kernel"]?.hasPrefix("6.1.") == true, "\(facts)")
    #expect(facts["control groups"]?.hasPrefix("unified") == true, "\(facts)")
    // Without network rules (Linux 6.7) or scopes (6.12), which immure must do without.
    #expect(facts["Landlock"] == "ABI 2", "\(facts)")
  }

  @Test(arguments: [
    "container wall, root": 11, "container wall, user": 11, "jail wall, root": 9, "jail wall, user": 9,
    "sentry wall, root": 8, "OCI runtime, root": 10,
  ])
  func everyCheckPasses(_ group: String, _ count: Int) {
    let checks = Lab.boot.checks.filter { $0.group == group }
    #expect(checks.count == count, "all were made\n\(Lab.boot.text)")
    for check in checks { #expect(check.verdict == "pass", "\(check.group): \(check.name): \(check.detail)") }
  }

  @Test func itEndsByItself() {
    #expect(Lab.boot.status == 0, "\(Lab.boot.text)")
    #expect(!Lab.boot.checks.contains { $0.group == "boot" }, "\(Lab.boot.text)")
  }
}

/// What `Scripts/lab/lab.py short` printed; run once, when it is first asked for.
struct Lab {
  struct Check {
    let group: String
    let name: String
    let verdict: String
    let detail: String
  }
  let status: Int32
  let text: String
  var facts: [String: String] = [:]
  var checks: [Check] = []
  /// Why Debian's kernel could not be had.
  var absent: String?

  static let folder = ProcessInfo.processInfo.environment["IMMURE_BIN"] ?? ""
  static let programs = ["/usr/bin/qemu-system-x86_64", "/usr/bin/python3", "/usr/bin/apt-get", "/usr/bin/timeout"]
  /// The guest has no libraries: a debug build's executable cannot run there.
  static let canBoot: Bool =
    programs.allSatisfy { FileManager.default.isExecutableFile(atPath: $0) } && isStatic(folder + "/immure")
  static let whyNot: Comment =
    "wants qemu-system-x86, python3, busybox-static and apt, and a static immure in IMMURE_BIN: `make test` has them"
  /// A constant: what a trait says is put together before any suite is chosen, and must boot nothing.
  static let whyNoBoot: Comment = "the kernel's packages could not be fetched, or it did not boot here"
  static let boot = Lab()

  private static func isStatic(_ path: String) -> Bool {
    guard let image = try? FileHandle(forReadingFrom: URL(fileURLWithPath: path)),
      let head = try? image.read(upToCount: 4096)
    else { return false }
    // The dynamic linker's name stands in a segment of its own behind the headers (PT_INTERP).
    return head.range(of: Data("/ld-".utf8)) == nil
  }

  private init() {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..").standardized
    let result: (status: Int32, output: String)
    do {
      result = try Self.run([
        "/usr/bin/timeout", "-k", "5", "320", "/usr/bin/python3", root.path + "/Scripts/lab/lab.py", "short",
        Self.folder,
        root.path + "/.deps/lab",
      ])
    } catch {
      result = (-1, "\(error)")
    }
    status = result.status
    text = result.output
    for line in text.split(separator: "\n") {
      let words = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      if words[0] == "absent", words.count > 1 { absent = words[1] }
      if words[0] == "fact", words.count > 2 { facts[words[1]] = words[2] }
      if words[0] == "check", words.count > 4 {
        checks.append(Check(group: words[1], name: words[2], verdict: words[3], detail: words[4]))
      }
    }
  }

  private static func run(_ words: [String]) throws -> (status: Int32, output: String) {
    // A file, not a pipe: nothing has to read it meanwhile.
    let path = FileManager.default.temporaryDirectory.path + "/immure-lab-\(UUID().uuidString)"
    try Data().write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let input = try File.open("/dev/null", O_RDONLY)
    let output = try File.open(path, O_WRONLY)
    let error = try File.open("/dev/null", O_WRONLY)
    let child = try Linux.Process.spawn(
      words[0], arguments: words, environment: Linux.Process.environment,
      descriptors: [input.rawValue, output.rawValue, error.rawValue])
    let status = try child.wait()?.code ?? -1
    return (status, String(decoding: try File.contents(path), as: UTF8.self))
  }
}
