import ChildProcesses
import Foundation
import Testing

@Suite("podman over the sentry", .enabled(if: Podman.canRun, Podman.whyNot))
struct SentryTests {
  @Test("run: streams, statuses, terminals, ids, limits, mounts; what the sentry has not is refused by name")
  func run() throws {
    let podman = try Podman(name: "immure-sentry")
    func run(_ words: String..., input: Finished.Input = "") throws -> Podman.Result {
      try Podman.command(podman.words(["run", "--rm", "--network", "none"] + words), input: input)
    }
    let first = try run("tiny", "sh", "-c", "echo $$; echo err >&2; exit 9")
    #expect(first.status == 9 && first.output == "1\n" && first.error == "err\n", "\(first.error)")
    #expect(try run("-i", "tiny", "cat", input: "through\n").output == "through\n")
    for (program, status, words) in [
      ("nothere", 127, "executable file not found in $PATH"), ("/nothere", 127, "no such file or directory"),
      ("/etc", 126, "permission denied"),
    ] as [(String, Int32, String)] {
      let result = try run("tiny", program)
      #expect(result.status == status && result.error.contains(words), "\(program): \(result.status) \(result.error)")
    }
    let shown = try podman.shown("run", "--rm", "--network", "none", "-it", "tiny", "tty")
    #expect(shown.output.contains("/dev/pts/0"), "\(shown.output)")
    let bare = try run(
      "--user", "1000:1000", "--cap-drop", "all", "--read-only", "--tmpfs", "/foo", "tiny", "sh", "-c",
      "id -u; grep CapBnd /proc/self/status; touch /foo/x && echo wrote; touch /x")
    #expect(bare.output == "1000\nCapBnd:\t0000000000000000\nwrote\n", "\(bare.output)")
    #expect(bare.error.contains("Read-only file system"))
    // The host's kernel is asked by nobody: it is the sentry that says how it is called.
    #expect(try run("tiny", "cat", "/proc/sys/kernel/osrelease").output == "6.1.0\n")
    try "shared".write(toFile: podman.path + "/file", atomically: true, encoding: .utf8)
    let volume = try run("-v", podman.path + "/file:/file:ro", "tiny", "sh", "-c", "cat /file; echo x > /file")
    #expect(volume.output == "shared" && volume.error.contains("Read-only"), "\(volume.error)")
    try FileManager.default.createDirectory(atPath: podman.path + "/volume", withIntermediateDirectories: true)
    let owned = try run("-v", podman.path + "/volume:/v", "tiny", "sh", "-c", "echo x > /v/f; busybox chown 7:8 /v/f")
    #expect(owned.status == 0, "\(owned.error)")
    let attributes = try FileManager.default.attributesOfItem(atPath: podman.path + "/volume/f")
    #expect(attributes[.ownerAccountID] as? Int == 7 && attributes[.groupOwnerAccountID] as? Int == 8)
    let killed = try run("--memory", "40m", "tiny", "sh", "-c", "x=a; while :; do x=$x$x; done")
    #expect(killed.status == 137, "\(killed.error)")
    for (words, text) in [
      (["--pid", "host"], "pid namespace of its own"), (["--device", "/dev/fuse"], "linux.devices /dev/fuse"),
      (["--sysctl", "kernel.shmmax=1"], "sysctl kernel.shmmax"),
    ] {
      let refused = try Podman.command(podman.words(["run", "--rm", "--network", "none"] + words + ["tiny", "true"]))
      #expect(refused.status == 126 && refused.error.contains(text), "\(refused.status) \(refused.error)")
    }
    #expect(try podman.call("ps", "-aq").output == "")
  }

