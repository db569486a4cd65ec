import ChildProcesses
import Foundation
import Testing

extension EngineTests {
  private func load(_ world: World) throws {
    expect(try world.run("docker", "load", "-q", "-i", world.folder + "/tiny.tar"))
  }

  @Test("docker run: what the program sees, and how its end is told")
  func dockerRun() throws {
    let world = try world()
    let image = Image.name
    try load(world)
    expect(try world.run("docker", "info", "-f", "{{.DefaultRuntime}}"), 0, "immure")
    expect(try world.run("docker", "run", "--rm", image, "sh", "-c", "exit 3"), 3)
    expect(try world.run("docker", "run", "-i", "--rm", image, "cat", input: "through\n"), 0, "through")
    // Docker makes its status of the runtime's words.
    let absent = expect(try world.run("docker", "run", "--rm", image, "nosuch"), 127)
    #expect(absent.error.contains("exec: \"nosuch\": executable file not found in $PATH"))
    expect(try world.run("docker", "run", "--rm", image, "/nosuch"), 127)
    let text = expect(try world.run("docker", "run", "--rm", image, "/etc/passwd"), 126)
    #expect(text.error.contains("permission denied"))
    expect(try world.run("docker", "run", "--rm", "--sysctl", "kernel.nosuch=1", image, "true"), 125)

    let seen = try world.run(
      "docker", "run", "--rm", "--read-only", "--tmpfs", "/t:size=1m", "-v", "kept:/data", "--ulimit", "nofile=100:200",
      "--sysctl", "net.core.somaxconn=99", "--hostname", "boxy", "--add-host", "other:1.2.3.4", "--cap-drop", "ALL",
      "--cap-add", "NET_RAW", "--security-opt", "no-new-privileges", "--device", "/dev/full", "--oom-score-adj", "10",
      "-e", "A=b", "-w", "/tmp", "-u", "1000:1000", image, "sh", "-c",
      """
      id -u; pwd; echo $A; hostname; ulimit -n; ulimit -Hn; cat /proc/sys/net/core/somaxconn /proc/self/oom_score_adj
      grep -c '^1.2.3.4' /etc/hosts; test -c /dev/full; echo $?; touch /x 2>&1; echo t >/t/t; cat /t/t
      grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status | tr -s '\\t\\n' ' '
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
      99
      10
      1
      0
      touch: /x: Read-only file system
      t
      CapEff: 0000000000000000 CapBnd: 0000000000002000 NoNewPrivs: 1 Seccomp: 2
      """)
    expect(try world.run("docker", "run", "--rm", "-v", "kept:/data", image, "sh", "-c", "echo kept >/data/f"))
    expect(try world.run("docker", "run", "--rm", "-v", "kept:/data:ro", image, "cat", "/data/f"), 0, "kept")
    let readOnly = try world.run("docker", "run", "--rm", "-v", "kept:/data:ro", image, "touch", "/data/g")
    expect(readOnly, 1)
  }

