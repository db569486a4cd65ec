import ChildProcesses
import Foundation
import Testing

/// A command line that is wrong: the text that stderr must repeat, and the exit status.
private struct Mistake: Sendable, CustomTestStringConvertible {
  let words: [String]
  let names: String
  let status: Int32
  var testDescription: String { words.joined(separator: " ") }

  /// Before `-- true` of a `run`.
  static func run(_ options: String..., names: String) -> Mistake {
    Mistake(words: ["run"] + options + ["--", "true"], names: names, status: 125)
  }
  static func verb(_ words: String..., names: String, status: Int32 = 1) -> Mistake {
    Mistake(words: words, names: names, status: status)
  }
}

/// Malformed and hostile input: one line that repeats the offending text, a status that is not 0, and nothing changed.
@Suite(.enabled(if: Immure.isBuilt, Immure.whyNot), .timeLimit(.minutes(60)))
struct BadInputTests {
  fileprivate static let mistakes: [Mistake] = [
    .run("--frobnicate", names: "--frobnicate"), .run("--memroy=1g", names: "did you mean --memory?"),
    .run("-Z", names: "-Z"),
    .run("--rm=maybe", names: "maybe"), .verb("run", names: "missing", status: 125),
    .verb("run", "--", names: "missing", status: 125),
    .verb("run", "--memory", names: "--memory", status: 125), .run("--memory", "1m", "--memory", "2m", names: "twice"),
    .run("--memory", "lots", names: "lots"), .run("--memory", "-5", names: "-5"), .run("--memory", "1k", names: "1k"),
    .run("--memory", "99999999999999999999g", names: "99999999999999999999g"),
    .run("--memory", "1.5.5g", names: "1.5.5g"),
    .run("--cpus", "zero", names: "zero"), .run("--cpus", "-1", names: "-1"), .run("--cpus", "1e9", names: "1e9"),
    .run("--pids", "0", names: "0"), .run("--pids", "4294967296000000000000", names: "4294967296000000000000"),
    .run("--timeout", "5parsecs", names: "5parsecs"), .run("--timeout", "-1s", names: "-1s"),
    .run("--output", "0", names: "0"),
    .run("--open-files", "many", names: "many"), .run("--file-size", "big", names: "big"),
    .run("--core-size", "x", names: "x"),
    .run("--cpu-time", "soon", names: "soon"), .run("--log-size", "x", names: "x"),
    .run("--disk-bps", "fast", names: "fast"),
    .run("--disk-iops", "fast", names: "fast"), .run("--scratch", "some", names: "some"),
    .run("--ulimit", "nofile", names: "nofile"), .run("--ulimit", "wings=2", names: "wings"),
    .run("--ulimit", "core=x", names: "core=x"),
    .run("--name", "bad/name", names: "bad/name"), .run("--name", "../x", names: "../x"),
    .run("--name", "", names: "\"\""),
    .run("--name", String(repeating: "a", count: 65), names: "aaaa"), .run("--name", "a\nb", names: "a\\nb"),
    .run("--hostname", "bad host", names: "bad host"), .run("--hostname", "x\ny", names: "x\\ny"),
    .run("-e", "=x", names: "=x"), .run("-e", "", names: "--env"),
    .run("--env-file", "/nonexistent/env", names: "/nonexistent/env"),
    .run("-v", "/nonexistent/source:/x", names: "/nonexistent/source"), .run("-v", "volume:/x", names: "volume"),
    .run("-v", "/usr:relative", names: "relative"), .run("-v", "/usr:/x:upside", names: "upside"),
    .run("-v", "", names: "--volume"),
    .run("--hide", "relative", names: "relative"), .run("--tmpfs", "relative", names: "relative"),
    .run("--tmpfs", "/x:size=huge", names: "size=huge"), .run("--tmpfs", "/x:suid", names: "suid"),
    .run("--device", "/dev/nope", names: "/dev/nope"),
    .run("--workspace", "/nonexistent/folder", names: "/nonexistent/folder"),
    .run("--wall", "brick", names: "brick"), .run("--wall", "microvm", names: "microvm"),
    .run("--at-least", "paper", names: "paper"),
    .run("--allow-unenforced", "gravity", names: "gravity"), .run("--pid", "shared", names: "shared"),
    .run("--userns", "keep-id", names: "keep-id"), .run("--syscalls", "few", names: "few"),
    .run("--cap-add", "CAP_FLY", names: "CAP_FLY"),
    .run("--cap-drop", "FLY", names: "FLY"), .run("--security-opt", "apparmor=x", names: "apparmor"),
    .run("--security-opt", "seccomp=/nonexistent/p.json", names: "/nonexistent/p.json"),
    .run("--network", "bridge", names: "bridge"), .run("-p", "99999:1", names: "99999"),
    .run("-p", "abc", names: "abc"),
    .run("-p", "80:80/sctp", names: "sctp"), .run("--user", "no-such-user", names: "no-such-user"),
    .run("--user", "4294967296", names: "4294967296"), .run("--user", "0:no-such-group", names: "no-such-group"),
    .run("--workdir", "relative", names: "relative"), .run("--stop-signal", "SIGFOO", names: "SIGFOO"),
    .run("--detach-keys", "ctrl-%", names: "ctrl-%"), .run("-t", names: "-t"),
    .run("--policy", "/nonexistent/p.toml", names: "/nonexistent/p.toml"),
    .run("--policy", "no-such-policy", names: "no-such-policy"),
    .verb("run", "--pull", "sometimes", "image", names: "sometimes", status: 125),
    .verb("run", "UPPER/Case", names: "UPPER/Case", status: 125),
    .verb("run", "../../etc", names: "../../etc", status: 125),
    .verb("run", "name@sha256:12", names: "12", status: 125), .verb("run", "", names: "image", status: 125),
    .verb("frobnicate", names: "frobnicate"), .verb("rum", names: "did you mean \"run\"?"),
    .verb("--bogus", names: "--bogus"),
    .verb("policy", names: "policy explain"), .verb("ps", "--format", "yaml", names: "yaml"),
    .verb("ps", "extra", names: "extra"),
    .verb("logs", "--tail", "few", "x", names: "few"), .verb("kill", "-s", "SIGFOO", "x", names: "SIGFOO"),
    .verb("kill", "-s", "65", "x", names: "65"), .verb("stop", "-t", "soon", "x", names: "soon"),
    .verb("rm", names: "--all"),
    .verb("rm", "../../etc", names: "../../etc"), .verb("rm", "-f", "..", names: "\"..\""),
    .verb("rm", "--all", "x", names: "x"),
    .verb("wait", names: "missing"), .verb("inspect", "a\u{1b}[31mb", names: "there is no"),
    .verb("top", "a", "b", names: "b"),
    .verb("exec", "nobody", "true", names: "nobody", status: 125), .verb("attach", "nobody", names: "nobody"),
    .verb("stats", "nobody", names: "nobody"), .verb("workspace", "diff", "../x", names: "../x"),
    .verb("policy", "explain", "--wall", "brick", names: "brick", status: 125),
    .verb("--root", "relative", "ps", names: "relative", status: 125), .verb("--root", names: "--root"),
  ]

