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

  @Test("behind the sentry: statuses, terminals, ids, owners of what is written, exec, logs, top, kill, restart")
  func sentry() throws {
    let podman = try Podman(rootless: true, name: "immure-sentry")
    func run(_ words: String..., input: Finished.Input = "") throws -> Podman.Result {
      try Podman.command(podman.words(["run", "--rm", "--network", "none"] + words), input: input)
    }
    // The sentry's kernel says how it is called.
    let first = try run("tiny", "sh", "-c", "echo $$; cat /proc/sys/kernel/osrelease; exit 4")
    #expect(first.status == 4 && first.output == "1\n6.1.0\n", "\(first.output)\(first.error)")
    #expect(try run("-i", "tiny", "cat", input: "through\n").output == "through\n")
    #expect(try run("tiny", "nothere").status == 127)
    let readOnly = try run("--user", "1000", "--read-only", "tiny", "sh", "-c", "id -u; touch /x")
    #expect(readOnly.output == "1000\n" && readOnly.error.contains("Read-only file system"), "\(readOnly.error)")
    let made = try podman.call(
      "run", "-d", "--network", "none", "--name", "box", "tiny", "sh", "-c",
      "echo began; [ -e /tmp/f ] || { echo x > /tmp/f; busybox chown 1000:1000 /tmp/f; }; exec sleep 1000")
    try #require(made.status == 0, "\(made.error)")
    try Podman.eventually("it wrote its file") {
      try podman.call("exec", "box", "busybox", "stat", "-c", "%u:%g", "/tmp/f").output == "1000:1000\n"
    }
    #expect(try podman.call("exec", "-u", "1000:1000", "box", "sh", "-c", "id -u; echo y >> /tmp/f").output == "1000\n")
    let shown = try podman.shown("exec", "-it", "box", "tty")
    #expect(shown.output.contains("/dev/pts/0"), "\(shown.output)")
    #expect(try podman.call("logs", "box").output == "began\n")
    let top = try podman.call("top", "box", "pid", "args")
    #expect(top.output.contains("sleep 1000"), "\(top.output)\(top.error)")
    #expect(try podman.call("cp", "box:/tmp/f", podman.path + "/home/copy").status == 0)
    #expect(try String(contentsOfFile: podman.path + "/home/copy", encoding: .utf8) == "x\ny\n")
    #expect(try podman.call("restart", "--time", "0", "box").status == 0)
    #expect(try podman.call("exec", "box", "cat", "/tmp/f").output == "x\ny\n")
    #expect(try podman.call("kill", "box").status == 0)
    #expect(try podman.call("wait", "box").output == "137\n")
    #expect(try podman.call("rm", "box").status == 0)
  }
}