  @Test("docker: a container's life, seen and changed from outside")
  func dockerLife() throws {
    let world = try world()
    try load(world)
    let program = "echo out; echo err >&2; trap 'exit 7' TERM; touch /up; while :; do sleep 1000 & wait; done"
    expect(
      try world.run(
        "docker", "run", "-d", "--name", "box", "--memory", "64m", "--pids-limit", "50", "--cpus", "0.5",
        Image.name, "sh", "-c", program))
    func up() throws {
      try World.eventually("the program has set its trap") {
        try world.run("docker", "exec", "box", "test", "-e", "/up").status == 0
      }
    }
    try up()
    // It is ours that has it, not another runtime that the daemon fell back to.
    let id = try world.run("docker", "inspect", "-f", "{{.Id}}", "box").line
    let state = try world.run("immure-oci", "--root", "/var/run/docker/runtime-runc/moby", "state", id)
    #expect(state.output.contains("\"running\""), "\(state.error)")

    expect(try world.run("docker", "exec", "box", "sh", "-c", "echo in; exit 4"), 4, "in")
    let user = try world.run(
      "docker", "exec", "-u", "1000", "-w", "/tmp", "-e", "A=b", "box", "sh", "-c", "id -u; pwd; echo $A")
    expect(user, 0, "1000\n/tmp\nb")
    expect(try world.run("docker", "exec", "-i", "box", "cat", input: "through\n"), 0, "through")
    expect(try world.run("docker", "exec", "box", "nosuch"), 126)
    expect(try world.run("docker", "exec", "-d", "box", "sleep", "100"))
    #expect(try world.run("docker", "top", "box").output.contains("sleep 100"))
    let logs = try world.run("docker", "logs", "box")
    #expect(logs.output == "out\n" && logs.error == "err\n")
    let stats = try world.run("docker", "stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "box").line
    #expect(stats.contains("/ 64MiB ") && !stats.hasPrefix("0B") && !stats.hasSuffix(" 0"), "\(stats)")

    expect(try world.run("docker", "pause", "box"))
    expect(try world.run("docker", "inspect", "-f", "{{.State.Status}}", "box"), 0, "paused")
    expect(try world.run("docker", "unpause", "box"))
    expect(try world.run("docker", "exec", "box", "true"))

    expect(try world.run("docker", "update", "--memory", "32m", "--memory-swap", "32m", "--pids-limit", "40", "box"))
    let limits = try world.shell(
      "docker exec box sh -c 'cd /sys/fs/cgroup; cat memory.max pids.max 2>/dev/null || cat memory/memory.limit_in_bytes pids/pids.max'"
    )
    expect(limits, 0, "\(32 << 20)\n40")

    expect(
      try world.shell("docker cp /etc/hostname box:/tmp/h && docker cp box:/tmp/h - | tar -xOf - | cmp - /etc/hostname")
    )
    expect(try world.run("docker", "exec", "box", "test", "-s", "/tmp/h"))

    expect(try world.shell("docker exec box rm /up && docker restart -t 60 box"))
    try up()
    expect(try world.run("docker", "stop", "-t", "60", "box"))
    expect(try world.run("docker", "inspect", "-f", "{{.State.ExitCode}}", "box"), 0, "7")
    expect(try world.run("docker", "start", "box"))
    expect(try world.run("docker", "kill", "box"))
    expect(try world.run("docker", "wait", "box"), 0, "137")
    expect(try world.run("docker", "rm", "box"))

    let greedy = "x=a; while :; do x=$x$x; done"
    expect(
      try world.run(
        "docker", "run", "--name", "greedy", "--memory", "16m", "--memory-swap", "16m", Image.name, "sh", "-c", greedy),
      137)
    // The end and its cause are two events, which come in either order.
    try World.eventually("it was killed for its memory") {
      try world.run("docker", "inspect", "-f", "{{.State.OOMKilled}}", "greedy").line == "true"
    }
    expect(try world.run("docker", "rm", "greedy"))
  }

  @Test("docker -it: a terminal, its size, and that of exec")
  func dockerTerminal() throws {
    let world = try world()
    try load(world)
    // The size is set once the container is there, and again while it runs.
    let inside =
      "until [ \"$(stty size 2>/dev/null)\" = \"33 77\" ]; do sleep 0.1; done; tty; touch /mark/up; until [ \"$(stty size)\" = \"40 120\" ]; do sleep 0.1; done; exit 5"
    try world.shell("mkdir -p /run/mark && cat >/run/inside <<'E'\n\(inside)\nE\n")
    let outside = """
      stty rows 33 cols 77
      (until [ -e /run/mark/up ]; do sleep 0.1; done; stty -F /dev/tty rows 40 cols 120) &
      docker run --rm -it --name shown -v /run/mark:/mark -v /run/inside:/inside \(Image.name) sh /inside
      """
    try world.shell("cat >/run/outside <<'E'\n\(outside)\nE\n")
    let shown = try world.atTerminal("bash /run/outside")
    #expect(shown.status == 5 && shown.output.contains("/dev/pts/0"), "\(shown.output)\(shown.error)")

    expect(try world.run("docker", "run", "-d", "--init", "--name", "box", Image.name, "sleep", "1000"))
    let further = try world.atTerminal("docker exec -it box sh -c 'tty; exit 6'")
    #expect(further.status == 6 && further.output.contains("/dev/pts/0"), "\(further.output)\(further.error)")
    // With --init a signal ends a program that has no handler for it.
    expect(try world.run("docker", "stop", "-t", "60", "box"))
    expect(try world.run("docker", "inspect", "-f", "{{.State.ExitCode}}", "box"), 0, "143")
    expect(try world.run("docker", "rm", "box"))
  }

  @Test("docker: published ports, shared namespaces, health, the restart policy")
  func dockerTogether() throws {
    let world = try world()
    try load(world)
    expect(
      try world.run(
        "docker", "run", "-d", "--init", "--name", "web", "-p", "8080:80", "--health-cmd", "test -e /ok",
        "--health-interval", "200ms", "--health-retries", "1", Image.name, "sh", "-c",
        "mkdir /w; echo page >/w/index.html; exec httpd -f -p 80 -h /w"))
    try World.eventually("the page comes through the published port") {
      try world.run("curl", "-s", "http://127.0.0.1:8080/").line == "page"
    }
    let neighbour = try world.run(
      "docker", "run", "--rm", "--network", "container:web", Image.name, "wget", "-qO-", "http://127.0.0.1/")
    expect(neighbour, 0, "page")
    let processes = try world.run("docker", "run", "--rm", "--pid", "container:web", Image.name, "ps", "-o", "args")
    #expect(processes.output.contains("httpd -f -p 80"), "\(processes.error)")
    let namespaces = "for name in net uts ipc pid; do readlink /proc/self/ns/$name; done"
    let host = try world.run(
      "docker", "run", "--rm", "--network", "host", "--uts", "host", "--ipc", "host", "--pid", "host", Image.name,
      "sh", "-c", namespaces)
    let own = try world.shell(namespaces)
    expect(host, 0, own.line)

    func health(_ word: String) throws {
      try World.eventually("it is \(word)") {
        try world.run("docker", "inspect", "-f", "{{.State.Health.Status}}", "web").line == word
      }
    }
    try health("unhealthy")
    expect(try world.run("docker", "exec", "web", "touch", "/ok"))
    try health("healthy")
    expect(try world.run("docker", "rm", "-f", "web"))

    expect(
      try world.run(
        "docker", "run", "-d", "--name", "again", "--restart", "on-failure:2", Image.name, "sh", "-c",
        "echo try; exit 9"))
    try World.eventually("it was tried again twice, and that was all") {
      try world.run("docker", "inspect", "-f", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}", "again").line
        == "2 exited 9"
    }
    #expect(try world.run("docker", "logs", "again").output == "try\ntry\ntry\n")
    expect(try world.run("docker", "rm", "again"))
  }

  @Test("docker build with immure-oci as the default runtime")
  func dockerBuild() throws {
    let world = try world()
    try load(world)
    let file = """
      FROM \(Image.name)
      RUN echo built >/built && test "$(id -u)" = 0
      COPY f /f
      USER 1000
      RUN id -u >/tmp/id && cat /f >>/tmp/id
      CMD ["cat","/built","/tmp/id"]
      """
    try world.shell("mkdir -p /run/build && cd /run/build && echo copied >f && cat >Dockerfile <<'E'\n\(file)\nE\n")
    let built = try world.run("docker", "build", "-q", "-t", "built", "/run/build")
    expect(built)
    expect(try world.run("docker", "run", "--rm", "built"), 0, "built\n1000\ncopied")
    try world.shell("printf 'FROM \(Image.name)\\nRUN exit 9\\n' >/run/build/Dockerfile")
    let broken = try world.run("docker", "build", "/run/build")
    #expect(
      broken.status == 9 && broken.error.contains("returned a non-zero code: 9"), "\(broken.output)\(broken.error)")
  }
}

