import ChildProcesses
import Foundation
import Testing

@Suite(
  "podman without root",
  .enabled(
    if: Podman.canRun && Podman.has("newuidmap") && Podman.has("setpriv"),
    "wants what podman as root wants, and newuidmap (package uidmap)"))
struct RootlessTests {
  @Test("run, exec, terminals, logs, kill, and the ids of /etc/subuid")
  func rootless() throws {
    let podman = try Podman(rootless: true)
    func run(_ words: String...) throws -> Podman.Result {
      try Podman.command(podman.words(["run", "--rm", "--network", "none"] + words))
    }
    let map = try run("tiny", "cat", "/proc/self/uid_map")
    #expect(
      map.output.split { $0 == " " || $0 == "\n" } == ["0", "7321", "1", "1", "73210000", "65536"], "\(map.error)")
    #expect(try run("tiny", "sh", "-c", "exit 4").status == 4)
    #expect(try run("tiny", "nothere").status == 127)
    let readOnly = try run("--user", "1000", "--read-only", "tiny", "sh", "-c", "id -u; touch /x")
    #expect(readOnly.output == "1000\n" && readOnly.error.contains("Read-only file system"), "\(readOnly.error)")
    let made = try podman.call(
      "run", "-d", "--network", "none", "--name", "box", "tiny", "sh", "-c", "echo began; sleep 1000")
    try #require(made.status == 0, "\(made.error)")
    #expect(try podman.call("exec", "-u", "1000:1000", "box", "id", "-u").output == "1000\n")
    let shown = try podman.shown("exec", "-it", "box", "tty")
    #expect(shown.output.contains("/dev/pts/0"), "\(shown.output)")
    #expect(try podman.call("logs", "box").output == "began\n")
    #expect(try podman.call("kill", "box").status == 0)
    #expect(try podman.call("wait", "box").output == "137\n")
    #expect(try podman.call("rm", "box").status == 0)
  }
}
