import ChildProcesses
import Foundation
import Testing

/// How many system calls each verb makes: a number that repeats where times do not.
@Suite("System calls of the verbs", .enabled(if: Rig.canRun, Rig.whyNot), .timeLimit(.minutes(60)))
struct CallCountTests {
  /// The table of docs/oci-calls.md.
  private static func recorded() throws -> [String: Int] {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOfFile: root.path + "/docs/oci-calls.md", encoding: .utf8)
    var table: [String: Int] = [:]
    for line in text.split(separator: "\n") where line.hasPrefix("| `") {
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " `")) }
      if cells.count > 1, let count = Int(cells[1]) { table[cells[0]] = count }
    }
    return table
  }

  /// A tenth more or less: memory comes in other pieces from run to run, and a machine with other control groups joins others. One that
  /// became cheaper is to be written down as well.
  @Test(
    "each verb makes as many as docs/oci-calls.md says",
    .enabled(if: Rig.folder.hasSuffix("/release"), "a release build's: a debug build is loaded dynamically"))
  func counts() throws {
    let rig = try Rig()
    let bundle = try rig.bundle(["/attack", "wait"]) { configuration in
      configuration.change("linux") { $0.change("resources") { $0["pids"] = ["limit": 100] } }
    }
    let id = rig.newID()
    let verbs: [(String, [String])] = [
      ("create", ["create", "--bundle", bundle, id]), ("start", ["start", id]), ("state", ["state", id]),
      ("exec", ["exec", "--detach", id, "/attack", "wait"]), ("kill", ["kill", id, "KILL"]),
      ("delete", ["delete", id]),
    ]
    let recorded = try Self.recorded()
    var counted: [String] = []
    for (verb, words) in verbs {
      let report = try KillWalkTests.walk(rig, at: 0, victim: "command", words)
      #expect(report.status == 0, "\(verb)")
      counted.append("\(verb) \(report.calls)")
      let known = try #require(recorded[verb], "docs/oci-calls.md has no row for \(verb), which made \(report.calls)")
      let margin = known / 10 + 6
      #expect(
        abs(report.calls - known) <= margin, "\(verb) makes \(report.calls) calls, docs/oci-calls.md says \(known)")
      if verb == "kill" { #expect(try Rig.eventually { try rig.status(id) == "stopped" }) }
    }
    print("system calls: " + counted.joined(separator: ", "))
  }
}
