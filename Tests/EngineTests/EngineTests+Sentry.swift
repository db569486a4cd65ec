import ChildProcesses
import Foundation
import Testing

extension EngineTests {
  /// Docker's own defaults for a container: its seccomp profile, devices' rules, masked paths, a network that its hook sets up.
  @Test("docker --runtime immure-sentry: a container's life behind the user-space kernel")
  func dockerSentry() throws {
    let world = try world()
    let image = Image.name
    expect(try world.run("docker", "load", "-q", "-i", world.folder + "/tiny.tar"))
    func run(_ words: String..., input: Finished.Input = "") throws -> World.Result {
      try world.run(words: ["docker", "run", "--rm", "--runtime", "immure-sentry"] + words, input: input)
    }
    expect(try run(image, "sh", "-c", "echo $$; uname -r; exit 3"), 3, "1\n6.1.0")
    expect(try run("-i", image, "cat", input: "through\n"), 0, "through")
    expect(try run(image, "nosuch"), 127)
    expect(try run(image, "/etc/passwd"), 126)
    expect(try run("--device", "/dev/fuse", image, "true"), 125)
    let seen = try run(
      "--read-only", "--tmpfs", "/t:size=1m", "-v", "kept:/data", "--ulimit", "nofile=100:200", "--hostname", "boxy",
      "--add-host", "other:1.2.3.4", "--cap-drop", "ALL", "--cap-add", "NET_RAW", "-e", "A=b", "-w", "/tmp", "-u",
      "1000:1000", image, "sh", "-c",
      """
      id -u; pwd; echo $A; hostname; ulimit -n; ulimit -Hn; grep -c '^1.2.3.4' /etc/hosts; touch /x 2>&1
      echo t >/t/t; cat /t/t; grep -E 'CapEff|CapBnd' /proc/self/status | tr -s '\\t\\n' ' '
      """)
    expect(
      seen, 0,
      """
      1000
      /tmp
      b
      boxy
      100
      200
      1
      touch: /x: Read-only file system
      t
      CapEff: 0000000000000000 CapBnd: 0000000000002000
      """)
    expect(try run("-v", "kept:/data", image, "sh", "-c", "echo kept >/data/f; chown 7:8 /data/f"))
    expect(try run("-v", "kept:/data:ro", image, "sh", "-c", "cat /data/f; stat -c %u:%g /data/f"), 0, "kept\n7:8")

    expect(
      try world.run(
        "docker", "run", "-d", "--runtime", "immure-sentry", "--name", "guest", "--memory", "96m", "--pids-limit", "50",
        "-p", "8081:80", image, "sh", "-c",
        "echo out; echo err >&2; trap 'exit 7' TERM; mkdir /w; echo page >/w/index.html; httpd -p 80 -h /w; touch /up; while :; do sleep 1000 & wait; done"
      ))
    try World.eventually("the program has set its trap") {
      try world.run("docker", "exec", "guest", "test", "-e", "/up").status == 0
    }
    let id = try world.run("docker", "inspect", "-f", "{{.Id}}", "guest").line
    let state = try world.run("immure-sentry", "--root", "/var/run/docker/runtime-runc/moby", "state", id)
    #expect(state.output.contains("\"running\""), "\(state.error)")
    try World.eventually("the page comes through the published port") {
      try world.run("curl", "-s", "http://127.0.0.1:8081/").line == "page"
    }
    expect(try world.run("docker", "exec", "guest", "sh", "-c", "echo in; exit 4"), 4, "in")
    expect(try world.run("docker", "exec", "guest", "nosuch"), 126)
    expect(try world.run("docker", "exec", "-d", "guest", "sleep", "100"))
    #expect(try world.run("docker", "top", "guest").output.contains("sleep 100"))
    let further = try world.atTerminal("docker exec -it guest sh -c 'tty; exit 6'")
    #expect(further.status == 6 && further.output.contains("/dev/pts/0"), "\(further.output)\(further.error)")
    let logs = try world.run("docker", "logs", "guest")
    #expect(logs.output == "out\n" && logs.error == "err\n")
    let stats = try world.run("docker", "stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "guest").line
    #expect(stats.contains("/ 96MiB ") && !stats.hasPrefix("0B") && !stats.hasSuffix(" 0"), "\(stats)")
    expect(try world.run("docker", "pause", "guest"))
    expect(try world.run("docker", "unpause", "guest"))
    expect(try world.run("docker", "update", "--memory", "80m", "--memory-swap", "80m", "guest"))
    expect(
      try world.shell(
        "docker cp /etc/hostname guest:/tmp/h && docker cp guest:/tmp/h - | tar -xOf - | cmp - /etc/hostname"))
    expect(try world.run("docker", "exec", "guest", "test", "-s", "/tmp/h"))
    #expect(try world.run("docker", "diff", "guest").output.contains("A /up"))
    expect(try world.run("docker", "stop", "-t", "60", "guest"))
    expect(try world.run("docker", "inspect", "-f", "{{.State.ExitCode}}", "guest"), 0, "7")
    expect(try world.run("docker", "rm", "guest"))

    // Out of memory ends the program, and Docker hears of it; one that lives on without the eater is not told ended.
    expect(
      try world.run(
        "docker", "run", "--runtime", "immure-sentry", "--name", "eater", "--memory", "48m", image, "sh", "-c",
        "sh -c 'x=a; while :; do x=$x$x; done'; echo lived with $?; exec sh -c 'x=a; while :; do x=$x$x; done'"), 137,
      "lived with 137")
    expect(try world.run("docker", "inspect", "-f", "{{.State.OOMKilled}}", "eater"), 0, "true")
    expect(try world.run("docker", "rm", "eater"))
  }

  @Test("docker --runtime immure-sentry: health checks, restart policy, attach")
  func dockerSentryTended() throws {
    let world = try world()
    expect(try world.run("docker", "load", "-q", "-i", world.folder + "/tiny.tar"))
    expect(
      try world.run(
        "docker", "run", "-d", "--runtime", "immure-sentry", "--name", "tended", "--network", "none", "--restart",
        "on-failure:1", "--health-cmd", "test -e /tmp/well", "--health-interval", "200ms", Image.name, "sh", "-c",
        "echo began >> /tmp/log; touch /tmp/well; until [ -e /tmp/fail ]; do sleep 0.1; done; rm /tmp/fail; exit 3"))
    try World.eventually("its health was found good") {
      try world.run("docker", "inspect", "-f", "{{.State.Health.Status}}", "tended").line == "healthy"
    }
    expect(try world.run("docker", "exec", "tended", "touch", "/tmp/fail"))
    try World.eventually("it began again") {
      try world.run("docker", "exec", "tended", "cat", "/tmp/log").line == "began\nbegan"
    }
    expect(try world.run("docker", "inspect", "-f", "{{.RestartCount}}", "tended"), 0, "1")
    expect(try world.run("docker", "exec", "tended", "touch", "/tmp/fail"))
    try World.eventually("it ended for good") {
      try world.run("docker", "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "tended").line == "exited 3"
    }
    expect(try world.run("docker", "rm", "tended"))
    expect(
      try world.run(
        "docker", "run", "-d", "-i", "--runtime", "immure-sentry", "--name", "heard", "--network", "none", Image.name,
        "sh", "-c", "read line; echo heard $line; exit 6"))
    let attached = try world.run(words: ["docker", "attach", "heard"], input: "it\n")
    // Docker's client may leave what came last unread.
    #expect(attached.status == 6, "\(attached.output)\(attached.error)")
    expect(try world.run("docker", "logs", "heard"), 0, "heard it")
    expect(try world.run("docker", "rm", "heard"))
  }

  @Test(
    "ctr with --runc-binary immure-sentry: run, a terminal, limits; a task's exec, ps, metrics, pause, resume, kill")
  func containerdSentry() throws {
    let world = try world()
    expect(try world.run("ctr", "images", "import", world.folder + "/tiny.tar"))
    let binary = "/usr/local/bin/immure-sentry"
    func run(_ flags: String..., command: String, status: Int32 = 0, output: String? = nil) throws {
      let words = ["ctr", "run", "--rm", "--runc-binary", binary] + flags
      let line = (words + [Image.name, "one", "sh", "-c", command]).map { "'\($0)'" }.joined(separator: " ")
      expect(try world.shell(line), status, output)
    }
    try run(command: "echo $$; uname -r; exit 3", status: 3, output: "1\n6.1.0")
    try run("--read-only", command: "touch /x", status: 1)
    try run("--memory-limit", "33554432", command: "x=a; while :; do x=$x$x; done", status: 137)
    try run("--env", "A=b", "--cwd", "/tmp", command: "pwd; echo $A", output: "/tmp\nb")
    let shown = try world.atTerminal("ctr run --rm -t --runc-binary \(binary) \(Image.name) one sh -c 'tty; exit 5'")
    #expect(shown.status == 5 && shown.output.contains("/dev/pts/0"), "\(shown.output)\(shown.error)")
    expect(
      try world.run(
        "ctr", "run", "-d", "--runc-binary", binary, Image.name, "box", "sh", "-c",
        "trap 'exit 7' TERM; touch /up; while :; do sleep 1000 & wait; done"))
    func status() throws -> String {
      let tasks = try world.run("ctr", "tasks", "ls").output.split(separator: "\n")
      return tasks.first { $0.hasPrefix("box ") }?.split(separator: " ").last.map { String($0) } ?? ""
    }
    expect(
      try world.run(
        "ctr", "tasks", "exec", "--exec-id", "wait", "box", "sh", "-c",
        "until [ -e /up ]; do sleep 0.1; done; echo up; exit 4"), 4, "up")
    let further = try world.atTerminal("ctr tasks exec -t --exec-id tty box sh -c 'tty; exit 6'")
    #expect(further.status == 6 && further.output.contains("/dev/pts/0"), "\(further.output)\(further.error)")
    #expect(try world.run("ctr", "tasks", "ps", "box").output.split(separator: "\n").count >= 3)
    #expect(try world.run("ctr", "tasks", "metrics", "box").output.contains("pids"))
    expect(try world.run("ctr", "tasks", "pause", "box"))
    #expect(try status() == "PAUSED")
    expect(try world.run("ctr", "tasks", "resume", "box"))
    expect(try world.run("ctr", "tasks", "kill", "-s", "TERM", "box"))
    try World.eventually("it has stopped") { try status() == "STOPPED" }
    let removed = expect(try world.run("ctr", "tasks", "rm", "box"))
    #expect(removed.error.contains("non-zero exit code 7"))
    expect(try world.run("ctr", "containers", "rm", "box"))
    expect(try world.run("immure-sentry", "--root", "/run/containerd/runc/default", "list", "-q"), 0, "")
  }
}
