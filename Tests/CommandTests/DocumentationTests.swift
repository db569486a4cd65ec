import ChildProcesses
import Foundation
import Testing

/// The examples that people read are run: blocks marked `console` in README.md and docs/, and the examples of each command's help.
///
/// A line that begins with "$ " is run by bash, in a folder with script.sh, app.py and debian.tar (a busybox root) and with the
/// image busybox; it must end with 0. The lines below it are what it prints (both streams). In them "…" stands for any text, and a
/// line of "…" alone for any number of lines.
@Suite(
  "Documentation", .enabled(if: Immure.isBuilt && Immure.hasFront && Immure.isRoot, Immure.whyNoFront)
)
struct DocumentationTests {
  struct Example: Sendable {
    let line: Int
    let command: String
    var output: [String] = []
  }

  static let top = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  static let pages: [String] = {
    let docs =
      FileManager.default.enumerator(atPath: top.appending(path: "docs").path)?.compactMap { $0 as? String } ?? []
    return ["README.md"] + docs.filter { $0.hasSuffix(".md") }.sorted().map { "docs/" + $0 }
  }()

  static func examples(_ text: String) -> [Example] {
    var found: [Example] = []
    var inside = false
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.hasPrefix("```") {
        inside = line == "```console"
      } else if inside, line.hasPrefix("$ ") {
        found.append(Example(line: index + 1, command: String(line.dropFirst(2))))
      } else if inside, !found.isEmpty {
        found[found.count - 1].output.append(String(line))
      }
    }
    return found
  }

  /// Whether `line` is what `pattern` says, "…" standing for any text.
  static func matches(_ pattern: Substring, _ line: Substring) -> Bool {
    guard let dots = pattern.firstIndex(of: "…") else { return pattern == line }
    let head = pattern[..<dots]
    guard line.hasPrefix(head) else { return false }
    let tail = pattern[pattern.index(after: dots)...]
    var rest = line.dropFirst(head.count)
    while true {
      if matches(tail, rest) { return true }
      if rest.isEmpty { return false }
      rest = rest.dropFirst()
    }
  }

  static func matches(_ patterns: ArraySlice<String>, _ lines: ArraySlice<String>) -> Bool {
    guard let first = patterns.first else { return lines.isEmpty }
    if first == "…" {
      return (0...lines.count).contains { matches(patterns.dropFirst(), lines.dropFirst($0)) }
    }
    guard let line = lines.first, matches(first[...], line[...]) else { return false }
    return matches(patterns.dropFirst(), lines.dropFirst())
  }

  @Test("what is a match")
  func matching() {
    #expect(Self.matches(["a", "…", "c"], ["a", "b", "b", "c"]))
    #expect(Self.matches(["a", "…"], ["a"]))
    #expect(!Self.matches(["a"], ["a", "b"]))
    #expect(!Self.matches(["a", "…", "c"], ["a", "b"]))
    #expect(Self.matches("x … y…", "x 12 y") && !Self.matches("x … z", "x 12 y"))
    #expect(Self.examples("```console\n$ a\nb\n```\n```text\n$ c\n```\n").map(\.command) == ["a"])
    #expect(Self.examples("```console\n$ a\nb\n```\n")[0].output == ["b"])
  }

  /// A folder and a state root as the examples expect them.
  final class Place {
    let root = Immure.Root()
    let folder: String
    let environment: [String: String]

    init() throws {
      // Not below /tmp or a home folder: both are hidden in a box, and so would the current folder's neighbours be.
      folder = "/srv/immure-docs-\(UUID().uuidString.prefix(8))"
      let manager = FileManager.default
      try manager.createDirectory(atPath: folder + "/tar/bin", withIntermediateDirectories: true)
      try manager.createDirectory(atPath: folder + "/tar/etc", withIntermediateDirectories: true)
      try manager.copyItem(atPath: "/bin/busybox", toPath: folder + "/tar/bin/busybox")
      for name in ["sh", "ls", "cat", "echo", "id", "sleep", "true", "hostname", "env", "ps", "touch"] {
        try manager.createSymbolicLink(atPath: folder + "/tar/bin/" + name, withDestinationPath: "busybox")
      }
      try "root:x:0:0:root:/root:/bin/sh\n".write(toFile: folder + "/tar/etc/passwd", atomically: true, encoding: .utf8)
      try "root:x:0:\n".write(toFile: folder + "/tar/etc/group", atomically: true, encoding: .utf8)
      try "#!/bin/sh\necho result > out.txt\nls\n".write(
        toFile: folder + "/script.sh", atomically: true, encoding: .utf8)
      try "print(6 * 7)\n".write(toFile: folder + "/app.py", atomically: true, encoding: .utf8)
      try manager.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder + "/script.sh")
      environment = [
        "PATH": (Immure.folder ?? "") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root", "LANG": "C.UTF-8", "IMMURE_ROOT": root.path,
      ]
      try expect(shell("tar -C tar -cf debian.tar . && rm -r tar && immure import -q --cmd sh debian.tar busybox"))
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func shell(_ command: String) throws -> Immure.Result {
      try Immure.command(
        ["bash", "-c", command + "\n"], environment: environment, folder: folder, seconds: 60)
    }

    private func expect(_ result: Immure.Result) throws {
      try #require(result.status == 0, "\(result.error)")
    }
  }

  @Test("every console block does what it shows", arguments: pages)
  func page(_ name: String) throws {
    let text = try String(contentsOf: Self.top.appending(path: name), encoding: .utf8)
    let examples = Self.examples(text)
    if examples.isEmpty { return }
    let place = try Place()
    for example in examples {
      // One stream, as a terminal shows it.
      let result = try place.shell("exec 2>&1\n" + example.command)
      #expect(result.status == 0, "\(name):\(example.line): \(example.command): \(result.output)")
      var expected = example.output
      while expected.last == "" { expected.removeLast() }
      var lines = result.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      while lines.last == "" { lines.removeLast() }
      #expect(
        Self.matches(expected[...], lines[...]),
        "\(name):\(example.line): \(example.command) printed:\n\(result.output)")
    }
  }

  @Test("README and docs begin no block with a kind that nobody runs or knows", arguments: pages)
  func kinds(_ name: String) throws {
    let text = try String(contentsOf: Self.top.appending(path: name), encoding: .utf8)
    var inside = false
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    where line.hasPrefix("```") {
      if !inside {
        #expect(
          ["```console", "```text", "```toml", "```json", "```swift", "```sh", "```"].contains(line),
          "\(name):\(index + 1): \(line)")
      }
      inside.toggle()
    }
    #expect(!inside, "\(name): a block has no end")
  }

  @Test("links between the pages lead somewhere", arguments: pages)
  func links(_ name: String) throws {
    let page = Self.top.appending(path: name)
    let text = try String(contentsOf: page, encoding: .utf8)
    for part in text.components(separatedBy: "](").dropFirst() {
      let target = part.prefix { $0 != ")" && $0 != "#" }
      if target.isEmpty || target.contains("://") || target.contains(" ") { continue }
      let path = page.deletingLastPathComponent().appending(path: String(target)).path
      #expect(FileManager.default.fileExists(atPath: path), "\(name): \(target)")
    }
  }

  /// Why an example of the help is not run here, by a part of it.
  static let notRun = [
    "python:3.12": "wants a registry", "-it": "wants a terminal", "oci create": "wants a bundle: OCITests",
  ]

  @Test("the examples of every command's help work")
  func help() throws {
    let place = try Place()
    let overview = try place.shell("immure --help").output
    let list = overview.components(separatedBy: "Commands:\n").last ?? ""
    let verbs = list.split(separator: "\n").filter { $0.hasPrefix("  ") }
      .map { $0.dropFirst(2).components(separatedBy: "  ")[0] }
    #expect(verbs.contains("run") && verbs.contains("policy explain"))
    var count = 0
    for verb in verbs {
      let help = try place.shell("immure \(verb) --help")
      #expect(help.status == 0)
      let section = help.output.components(separatedBy: "\nExamples:\n")
      if section.count < 2 { continue }
      for line in section[1].split(separator: "\n") where line.hasPrefix("  immure ") {
        let command = String(line.dropFirst(2))
        if Self.notRun.keys.contains(where: command.contains) { continue }
        // What the examples speak of: a detached sandbox that is called web.
        if command.contains("web") {
          // These wait for its end.
          let seconds = ["wait", "attach", "logs"].contains(verb) ? 2 : 60
          let start = try place.shell(
            """
            immure run -d --name web -- sh -c 'echo hello > /tmp/report; cat /tmp/report; sleep \(seconds)' && rm -f ready && mkfifo ready
            immure logs -f web > ready 2> /dev/null < /dev/null & read line < ready
            """)
          #expect(start.status == 0, "\(start.error)")
        }
        // And one of an image, which it has changed: job.
        if command.contains(" job") {
          let start = try place.shell(
            """
            immure run -d --name job busybox sh -c 'touch /made; echo ready; sleep 1000' && rm -f ready && mkfifo ready
            immure logs -f job > ready 2> /dev/null < /dev/null & read line < ready
            """)
          #expect(start.status == 0, "\(start.error)")
        }
        let result = try place.shell(command)
        #expect(result.status == 0, "\(verb): \(command): \(result.error)")
        #expect(!result.output.isEmpty || ["run", "cp"].contains(verb), "\(verb): \(command) prints nothing")
        _ = try place.shell("immure rm -f --all")
        count += 1
      }
    }
    #expect(count > 10)
  }
}
