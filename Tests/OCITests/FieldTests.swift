import ChildProcesses
import Foundation
import Linux
import Testing

/// Fields of the configuration as a program inside meets them.
@Suite("Fields of the OCI configuration", .enabled(if: OCI.canRun, OCI.whyNot))
struct FieldTests {
  private func run(_ script: String, _ change: (inout [String: Any]) -> Void) throws -> OCI.Result {
    let oci = try OCI()
    let id = oci.newID()
    let bundle = try oci.bundle(["sh", "-c", script], change)
    return try oci.run("run", "--bundle", bundle, id)
  }

  private func lines(_ script: String, _ change: (inout [String: Any]) -> Void) throws -> [String] {
    let result = try run(script, change)
    #expect(result.status == 0, "\(result.error)")
    return result.output.split(separator: "\n").map(String.init)
  }

  private func set(_ configuration: inout [String: Any], _ part: String, _ values: [String: Any]) {
    var object = configuration[part] as? [String: Any] ?? [:]
    object.merge(values) { $1 }
    configuration[part] = object
  }

  private func addNamespace(_ configuration: inout [String: Any], _ namespace: [String: Any]) {
    var linux = configuration["linux"] as? [String: Any] ?? [:]
    var list = linux["namespaces"] as? [[String: Any]] ?? []
    list.removeAll { $0["type"] as? String == namespace["type"] as? String }
    list.append(namespace)
    linux["namespaces"] = list
    configuration["linux"] = linux
  }

  @Test("scheduler, I/O priority, execution domain, oom score, clocks, names, settings")
  func process() throws {
    let text = try lines(
      """
      busybox awk '{print $19}' /proc/self/stat; cat /proc/self/oom_score_adj; busybox uname -m; cat /proc/sys/kernel/shm_rmid_forced
      cat /proc/sys/net/ipv4/ip_forward; busybox hostname; cat /proc/sys/kernel/domainname; umask
      busybox cut -d. -f1 /proc/uptime; busybox ionice; busybox awk '{print $41}' /proc/self/stat
      """
    ) { configuration in
      set(
        &configuration, "process",
        [
          "scheduler": ["policy": "SCHED_BATCH", "nice": 5], "oomScoreAdj": 500,
          "ioPriority": ["class": "IOPRIO_CLASS_BE", "priority": 6], "user": ["uid": 0, "gid": 0, "umask": 0o27],
        ])
      addNamespace(&configuration, ["type": "time"])
      set(
        &configuration, "linux",
        [
          "personality": ["domain": "LINUX32"], "timeOffsets": ["boottime": ["secs": 500_000_000]],
          "sysctl": ["kernel.shm_rmid_forced": "1", "net.ipv4.ip_forward": "1"],
        ])
      configuration["hostname"] = "named"
      configuration["domainname"] = "domain"
    }
    try #require(text.count == 11, "\(text)")
    #expect(Array(text[0...1]) == ["5", "500"])
    #expect(text[2] == "i686" || text[2] == "armv8l" || text[2] != "x86_64")
    #expect(Array(text[3...7]) == ["1", "1", "named", "domain", "0027"])
    #expect((Int(text[8]) ?? 0) >= 500_000_000)
    #expect(text[9] == "best-effort: prio 6")
    let batch = "3"
    #expect(text[10] == batch)
  }