  @Test(arguments: mistakes)
  fileprivate func itIsNamed(mistake: Mistake) throws {
    let immure = Immure()
    let before = try state(immure.root.path)
    let result = try Immure.run(["--root", immure.root.path] + mistake.words, seconds: 120)
    #expect(result.status == mistake.status, "\(result.error)")
    #expect(result.error.hasPrefix("immure: ") && result.error.split(separator: "\n").count == 1, "\(result.error)")
    #expect(result.error.contains(mistake.names), "\(result.error)")
    #expect(!result.error.utf8.contains(27), "a control character of the input reaches the terminal")
    #expect(result.output.isEmpty || mistake.words[0] == "inspect" || mistake.words[0] == "stats", "\(result.output)")
    #expect(try state(immure.root.path) == before)
  }

  /// Policy files: what is wrong, with the line.
  @Test(arguments: [
    ("[limits]\nmemory = \"lots\"\n", "lots"), ("[limits]\nmemory = 12.5\n", "12.5"),
    ("[limits]\nspeed = 3\n", "speed"),
    ("[wings]\n", "wings"), ("at_least = \"paper\"\n", "paper"), ("[network]\nmode = \"bridge\"\n", "bridge"),
    ("[network]\ndomains = [\"example.org\"]\n", "domains"), ("[files]\nread = [\"relative\"]\n", "relative"),
    ("[limits]\nmemory = \"1g\"\nmemory = \"2g\"\n", "memory"), ("memory = = 1\n", "="), ("[limits\n", ":1"),
    ("x = \"\\u0000\"\n", "x"), ("x = \"unclosed\n", ":1"), ("\u{fffe}", ":1"), ("[[limits]]\n", "limits"),
    (String(repeating: "[", count: 5000), ":1"), ("a = " + String(repeating: "{a=", count: 3000), ":1"),
  ])
  func aPolicyFileIsNamedWithItsLine(text: String, names: String) throws {
    let immure = Immure()
    let path = immure.root.path + "/wrong.toml"
    try text.write(toFile: path, atomically: false, encoding: .utf8)
    let before = try state(immure.root.path)
    let result = try immure("run", "--policy", path, "--", "true", seconds: 120)
    #expect(result.status == 125, "\(result.error)")
    #expect(result.error.split(separator: "\n").count == 1, "\(result.error)")
    #expect(result.error.contains("wrong.toml"), "\(result.error)")
    #expect(result.error.contains(names), "\(result.error)")
    #expect(try state(immure.root.path) == before)
  }