  /// What eats the memory ends, and who started it goes on and says so: the sentry is never the kernel's choice.
  @Test("out of memory ends the guest that eats it, not the sandbox; its limit is changed meanwhile")
  func memory() throws {
    let podman = try Podman(name: "immure-sentry")
    let eater = "sh -c 'x=a; while :; do x=$x$x; done'"
    let made = try podman.call(
      "run", "-d", "--network", "none", "--name", "box", "--memory", "48m", "tiny", "sh", "-c",
      "\(eater); echo lived with $?; \(eater); echo lived with $?; touch /tmp/x; exec sleep 1000")
    try #require(made.status == 0, "\(made.error)")
    try Podman.eventually("both were ended, and the sandbox lives") {
      try podman.call("logs", "box").output.components(separatedBy: "lived with 137\n").count == 3
    }
    #expect(try podman.call("exec", "box", "echo", "alive").output == "alive\n")
    let updated = try podman.call("update", "--memory", "96m", "box")
    #expect(updated.status == 0, "\(updated.error)")
    // Twice 24 MB and a copy of them are too much for the first limit only.
    let more = try podman.call(
      "exec", "box", "sh", "-c",
      "busybox dd if=/dev/zero of=/dev/shm/f bs=1M count=60 2>/dev/null; busybox wc -c < /dev/shm/f")
    #expect(more.output == "\(60 << 20)\n", "\(more.status) \(more.error)")
    func use() throws -> Double {
      let text = try podman.call("stats", "--no-stream", "--format", "{{.MemUsage}}", "box").output
      let number = Double(text.prefix { $0.isNumber || $0 == "." }) ?? 0
      return text.contains("MB /") ? number : 0
    }
    let full = try use()
    #expect(full > 55, "\(full) MB with a file of 60 MiB in memory")
    #expect(try podman.call("exec", "box", "busybox", "rm", "/dev/shm/f").status == 0)
    #expect(try use() < full - 55, "what guests free goes back to the host")
  }

  @Test("a container's life: exec, logs, top, stats, pause, update, cp, diff, restart, kill, stop, wait")
  func life() throws {
    let podman = try Podman(name: "immure-sentry")
    let made = try podman.call(
      "run", "-d", "--network", "none", "--name", "box", "--stop-signal", "TERM", "tiny", "sh", "-c",
      "trap 'exit 5' TERM; trap 'echo told' USR1; echo began; echo problem >&2; while :; do sleep 0.1; done")
    try #require(made.status == 0, "\(made.error)")
    #expect(try podman.call("exec", "box", "sh", "-c", "id -u; exit 4").status == 4)
    #expect(try podman.call("exec", "-u", "1000:1000", "box", "id", "-u").output == "1000\n")
    #expect(try podman.call("exec", "-i", "box", "cat", input: "in\n").output == "in\n")
    let shown = try podman.shown("exec", "-it", "box", "tty")
    #expect(shown.output.contains("/dev/pts/0"), "\(shown.output)")
    #expect(try podman.call("exec", "box", "nothere").status == 127)
    #expect(try podman.call("exec", "-d", "box", "sh", "-c", "echo copied > /tmp/x; sleep 1000").status == 0)
    try Podman.eventually("the detached program wrote its file") {
      try podman.call("exec", "box", "cat", "/tmp/x").output == "copied\n"
    }
    let logs = try podman.call("logs", "box")
    #expect(logs.output == "began\n" && logs.error == "problem\n")
    #expect(try podman.call("top", "box", "pid", "args").output.contains("sleep 1000"))
    let stats = try podman.call("stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "box")
    #expect((stats.output.first?.isNumber ?? false) && !stats.output.contains("0B /"), "\(stats.output)\(stats.error)")
    #expect(try podman.call("cp", "box:/tmp/x", podman.path + "/copy").status == 0)
    #expect(try String(contentsOfFile: podman.path + "/copy", encoding: .utf8) == "copied\n")
    #expect(try podman.call("cp", podman.path + "/copy", "box:/tmp/back").status == 0)
    #expect(try podman.call("exec", "box", "cat", "/tmp/back").output == "copied\n")
    #expect(try podman.call("diff", "box").output.contains("A /tmp/back\n"))
    #expect(try podman.call("pause", "box").status == 0)
    #expect(try podman.call("inspect", "--format", "{{.State.Status}}", "box").output == "paused\n")
    #expect(try podman.call("unpause", "box").status == 0)
    #expect(try podman.call("kill", "--signal", "USR1", "box").status == 0)
    try Podman.eventually("the signal came") { try podman.call("logs", "box").output.contains("told\n") }
    #expect(try podman.call("restart", "--time", "5", "box").status == 0)
    try Podman.eventually("it began again") { try podman.call("logs", "box").output.hasSuffix("began\n") }
    // What it wrote is still there: its root is the engine's folder.
    #expect(try podman.call("exec", "box", "cat", "/tmp/x").output == "copied\n")
    #expect(try podman.call("stop", "--time", "20", "box").status == 0)
    #expect(try podman.call("wait", "box").output == "5\n")
    #expect(try podman.call("start", "box").status == 0)
    #expect(try podman.call("kill", "box").status == 0)
    #expect(try podman.call("wait", "box").output == "137\n")
    #expect(try podman.call("rm", "box").status == 0)
  }
}