  @Test("mounts: binds of folders and files, attributes also below, copies, relative places, translated owners")
  func mounts() throws {
    let host = try OCI()
    let source = host.path + "/source"
    try FileManager.default.createDirectory(atPath: source + "/sub", withIntermediateDirectories: true)
    try Data("text\n".utf8).write(to: URL(fileURLWithPath: source + "/file"))
    let text = try lines(
      """
      cat /folder/file /made/for/it/file /etc/kept; echo x > /folder/new || echo read-only
      ls -n /mapped | busybox awk '/file/ {print $3, $4}'
      busybox mount | busybox awk '$3 == "/folder" || $3 == "/etc" || $3 == "/relative" {print $3, $6}'
      """
    ) { configuration in
      var mounts = configuration["mounts"] as? [[String: Any]] ?? []
      let map = [["containerID": 0, "hostID": 1000, "size": 1]]
      mounts += [
        ["destination": "/folder", "type": "none", "source": source, "options": ["rbind", "rro", "nosuid"]],
        ["destination": "/made/for/it/file", "type": "bind", "source": source + "/file", "options": ["bind"]],
        ["destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "size=1m", "noexec"]],
        ["destination": "relative", "type": "tmpfs", "source": "tmpfs", "options": ["ro"]],
        [
          "destination": "/mapped", "type": "bind", "source": source, "options": ["bind"], "uidMappings": map,
          "gidMappings": map,
        ],
      ]
      configuration["mounts"] = mounts
    } prepare: { bundle in
      try Data("kept\n".utf8).write(to: URL(fileURLWithPath: bundle + "/rootfs/etc/kept"))
    }
    #expect(Array(text.prefix(5)) == ["text", "text", "kept", "read-only", "1000 1000"], "\(text)")
    #expect(text.contains { $0.hasPrefix("/folder (ro,nosuid") })
    #expect(text.contains { $0.hasPrefix("/etc (rw,noexec") && $0.contains("size=1024k") })
    #expect(text.contains { $0.hasPrefix("/relative (ro") })
  }

  private func lines(
    _ script: String, _ change: (inout [String: Any]) -> Void, prepare: (String) throws -> Void
  ) throws -> [String] {
    let oci = try OCI()
    let id = oci.newID()
    let bundle = try oci.bundle(["sh", "-c", script], change)
    try prepare(bundle)
    let result = try oci.run("run", "--bundle", bundle, id)
    #expect(result.status == 0, "\(result.error)")
    return result.output.split(separator: "\n").map(String.init)
  }

  @Test("devices with their owners and modes; a pipe among them")
  func devices() throws {
    let text = try lines("ls -ln /dev | busybox awk '/fuse|pipe/ {print $1, $3, $4, $5, $6}'") { configuration in
      set(
        &configuration, "linux",
        [
          "devices": [
            ["path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 5, "gid": 6],
            ["path": "/dev/sub/pipe", "type": "p"], ["path": "/dev/pipe", "type": "p"],
          ]
        ])
    }
    #expect(text.first == "crw-r----- 5 6 10, 229")
    #expect(text.last?.hasPrefix("prw-rw-rw- 0 0") == true)
  }

  /// Two containers in one's namespaces; a path that is of another kind, or no namespace at all, is refused.
  @Test("namespaces joined by path")
  func joined() throws {
    let oci = try OCI()
    let first = oci.newID("first")
    let waiting = try oci.bundle(["sleep", "1000"])
    _ = try oci.create(first, waiting)
    let pid = try #require(try oci.run("state", first).json["pid"] as? Int)
    let kinds = [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid"), ("cgroup", "cgroup")]
    let text = try lines("for n in net ipc uts pid cgroup mnt; do ls -l /proc/self/ns/$n; done") { configuration in
      for (type, file) in kinds { addNamespace(&configuration, ["type": type, "path": "/proc/\(pid)/ns/\(file)"]) }
      configuration["hostname"] = nil
    }
    try #require(text.count == 6)
    for (index, (_, file)) in kinds.enumerated() where file != "cgroup" {
      let theirs = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/\(file)")
      #expect(text[index].hasSuffix(theirs), "\(text[index])")
    }
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/mnt")
    #expect(!text[5].hasSuffix(own))
    for (path, problem) in [("/proc/\(pid)/ns/ipc", "of another kind"), ("/etc/passwd", "not a namespace")] {
      let result = try run("true") { addNamespace(&$0, ["type": "network", "path": path]) }
      #expect(result.status != 0 && result.error.contains(problem), "\(result.error)")
    }
  }

  @Test("the host's own namespaces, where the configuration names none")
  func hosts() throws {
    let text = try lines("for n in net ipc uts pid; do ls -l /proc/self/ns/$n; done") { configuration in
      var linux = configuration["linux"] as? [String: Any] ?? [:]
      linux["namespaces"] = [["type": "mount"]]
      configuration["linux"] = linux
      configuration["hostname"] = nil
    }
    try #require(text.count == 4)
    for (index, file) in ["net", "ipc", "uts", "pid"].enumerated() {
      let ours = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/\(file)")
      #expect(text[index].hasSuffix(ours))
    }
  }

  @Test("groups at the path that the configuration names, limits in their files, gone afterwards")
  func groups() throws {
    let layout = CgroupLayout.detect()
    guard layout.mode == .hybrid || layout.mode == .legacy else { return }
    let name = "immure-field-\(UUID().uuidString.prefix(8))"
    let text = try lines(
      """
      cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes memory/memory.swappiness
      cat pids/pids.max cpu/cpu.shares cpu/cpu.cfs_quota_us cpuset/cpuset.cpus; cat devices/devices.list | head -1
      busybox grep -c . devices/devices.list; busybox head -c 1 /dev/zero | wc -c; cat /dev/fuse; mkdir memory/x; true
      """
    ) { configuration in
      set(
        &configuration, "linux",
        [
          "cgroupsPath": "/" + name,
          "devices": [["path": "/dev/fuse", "type": "c", "major": 10, "minor": 229]],
          "resources": [
            "memory": ["limit": 64 << 20, "reservation": 32 << 20, "swappiness": 7], "pids": ["limit": 20],
            "cpu": ["shares": 512, "quota": 50_000, "period": 100_000, "cpus": "0"],
            "devices": [["allow": false, "access": "rwm"]],
          ],
        ])
    }
    #expect(Array(text.prefix(7)) == ["\(64 << 20)", "\(32 << 20)", "7", "20", "512", "50000", "0"], "\(text)")
    #expect(text.contains("1"), "a default device is open to it")
    #expect(!FileManager.default.fileExists(atPath: layout.mountPoint + "/memory/" + name))
  }

  @Test("what has no translation here is refused by the field's name")
  func refusals() throws {
    let result = try run("true") { set(&$0, "linux", ["cgroupsPath": "system.slice:immure:x"]) }
    #expect(result.status != 0 && result.error.contains("linux.cgroupsPath") && result.error.contains("systemd"))
    let other = try run("true") { set(&$0, "linux", ["intelRdt": ["closID": "x"]]) }
    #expect(other.status != 0 && other.error.contains("linux.intelRdt"))
    let setting = try run("true") { set(&$0, "linux", ["sysctl": ["kernel.panic": "1"]]) }
    #expect(setting.status != 0 && setting.error.contains("kernel.panic"))
  }

  /// Each leaves a line in a file of the host's with where it stands; startContainer is the box's own program, as confined as the box's.
  @Test("all six hooks, each in its namespaces, with the state")
  func hooks() throws {
    let oci = try OCI()
    let id = oci.newID()
    let log = oci.path + "/hooks"
    func hook(_ word: String) -> [[String: Any]] {
      [
        [
          "path": "/bin/sh", "env": ["PATH=/usr/bin:/bin"],
          "args": ["sh", "-c", "echo \(word) $(readlink /proc/self/ns/mnt) $(cat) >> '\(log)'"],
        ]
      ]
    }
    let bundle = try oci.bundle(["sh", "-c", "cat /tmp/inside"]) { configuration in
      configuration["hooks"] = [
        "prestart": hook("prestart"), "createRuntime": hook("createRuntime"),
        "createContainer": hook("createContainer"), "poststart": hook("poststart"), "poststop": hook("poststop"),
        "startContainer": [
          [
            "path": "/bin/sh", "env": ["PATH=/bin"],
            "args": ["sh", "-c", "cat > /tmp/inside; echo; busybox grep CapEff /proc/self/status >> /tmp/inside"],
          ]
        ],
      ]
    }
    let result = try oci.run("run", "--bundle", bundle, id)
    #expect(result.status == 0, "\(result.error)")
    #expect(result.output.contains(#""status":"created""#) && result.output.contains("CapEff:\t0000000020000420"))
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/mnt")
    let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").map { $0.split(separator: " ") }
    #expect(lines.map { String($0[0]) } == ["prestart", "createRuntime", "createContainer", "poststart", "poststop"])
    for line in lines {
      #expect((String(line[1]) == own) == (line[0] != "createContainer"), "\(line)")
      #expect(line.dropFirst(2).joined(separator: " ").contains(#""id":"\#(id)""#))
    }
  }

  @Test("a hook that fails stops the container before its program")
  func failingHook() throws {
    let result = try run("echo ran") { configuration in
      configuration["hooks"] = ["createRuntime": [["path": "/bin/sh", "args": ["sh", "-c", "echo no >&2; exit 7"]]]]
    }
    #expect(result.status != 0 && !result.output.contains("ran"))
    #expect(result.error.contains("hook createRuntime[0] /bin/sh: ended with status 7: no"), "\(result.error)")
  }

  @Test("hooks end with their status also where the caller ignores the end of children")
  func hooksOfACallerThatIgnores() throws {
    let oci = try OCI()
    let bundle = try oci.bundle(["true"]) { configuration in
      configuration["hooks"] = ["createRuntime": [["path": "/bin/sh", "args": ["sh", "-c", "echo no >&2; exit 7"]]]]
    }
    let words = [oci.program, "--root", oci.path + "/state", "run", "--bundle", bundle, oci.newID()]
    let result = try OCI.command(["/usr/bin/env", "--ignore-signal=CHLD"] + words)
    #expect(result.status != 0)
    #expect(result.error.contains("hook createRuntime[0] /bin/sh: ended with status 7: no"), "\(result.error)")
  }

  @Test("Landlock rules from an annotation, also for what enters later")
  func landlock() throws {
    guard let abi = Landlock.probe(), abi.version >= 3 else { return }
    let script = "cat /etc/secret 2>&1; cat /tmp/open; echo x > /tmp/new && echo written"
    let oci = try OCI()
    let id = oci.newID()
    let bundle = try oci.bundle(["sleep", "1000"]) { configuration in
      configuration["annotations"] = ["dev.immure.landlock": "read=/bin,read=/proc,write=/tmp,write=/dev"]
    }
    try Data("secret\n".utf8).write(to: URL(fileURLWithPath: bundle + "/rootfs/etc/secret"))
    try Data("open\n".utf8).write(to: URL(fileURLWithPath: bundle + "/rootfs/tmp/open"))
    _ = try oci.create(id, bundle)
    #expect(try oci.run("start", id).status == 0)
    let result = try oci.run("exec", id, "sh", "-c", script)
    #expect(result.output.contains("Permission denied") && !result.output.contains("secret\n"), "\(result)")
    #expect(result.output.contains("open\n") && result.output.contains("written"))
    let bad = try run("true") { $0["annotations"] = ["dev.immure.landlock": "reed=/bin"] }
    #expect(bad.status != 0 && bad.error.contains("reed"))
  }

  /// A program's mkdir is answered by an agent outside, which got the listener with the container's state.
  @Test("seccomp's listener goes to its agent")
  func listener() throws {
    let oci = try OCI()
    let id = oci.newID()
    let socket = oci.path + "/agent"
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/seccomp-agent.py").path
    let told = oci.path + "/told"
    let agent = try Child(
      ["python3", script, socket, "3"], environment: ProcessInfo.processInfo.environment, input: .path("/dev/null"),
      output: told, error: told)
    defer {
      kill(agent.pid, SIGKILL)
      _ = agent.wait()
    }
    let deadline = Date(timeIntervalSinceNow: 120)
    while !FileManager.default.fileExists(atPath: socket), Date() < deadline { usleep(10_000) }
    func profile(_ names: [String]) -> [String: Any] {
      [
        "seccomp": [
          "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket, "listenerMetadata": "words",
          "syscalls": [["names": names, "action": "SCMP_ACT_NOTIFY"]],
        ]
      ]
    }
    let bundle = try oci.bundle(["sh", "-c", "busybox mkdir /tmp/x 2>&1; echo end"]) {
      set(&$0, "linux", profile(["mkdir", "mkdirat"]))
    }
    let result = try oci.run("run", "--bundle", bundle, id)
    #expect(result.output.contains("No medium found") && result.output.contains("end"), "\(result)")
    let message = try OCI.text(of: told)
    #expect(message.contains(#""fds":["seccompFd"]"#) && message.contains(#""metadata":"words""#), "\(message)")
    #expect(message.contains(#""id":"\#(id)""#))
    // A program that enters later has a listener of its own, and the same answer; its agent is told both processes.
    let later = oci.newID()
    _ = try oci.create(later, try oci.bundle(["sleep", "1000"]) { set(&$0, "linux", profile(["mkdir", "mkdirat"])) })
    #expect(try oci.run("start", later).status == 0)
    let entered = try oci.run("exec", later, "sh", "-c", "busybox mkdir /tmp/y 2>&1; echo end")
    #expect(entered.output.contains("No medium found") && entered.output.contains("end"), "\(entered)")
    let messages = try OCI.text(of: told) { $0.split(separator: "\n").count == 3 }.split(separator: "\n")
    try #require(messages.count == 3, "\(messages)")
    func pids(_ line: Substring) throws -> [Int] {
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
      return [object["pid"], (object["state"] as? [String: Any])?["pid"]].compactMap { $0 as? Int }
    }
    #expect(try pids(messages[1])[0] == pids(messages[1])[1])
    #expect(try pids(messages[2])[0] != pids(messages[2])[1] && pids(messages[2])[1] == pids(messages[1])[1])
    #expect(messages[2].contains(#""status":"running""#) && messages[2].contains(#""metadata":"words""#))
    #expect(try oci.run("delete", "--force", later).status == 0)
    let deadlock = try run("true") { set(&$0, "linux", profile(["sendmsg"])) }
    #expect(deadlock.status != 0 && deadlock.error.contains("notifies of sendmsg"), "\(deadlock.error)")
  }

  /// A user with no power at all and no range of ids: what `spec --rootless` writes, its one id as the box's root.
  @Test("a user's own single id")
  func rootless() throws {
    let oci = try OCI()
    let user = 54_321
    // Where the build stands may be closed to others.
    try FileManager.default.copyItem(atPath: OCI.folder + "/immure", toPath: oci.path + "/immure")
    let bundle = try oci.bundle(["sh", "-c", "id -u; cat /proc/self/uid_map; cat /proc/self/setgroups"]) {
      configuration in
      var linux = configuration["linux"] as? [String: Any] ?? [:]
      linux["namespaces"] = ["user", "mount", "pid", "ipc", "uts"].map { ["type": $0] }
      linux["uidMappings"] = [["containerID": 0, "hostID": user, "size": 1]]
      linux["gidMappings"] = [["containerID": 0, "hostID": user, "size": 1]]
      linux["resources"] = [String: Any]()
      configuration["linux"] = linux
      let mounts = configuration["mounts"] as? [[String: Any]] ?? []
      configuration["mounts"] = mounts.filter { $0["type"] as? String != "cgroup" && $0["type"] as? String != "sysfs" }
    }
    let state = oci.path + "/own-state"
    try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
    for (path, mode) in [(state, 0o700), (bundle, 0o755)] as [(String, mode_t)] {
      let isGiven = unsafe chown(path, uid_t(user), gid_t(user)) == 0 && chmod(path, mode) == 0
      #expect(isGiven)
    }
    let all = try OCI.command(["chown", "-R", "\(user):\(user)", bundle])
    #expect(all.status == 0)
    let result = try OCI.command([
      "setpriv", "--reuid", "\(user)", "--regid", "\(user)", "--clear-groups", oci.path + "/immure", "oci", "--root",
      state, "run", "--bundle", bundle, oci.newID(),
    ])
    if Host.userNamespacesAreDenied { return }
    #expect(result.status == 0, "\(result.error)")
    let words = result.output.split(whereSeparator: \.isWhitespace).map(String.init)
    #expect(words == ["0", "0", "\(user)", "1", "deny"], "\(result.output)")
  }

  /// A machine's settings may keep user namespaces from users altogether.
  private enum Host {
    static var userNamespacesAreDenied: Bool {
      ["kernel/unprivileged_userns_clone": "0", "kernel/apparmor_restrict_unprivileged_userns": "1"].contains {
        (try? String(contentsOfFile: "/proc/sys/" + $0.key, encoding: .utf8))?.hasPrefix($0.value) == true
      }
    }
  }
}