  @Test(arguments: [
    "", "{", "null", "[]", "{\"defaultAction\": 7}", "{\"defaultAction\": \"SCMP_ACT_DANCE\"}", "{\"syscalls\": []}",
    "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"read\"], \"action\": \"SCMP_ACT_MAYBE\"}]}",
    "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_PDP11\"]}",
  ])
  func aSeccompProfileIsNamed(text: String) throws {
    let immure = Immure()
    let path = immure.root.path + "/wrong.json"
    try text.write(toFile: path, atomically: false, encoding: .utf8)
    let result = try immure("run", "--security-opt", "seccomp=\(path)", "--", "true", seconds: 120)
    #expect(result.status == 125, "\(result.error)")
    #expect(result.error.split(separator: "\n").count == 1 && result.error.contains("wrong.json"), "\(result.error)")
  }

  /// A record that says something else than a record does: named, never followed, cleared by force.
  @Test(arguments: [
    "", "{", "null", "[1, 2]", "{\"version\": 2}", "{\"version\": 1}", "\u{0}\u{0}",
    String(repeating: "[", count: 100_000),
    "{\"version\": 1, \"id\": \"../../../etc\", \"name\": \"a\"}", "{\"version\": 1, \"id\": 7}",
  ])
  func aDamagedRecordIsNamed(text: String) throws {
    let immure = Immure()
    let folder = immure.root.path + "/sandboxes/0123456789ab"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try text.write(toFile: folder + "/record.json", atomically: false, encoding: .utf8)
    for verb in ["inspect", "kill", "stop", "logs", "wait", "rm", "top", "exec"] {
      let words = [verb, "0123456789ab"] + (verb == "exec" ? ["true"] : [])
      let result = try Immure.run(["--root", immure.root.path] + words, seconds: 120)
      #expect(result.status != 0, "\(verb)")
      #expect(result.error.split(separator: "\n").count == 1, "\(verb): \(result.error)")
      #expect(result.error.contains("0123456789ab"), "\(verb): \(result.error)")
    }
    let listed = try immure("ps", "-a", seconds: 120)
    #expect(listed.error.contains("0123456789ab"), "\(listed.error)")
    #expect(try immure("rm", "-f", "0123456789ab", seconds: 120).status == 0)
    #expect(!FileManager.default.fileExists(atPath: folder))
  }

  /// Every path under the root, with size and contents of files.
  private func state(_ root: String) throws -> [String: Int] {
    var found: [String: Int] = [:]
    for path in FileManager.default.enumerator(atPath: root)?.compactMap({ $0 as? String }) ?? [] {
      found[path] = (FileManager.default.contents(atPath: root + "/" + path) ?? Data()).hashValue
    }
    return found
  }
}
