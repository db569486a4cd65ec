import ChildProcesses
import Foundation
import Testing

extension EngineTests {
  @Test("ctr with --runc-binary: run, tasks, terminals, limits")
  func containerd() throws {
    let world = try world()
    expect(try world.run("ctr", "images", "import", world.folder + "/tiny.tar"))
    func run(_ flags: String..., command: String, status: Int32 = 0, output: String? = nil) throws {
      let words = ["ctr", "run", "--rm", "--runc-binary", "/usr/local/bin/immure-oci"] + flags
      let line = (words + [Image.name, "one", "sh", "-c", command]).map { "'\($0)'" }.joined(separator: " ")
      expect(try world.shell(line), status, output)
    }
    try run(command: "echo hi; exit 3", status: 3, output: "hi")
    try run("--read-only", command: "touch /x", status: 1)
    try run("--seccomp", command: "grep Seccomp: /proc/self/status", output: "Seccomp:\t2")
    try run("--memory-limit", "16777216", command: "x=a; while :; do x=$x$x; done", status: 137)
    try run("--cgroup", "/own/group", command: "grep -c :/own/group /proc/self/cgroup >/dev/null")
    try run("--env", "A=b", "--cwd", "/tmp", command: "pwd; echo $A", output: "/tmp\nb")
    let shown = try world.atTerminal(
      "ctr run --rm -t --runc-binary /usr/local/bin/immure-oci \(Image.name) one sh -c 'tty; exit 5'")
    #expect(shown.status == 5 && shown.output.contains("/dev/pts/0"), "\(shown.output)\(shown.error)")

    expect(
      try world.run(
        "ctr", "run", "-d", "--runc-binary", "/usr/local/bin/immure-oci", Image.name, "box", "sh", "-c",
        "trap 'exit 7' TERM; touch /up; while :; do sleep 1000 & wait; done"))
    func status() throws -> String {
      let tasks = try world.run("ctr", "tasks", "ls").output.split(separator: "\n")
      return tasks.first { $0.hasPrefix("box ") }?.split(separator: " ").last.map { String($0) } ?? ""
    }
    func exec(_ id: String, _ command: String) throws -> World.Result {
      try world.run("ctr", "tasks", "exec", "--exec-id", id, "box", "sh", "-c", command)
    }
    expect(try exec("wait", "until [ -e /up ]; do sleep 0.1; done; echo up; exit 4"), 4, "up")
    let absent = try world.run("ctr", "tasks", "exec", "--exec-id", "absent", "box", "nosuch")
    #expect(absent.status != 0 && absent.error.contains("executable file not found in $PATH"), "\(absent.error)")
    let further = try world.atTerminal("ctr tasks exec -t --exec-id tty box sh -c 'tty; exit 6'")
    #expect(further.status == 6 && further.output.contains("/dev/pts/0"), "\(further.output)\(further.error)")
    #expect(try world.run("ctr", "tasks", "ps", "box").output.split(separator: "\n").count >= 3)
    #expect(try world.run("ctr", "tasks", "metrics", "box").output.contains("pids"))
    expect(try world.run("ctr", "tasks", "pause", "box"))
    #expect(try status() == "PAUSED")
    expect(try world.run("ctr", "tasks", "resume", "box"))
    #expect(try status() == "RUNNING")
    expect(try world.run("ctr", "tasks", "kill", "-s", "TERM", "box"))
    try World.eventually("it has stopped") { try status() == "STOPPED" }
    let removed = expect(try world.run("ctr", "tasks", "rm", "box"))
    #expect(removed.error.contains("non-zero exit code 7"))
    expect(try world.run("ctr", "tasks", "start", "-d", "box"))
    expect(try world.run("ctr", "tasks", "kill", "-s", "KILL", "--all", "box"))
    try World.eventually("it has stopped") { try status() == "STOPPED" }
    expect(try world.run("ctr", "tasks", "rm", "box"))
    expect(try world.run("ctr", "containers", "rm", "box"))
    // Nothing of any of them is kept.
    expect(try world.run("immure-oci", "--root", "/run/containerd/runc/default", "list", "-q"), 0, "")
  }

  @Test("buildah bud and run --runtime")
  func buildah() throws {
    let world = try world()
    let file = "FROM \(Image.name)\nRUN echo built >/built\nCOPY f /f\nRUN cat /f >>/built\n"
    try world.shell(
      "mkdir -p /run/bud && cd /run/bud && echo copied >f && printf '\(file.replacingOccurrences(of: "\n", with: "\\n"))' >Dockerfile"
    )
    expect(try world.shell("buildah pull -q docker-archive:\(world.folder)/tiny.tar"))
    let flags = "--isolation oci --runtime /usr/local/bin/immure-oci"
    expect(try world.shell("buildah bud \(flags) --network none -t localhost/made /run/bud"))
    let container = try world.run("buildah", "from", "--pull-never", "localhost/made").line
    expect(try world.shell("buildah run \(flags) --network none \(container) -- cat /built"), 0, "built\ncopied")
    expect(try world.shell("buildah run \(flags) --network none \(container) -- sh -c 'exit 7'"), 7)
    let user = "--user 1000 -v /etc/hostname:/h:ro -e A=b"
    expect(
      try world.shell("buildah run \(flags) --network none \(user) \(container) -- sh -c 'id -u; echo $A; test -s /h'"),
      0, "1000\nb")
    expect(try world.shell("buildah run \(flags) --network host \(container) -- ls /sys/class/net"))
  }
}

extension EngineTests {
  @Test("CRI: a pod and its containers, as a kubelet asks for them")
  func pods() throws {
    let world = try world()
    expect(try world.run("ctr", "-n", "k8s.io", "images", "import", world.folder + "/tiny.tar"))
    let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "cri.py").path
    expect(
      try world.run("python3", script, Image.name, seconds: 300), 0,
      """
      pod runs
      exec b 4
      absent 1
      memory True
      limit \(32 << 20) 0
      stopped 2 7
      log out
      greedy 137
      gone
      """)
    expect(try world.run("immure-oci", "--root", "/run/containerd/runc/k8s.io", "list", "-q"), 0, "")
  }
}
