import ChildProcesses
import Foundation
import Testing

@Suite("podman as root", .enabled(if: Podman.canRun, Podman.whyNot))
struct RootTests {
  @Test("run: streams, statuses, terminals, ids, limits, mounts")
  func run() throws {
    let podman = try Podman()
    func run(_ words: String..., input: Finished.Input = "") throws -> Podman.Result {
      try Podman.command(podman.words(["run", "--rm", "--network", "none"] + words), input: input)
    }
    let info = try podman.call("info", "--format", "{{.Host.OCIRuntime.Path}}")
    #expect(info.output == podman.runtime + "\n", "\(info.error)")
    let first = try run("tiny", "sh", "-c", "echo out; echo err >&2; exit 9")
    #expect(first.status == 9 && first.output == "out\n" && first.error == "err\n", "\(first.error)")
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
    let begun = try run("--init", "tiny", "sh", "-c", "cat /proc/1/cmdline")
    #expect(begun.output.contains("init"), "\(begun.output)\(begun.error)")
    let mapped = try run("--uidmap", "0:100000:1000", "tiny", "cat", "/proc/self/uid_map")
    #expect(mapped.output.split(separator: " ").map { String($0) } == ["0", "100000", "1000\n"], "\(mapped.error)")
    let host = try podman.call(
      "run", "--rm", "--network", "host", "--pid", "host", "--ipc", "host", "--uts", "host", "tiny", "sh", "-c",
      "ls -d /proc/[0-9]* | wc -l")
    #expect((Int(host.output.filter(\.isNumber)) ?? 0) > 3, "\(host.error)")
    try "shared".write(toFile: podman.path + "/file", atomically: true, encoding: .utf8)
    let volume = try run("-v", podman.path + "/file:/file:ro", "tiny", "sh", "-c", "cat /file; echo x > /file")
    #expect(volume.output == "shared" && volume.error.contains("Read-only"), "\(volume.error)")
    #expect(try run("--privileged", "tiny", "id", "-u").output == "0\n")
    let killed = try run("--memory", "20m", "tiny", "sh", "-c", "x=a; while :; do x=$x$x; done")
    #expect(killed.status == 137, "\(killed.error)")
    let preserved = try Podman.command(
      ["/bin/bash", "-c", "exec 3< \(podman.path)/file; exec \"$@\"", "x"]
        + podman.words(["run", "--rm", "--network", "none", "--preserve-fds", "1", "tiny", "sh", "-c", "cat <&3"]))
    #expect(preserved.output == "shared", "\(preserved.error)")
    #expect(try podman.call("ps", "-aq").output == "")
  }

