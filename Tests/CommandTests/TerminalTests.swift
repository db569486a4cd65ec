import ChildProcesses
import Foundation
import Testing

/// `run -it` as a person at a terminal has it: job control, keys, sizes and raw bytes of a shell behind each wall (Fixtures/terminal.py,
/// which says the same of a shell without one).
@Suite(
  .enabled(if: Caller.canBeAnybody, Caller.whyNotAnybody),
  .enabled(
    if: ["/usr/bin/python3", "/usr/bin/bash", "/usr/bin/ps"].allSatisfy(FileManager.default.isExecutableFile(atPath:)),
    "wants python3, bash and ps"), .timeLimit(.minutes(60)))
struct TerminalTests {
  private static let fixture =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
    + "/Fixtures/terminal.py"

  /// A jail that a user makes has no /proc, from which `ps` and the script tell who is stopped.
  static let shells: [(Caller, String)] = [
    (.root, "container"), (.root, "sentry"), (.root, "jail"), (.user, "container"), (.user, "sentry"),
  ]

  @Test(arguments: shells)
  func aShellAtATerminal(caller: Caller, wall: String) throws {
    let station = try Station(caller)
    let copied = try Immure.command(["install", "-m", "755", Self.fixture, station.root + "/terminal.py"])
    try #require(copied.status == 0, "\(copied.error)")
    let result = try station.script(
      "python3 $R/terminal.py $B --root $R run -it --rm --wall $W -- bash --norc -i", wall: wall, seconds: 300)
    expectDone(result)
    #expect(try station.close() == [])
  }

  @Test func theSameWithoutAWall() throws {
    let result = try Immure.command(["python3", Self.fixture, "bash", "--norc", "-i"], seconds: 300)
    #expect(result.output == "done\n", "\(result.error)")
  }
}