extension EngineTests {
  /// A daemon of its own beside the other: the remapping is the daemon's, for all its containers.
  @Test("dockerd --userns-remap: root of a container is nobody outside")
  func dockerRemapped() throws {
    let world = try world()
    let daemon = """
      for file in /etc/subuid /etc/subgid; do echo remap:300000:65536 >>$file; done
      echo remap:x:990:990::/:/bin/false >>/etc/passwd
      echo remap:x:990: >>/etc/group
      setsid unshare --net dockerd -H unix:///run/remapped.sock --data-root /var/lib/remapped --exec-root /run/remapped \
        --pidfile /run/remapped.pid --containerd /run/containerd/containerd.sock --containerd-namespace remapped \
        --containerd-plugins-namespace remapped-plugins --bridge none --iptables=false \
        --exec-opt native.cgroupdriver=cgroupfs --userns-remap remap >/run/remapped.log 2>&1 </dev/null &
      """
    expect(try world.shell(daemon))
    func docker(_ words: String) throws -> World.Result {
      try world.shell("docker -H unix:///run/remapped.sock \(words)")
    }
    try World.eventually("the daemon answers", seconds: 120) { try docker("version").status == 0 }
    expect(try docker("load -q -i \(world.folder)/tiny.tar"))
    expect(try docker("run -d --name box \(Image.name) sh -c 'touch /x; exec sleep 1000'"))
    let seen = try docker(
      "exec box sh -c 'until [ -e /x ]; do sleep 0.1; done; id -u; tr -s \" \" </proc/self/uid_map'")
    expect(seen, 0, "0\n 0 300000 65536")
    // Outside, its file is that id's, and so is its process.
    let outside = try world.shell(
      "pid=$(docker -H unix:///run/remapped.sock inspect -f '{{.State.Pid}}' box); stat -c %u /proc/$pid/root/x /proc/$pid"
    )
    expect(outside, 0, "300000\n300000")
    expect(try docker("exec box mount -t tmpfs none /tmp"), 1)
    expect(try docker("rm -f box"))
    expect(try world.shell("kill $(cat /run/remapped.pid)"))
  }
}