  /// A container in another's user namespace, and a pod whose containers are in that of its infra container.
  @Test("user namespaces that are joined")
  func joined() throws {
    let podman = try Podman()
    let made = try podman.call(
      "run", "-d", "--network", "none", "--name", "box", "--uidmap", "0:720000:65536", "tiny", "sleep", "1000")
    try #require(made.status == 0, "\(made.error)")
    let other = try podman.call(
      "run", "--rm", "--userns", "container:box", "--network", "container:box", "--pid", "container:box", "--ipc",
      "container:box", "tiny", "sh", "-c", "cat /proc/self/uid_map; id -u; touch /tmp/x && ls -n /tmp/x; ls -d /proc/1")
    #expect(
      other.output.split(whereSeparator: \.isWhitespace).prefix(4) == ["0", "720000", "65536", "0"]
        && other.output.contains("1 0        0") && other.output.hasSuffix("/proc/1\n"), "\(other.output)\(other.error)"
    )
    let pod = try podman.call(
      "pod", "create", "--name", "pod", "--network", "none", "--uidmap", "0:730000:65536", "--gidmap",
      "0:730000:65536", "--infra-image", "tiny", "--infra-command", "/bin/sleep 1000")
    try #require(pod.status == 0, "\(pod.error)")
    #expect(try podman.call("run", "-d", "--pod", "pod", "--name", "member", "tiny", "sleep", "1000").status == 0)
    let infra = try podman.call("pod", "inspect", "pod", "--format", "{{.InfraContainerID}}").output.filter {
      $0 != "\n"
    }
    let namespaces = try ["member", infra].map {
      try podman.call("exec", $0, "ls", "-l", "/proc/self/ns/user").output.split(separator: " ").last
    }
    #expect(namespaces[0] == namespaces[1] && namespaces[0]?.hasPrefix("user:[") == true, "\(namespaces)")
    // podman's own clean-up of a member that has just ended may be at work on it at the same time.
    var said: [String] = []
    for _ in 0..<3 {
      let removal = try podman.call("pod", "rm", "--force", "--time", "0", "pod")
      if removal.status == 0 { break }
      said.append(removal.error)
    }
    #expect(try podman.call("pod", "exists", "pod").status == 1, "\(said)")
  }

  @Test("a container's life: exec, logs, top, stats, pause, update, cp, restart, kill, stop, wait")
  func life() throws {
    let podman = try Podman()
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
    #expect(try podman.call("top", "box", "comm").output.contains("sleep"))
    let stats = try podman.call("stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "box")
    #expect((stats.output.first?.isNumber ?? false) && !stats.output.contains("0B /"), "\(stats.output)\(stats.error)")
    #expect(try podman.call("cp", "box:/tmp/x", podman.path + "/copy").status == 0)
    #expect(try String(contentsOfFile: podman.path + "/copy", encoding: .utf8) == "copied\n")
    #expect(try podman.call("pause", "box").status == 0)
    #expect(try podman.call("inspect", "--format", "{{.State.Status}}", "box").output == "paused\n")
    #expect(try podman.call("unpause", "box").status == 0)
    let updated = try podman.call("update", "--memory", "100m", "--cpus", "0.5", "box")
    #expect(updated.status == 0, "\(updated.error)")
    #expect(try podman.call("kill", "--signal", "USR1", "box").status == 0)
    try Podman.eventually("the signal came") { try podman.call("logs", "box").output.contains("told\n") }
    #expect(try podman.call("restart", "--time", "5", "box").status == 0)
    try Podman.eventually("it began again") { try podman.call("logs", "box").output.hasSuffix("began\n") }
    #expect(try podman.call("stop", "--time", "20", "box").status == 0)
    #expect(try podman.call("wait", "box").output == "5\n")
    #expect(try podman.call("start", "box").status == 0)
    #expect(try podman.call("kill", "box").status == 0)
    #expect(try podman.call("wait", "box").output == "137\n")
    #expect(try podman.call("rm", "box").status == 0)
  }

  /// The block of docs/oci.md is run as it stands, in a mount namespace of its own where it changes nothing of the machine's.
  @Test("how docs/oci.md says to install it")
  func installation() throws {
    let podman = try Podman()
    let page = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
      .deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "docs/oci.md")
    let text = try String(contentsOf: page, encoding: .utf8)
    let start = try #require(text.range(of: "```sh\n# podman\n"))
    let end = try #require(text.range(of: "\n```", range: start.upperBound..<text.endIndex))
    let block = String(text[start.upperBound..<end.lowerBound])
    let script = """
      set -e
      mkdir -p \(podman.path)/local \(podman.path)/etc
      ln -s \(Podman.folder)/immure \(podman.path)/local/immure-oci
      ln -s \(Podman.folder)/immure \(podman.path)/local/immure-container
      mount --bind \(podman.path)/local /usr/local/bin
      cp -a /etc/containers/. \(podman.path)/etc/
      mount --bind \(podman.path)/etc /etc/containers
      \(block)
      printf '[storage]\\ndriver = "vfs"\\nrunroot = "\(podman.path)/run2"\\ngraphroot = "\(podman.path)/graph2"\\n' > \(podman.path)/storage2
      export CONTAINERS_STORAGE_CONF=\(podman.path)/storage2 HOME=/root
      unset CONTAINERS_CONF XDG_RUNTIME_DIR
      podman info --format '{{.Host.OCIRuntime.Path}}'
      podman --runtime immure-container info --format '{{.Host.OCIRuntime.Path}}'
      """
    let result = try Podman.command(["/usr/bin/unshare", "-m", "--propagation", "private", "/bin/bash", "-c", script])
    #expect(
      result.output.hasSuffix("/usr/local/bin/immure-oci\n/usr/local/bin/immure-container\n"),
      "\(result.output)\(result.error)")
  }
}

extension Podman {
  /// Asks again within a bound.
  static func eventually(_ what: Comment, _ holds: () throws -> Bool) throws {
    let deadline = Date(timeIntervalSinceNow: 120)
    while try !holds() {
      guard Date() < deadline else {
        Issue.record(what)
        return
      }
      usleep(100_000)
    }
  }
}
