import ChildProcesses
import Foundation
import Testing

/// Containers in the user namespace of another: what pods with user namespaces are made of.
@Suite("A joined user namespace", .enabled(if: OCI.canRun, OCI.whyNot))
struct JoinedUserTests {
  /// A container with a user namespace of its own, whose ids begin at 710000; its pid.
  private func first(_ oci: OCI, _ id: String, count: Int = 65_536) throws -> Int {
    let bundle = try oci.bundle(["sleep", "1000"]) { configuration in
      change(&configuration) { linux, namespaces in
        namespaces.append(["type": "user"])
        for key in ["uidMappings", "gidMappings"] {
          linux[key] = [["containerID": 0, "hostID": 710_000, "size": count]]
        }
      }
    }
    _ = try oci.create(id, bundle)
    #expect(try oci.run("start", id).status == 0)
    return try #require(try oci.run("state", id).json["pid"] as? Int)
  }

  private func change(
    _ configuration: inout [String: Any], _ body: (inout [String: Any], inout [[String: Any]]) -> Void
  ) {
    var linux = configuration["linux"] as? [String: Any] ?? [:]
    var namespaces = linux["namespaces"] as? [[String: Any]] ?? []
    body(&linux, &namespaces)
    linux["namespaces"] = namespaces
    configuration["linux"] = linux
  }

  /// In the second container's configuration: those of the first by path, the rest as they were.
  private func join(_ configuration: inout [String: Any], _ pid: Int, _ kinds: [(String, String)]) {
    change(&configuration) { _, namespaces in
      namespaces.removeAll { namespace in kinds.contains { $0.0 == namespace["type"] as? String } }
      namespaces += kinds.map { ["type": $0.0, "path": "/proc/\(pid)/ns/\($0.1)"] }
    }
    if kinds.contains(where: { $0.0 == "uts" }) { configuration["hostname"] = nil }
  }

  private func link(_ pid: Int, _ file: String) throws -> String {
    try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/\(file)")
  }

  /// Namespaces of its own beside the joined ones belong to the joined user namespace: its root may mount in its mount namespace. The
  /// mapping that podman writes for runc's sake says nothing. What enters later is where the first program is.
  @Test(arguments: [
    [("user", "user")],
    [("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")],
    [("ipc", "ipc"), ("pid", "pid"), ("user", "user"), ("cgroup", "cgroup"), ("network", "net"), ("uts", "uts")],
  ])
  func isShared(kinds: [(String, String)]) throws {
    let oci = try OCI()
    let pid = try first(oci, oci.newID("first"))
    let id = oci.newID("second")
    let bundle = try oci.bundle([
      "sh", "-c",
      "cat /proc/self/uid_map; id -u; busybox mount -t tmpfs x /tmp && busybox touch /tmp/x && busybox stat -c %u /tmp/x; exec sleep 1000",
    ]) { configuration in
      join(&configuration, pid, kinds)
      change(&configuration) { linux, _ in
        for key in ["uidMappings", "gidMappings"] { linux[key] = [["containerID": 0, "hostID": 0, "size": 1]] }
      }
      var process = configuration["process"] as? [String: Any] ?? [:]
      let names = ["CAP_SYS_ADMIN", "CAP_KILL"]
      process["capabilities"] = ["bounding": names, "effective": names, "permitted": names]
      process["oomScoreAdj"] = 321
      configuration["process"] = process
    }
    let output = try oci.create(id, bundle)
    #expect(try oci.status(id) == "created")
    #expect(try oci.run("start", id).status == 0)
    let words = try OCI.text(of: output) { $0.split(separator: "\n").count == 3 }.split(whereSeparator: \.isWhitespace)
    #expect(words == ["0", "710000", "65536", "0", "0"], "\(words)")
    let own = try #require(try oci.run("state", id).json["pid"] as? Int)
    for (_, file) in kinds where file != "cgroup" { #expect(try link(own, file) == link(pid, file), "\(file)") }
    #expect(try link(own, "mnt") != link(pid, "mnt"))
    #expect(try OCI.text(of: "/proc/\(own)/oom_score_adj") == "321\n")
    let status = try OCI.text(of: "/proc/\(own)/status")
    #expect(status.contains("Uid:\t710000\t710000\t710000\t710000"), "\(status)")
    let entered = try oci.run("exec", id, "sh", "-c", "cat /proc/self/uid_map; id -u")
    #expect(
      entered.output.split(whereSeparator: \.isWhitespace) == ["0", "710000", "65536", "0"],
      "\(entered.output)\(entered.error)")
    #expect(try oci.run("delete", "--force", id).status == 0)
  }

  @Test("what cannot be joined, or has no id there, is refused by its name")
  func refusals() throws {
    let oci = try OCI()
    let pid = try first(oci, oci.newID("first"), count: 10)
    func run(_ change: (inout [String: Any]) -> Void) throws -> OCI.Result {
      try oci.run("run", "--bundle", try oci.bundle(["true"], change), oci.newID())
    }
    let user = try run {
      join(&$0, pid, [("user", "user")])
      var process = $0["process"] as? [String: Any] ?? [:]
      process["user"] = ["uid": 11, "gid": 0]
      $0["process"] = process
    }
    #expect(user.status != 0 && user.error.contains("process.user.uid 11: it has no mapping"), "\(user.error)")
    let own = try run { join(&$0, Int(getpid()), [("user", "user")]) }
    #expect(own.status != 0 && own.error.contains("it is the one that immure is in"), "\(own.error)")
    let other = try run { join(&$0, pid, [("user", "net")]) }
    #expect(other.status != 0 && other.error.contains("of another kind"), "\(other.error)")
    let mount = try run { join(&$0, pid, [("mount", "mnt")]) }
    #expect(mount.status != 0 && mount.error.contains("joining the mount namespace"), "\(mount.error)")
  }

  /// The same configuration through crun and ours: what a program sees of where it is does not differ.
  @Test(.enabled(if: OtherRuntimes.found.contains { $0.name == "crun" }, "wants crun"))
  func likeCrun() throws {
    let oci = try OCI()
    let pid = try first(oci, oci.newID("first"))
    let kinds = [("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")]
    let script = """
      cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id; for n in user net ipc uts; do busybox readlink /proc/self/ns/$n; done
      busybox grep -E 'Cap|NoNew|Seccomp:|Groups' /proc/self/status; busybox stat -c '%u %g %a' /dev/shm /dev/pts /
      """
    let bundle = try oci.bundle(["sh", "-c", script]) { configuration in
      join(&configuration, pid, kinds)
      var linux = configuration["linux"] as? [String: Any] ?? [:]
      linux["resources"] = nil
      // Debian's crun knows no newer one.
      configuration["ociVersion"] = "1.0.2"
      configuration["linux"] = linux
      let mounts = configuration["mounts"] as? [[String: Any]] ?? []
      configuration["mounts"] = mounts.filter { $0["type"] as? String != "cgroup" }
    }
    let ours = try oci.run("run", "--bundle", bundle, oci.newID())
    let crun = try #require(OtherRuntimes.found.first { $0.name == "crun" })
    let theirs = try OCI.command([
      "unshare", "-m", "--propagation", "private", "sh", "-c",
      "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; exec \"$@\"", "x", crun.path,
      "--root", oci.path + "/crun", "run", "--bundle", bundle, oci.newID(),
    ])
    #expect(ours.status == 0 && theirs.status == 0, "\(ours.error)\(theirs.error)")
    #expect(ours.output == theirs.output)
  }
}
