import ChildProcesses
import Foundation
import Linux
import Testing

/// What of a bundle is the sentry's own; its life is that of the other walls (LifecycleTests and others run under both names).
@Suite("OCI containers behind the sentry", .enabled(if: OCI.canRun, OCI.whyNot))
struct SentryTests {
  private static func linux(_ configuration: inout [String: Any], _ change: (inout [String: Any]) -> Void) {
    var linux = configuration["linux"] as? [String: Any] ?? [:]
    change(&linux)
    configuration["linux"] = linux
  }
  private static func capable(_ configuration: inout [String: Any]) {
    var process = configuration["process"] as? [String: Any] ?? [:]
    let names = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETUID", "CAP_SETGID", "CAP_KILL"]
    process["capabilities"] = ["bounding": names, "permitted": names, "effective": names]
    configuration["process"] = process
  }

  @Test("process 1: who it is, whose orphans it has, what signals do to it, that its end is everybody's")
  func first() throws {
    let oci = try OCI(name: OCI.sentry)
    let id = oci.newID()
    // The orphan outlives its parent, and its new parent's wait collects it.
    let bundle = try oci.bundle([
      "sh", "-c",
      "echo $$; sh -c 'sh -c \"until [ -e /tmp/orphan ]; do sleep 0.05; done; cat /proc/self/status\" & '; kill -TERM $$; echo stays; touch /tmp/orphan; wait; until [ -e /tmp/go ]; do sleep 0.05; done; exit 6",
    ])
    let output = try oci.create(id, bundle)
    #expect(try oci.run("exec", id, "true").error.contains("must be started first"))
    #expect(try oci.run("start", id).status == 0)
    let text = try OCI.text(of: output, until: { $0.contains("PPid:\t") && $0.hasSuffix("\n") })
    #expect(text.hasPrefix("1\nstays\n"), "\(text)")
    let parent = try oci.run("exec", id, "sh", "-c", "sh -c 'sleep 1000 & ' ; cat /proc/[0-9]*/status")
    #expect(parent.output.contains("Name:\tsleep") && parent.output.contains("PPid:\t1\n"), "\(parent.output)")
    #expect(try oci.run("exec", "--detach", id, "sleep", "1000").status == 0)
    let sentry = try #require(try oci.run("state", id).json["pid"] as? Int)
    let members = ProcessTable.descendants(of: Int32(sentry))
    #expect(members.count >= 4, "keeper, program, orphan, further program")
    try "".write(toFile: bundle + "/rootfs/tmp/go", atomically: true, encoding: .utf8)
    try oci.wait(id, "stopped")
    for pid in members { #expect(!ProcessTable.lives(pid)) }
    #expect(try oci.run("delete", id).status == 0)
  }

  @Test("what guests write is in the bundle's folder, with their ids as owners, whoever they are")
  func owners() throws {
    let oci = try OCI(name: OCI.sentry)
    let bundle = try oci.bundle(
      [
        "sh", "-c",
        "mkdir -m 700 /tmp/d; busybox chown 1000:1001 /tmp/d; busybox su user -s /bin/sh -c 'echo mine > /tmp/d/f; busybox ln -s f /tmp/d/l'; ls -ln /tmp/d; cat /tmp/d/f",
      ], Self.capable)
    try "user:x:1000:1000::/:/bin/sh\n".write(
      toFile: bundle + "/rootfs/etc/passwd", atomically: true, encoding: .utf8)
    let result = try oci.run("run", "--bundle", bundle, oci.newID())
    #expect(result.status == 0 && result.output.hasSuffix("mine\n"), "\(result.output)\(result.error)")
    for name in ["d", "d/f", "d/l"] {
      let attributes = try FileManager.default.attributesOfItem(atPath: bundle + "/rootfs/tmp/" + name)
      #expect(attributes[.ownerAccountID] as? Int == 1000, "\(name)")
    }
  }

  @Test("the sentry has an id of its own, and four capabilities over files of the sandbox's ids")
  func powers() throws {
    let oci = try OCI(name: OCI.sentry)
    let id = oci.newID()
    _ = try oci.create(id, try oci.bundle(["sleep", "1000"]))
    #expect(try oci.run("start", id).status == 0)
    let sentry = try #require(try oci.run("state", id).json["pid"] as? Int)
    func status(_ pid: Int32) throws -> [Substring: Substring] {
      let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
      let lines = text.split(separator: "\n").map { $0.split(separator: ":\t", maxSplits: 1) }
      return Dictionary(lines.filter { $0.count == 2 }.map { ($0[0], $0[1]) }) { first, _ in first }
    }
    let own = try status(Int32(sentry))
    #expect(own["CapEff"] == "000000000000001b" && own["CapPrm"] == "000000000000001b", "\(own)")
    #expect(own["Seccomp"] == "2" && own["NoNewPrivs"] == "1")
    #expect(own["Uid"]?.split(separator: "\t").first.flatMap { Int($0) } ?? 0 >= 65536, "\(own)")
    // No descriptor of its leads to settings of the machine that may be written, by whichever way up.
    let folder = "/proc/\(sentry)/fd"
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      for way in ["", "/..", "/../..", "/../../.."] {
        for place in ["sys/kernel/core_pattern", "proc/sys/kernel/core_pattern"] {
          let path = "\(folder)/\(name)\(way)/\(place)"
          #expect(!FileManager.default.isWritableFile(atPath: path), "\(path)")
        }
      }
    }
    for pid in ProcessTable.descendants(of: Int32(sentry)) {
      let guest = try status(pid)
      #expect(guest["CapEff"] == "0000000000000000" && guest["Seccomp"] == "2", "\(guest)")
      #expect(try String(contentsOfFile: "/proc/\(pid)/oom_score_adj", encoding: .utf8) == "1000\n")
    }
    #expect(try String(contentsOfFile: "/proc/\(sentry)/oom_score_adj", encoding: .utf8) != "1000\n")
  }

  @Test("a network namespace by its path: guests' sockets are in it, and its settings are made")
  func network() throws {
    let oci = try OCI(name: OCI.sentry)
    let bundle = try oci.bundle([
      "sh", "-c",
      "cat /proc/net/dev; busybox nc -l -p 80 & until echo hello | busybox nc 127.0.0.1 80; do sleep 0.05; done 2>/dev/null; wait",
    ]) {
      Self.linux(&$0) { linux in
        let own = (linux["namespaces"] as? [[String: Any]] ?? []).filter { $0["type"] as? String != "network" }
        linux["namespaces"] = own + [["type": "network", "path": "/proc/PID/ns/net"]]
        linux["sysctl"] = ["net.core.somaxconn": "77"]
      }
    }
    // The runtime is called from outside of that namespace, as engines call it.
    let outer =
      "unshare -n sleep 1000 & pid=$!; until [ \"$(readlink /proc/$pid/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.05; done; nsenter -t $pid -n ip link set lo up; sed -i \"s#PID#$pid#\" \(bundle)/config.json; \(oci.program) --root \(oci.path)/state run --bundle \(bundle) \(oci.newID()) </dev/null; nsenter -t $pid -n cat /proc/sys/net/core/somaxconn; kill $pid"
    let result = try OCI.command(["/bin/bash", "-c", outer])
    #expect(result.output.hasSuffix("hello\n77\n"), "\(result.output)\(result.error)")
    let host = try oci.bundle(["true"]) {
      Self.linux(&$0) { linux in
        let own = (linux["namespaces"] as? [[String: Any]] ?? []).filter { $0["type"] as? String != "network" }
        linux["namespaces"] = own + [["type": "network", "path": "/proc/self/ns/net"]]
      }
    }
    #expect(try oci.run("run", "--bundle", host, oci.newID()).error.contains("it is the host's own"))
  }

  @Test("hooks run at their moments; startContainer is refused by name")
  func hooks() throws {
    let oci = try OCI(name: OCI.sentry)
    let log = oci.path + "/log"
    func hook(_ word: String) -> [[String: Any]] {
      [["path": "/bin/sh", "args": ["sh", "-c", "echo \(word) >> \(log)"], "env": ["PATH=/bin:/usr/bin"]]]
    }
    try "".write(toFile: log, atomically: true, encoding: .utf8)
    _ = try OCI.command(["chmod", "666", log])
    _ = try OCI.command(["chmod", "755", oci.path])
    let moments = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
    let bundle = try oci.bundle(["true"]) { configuration in
      configuration["hooks"] = Dictionary(uniqueKeysWithValues: moments.map { ($0, hook($0)) })
    }
    let result = try oci.run("run", "--bundle", bundle, oci.newID())
    #expect(result.status == 0, "\(result.error)")
    #expect(try String(contentsOfFile: log, encoding: .utf8) == moments.joined(separator: "\n") + "\n")
    let refused = try oci.bundle(["true"]) { $0["hooks"] = ["startContainer": hook("never")] }
    #expect(try oci.run("run", "--bundle", refused, oci.newID()).error.contains("hooks.startContainer"))
  }

  @Test(
    "what it has not is refused by its name",
    arguments: [
      ("personality", #"{"personality":{"domain":"LINUX32"}}"#),
      ("linux.devices /dev/fuse", #"{"devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229}]}"#),
      ("sysctl kernel.shmmax", #"{"sysctl":{"kernel.shmmax":"1"}}"#),
      ("rootfsPropagation", #"{"rootfsPropagation":"rslave"}"#),
      (
        "ipc namespace (/proc/self/ns/ipc)",
        #"{"namespaces":[{"type":"uts"},{"type":"mount"},{"type":"ipc","path":"/proc/self/ns/ipc"}]}"#
      ),
      (
        "without a pid namespace",
        #"{"namespaces":[{"type":"mount"},{"type":"network"},{"type":"ipc"},{"type":"uts"}]}"#
      ),
    ])
  func refusals(text: String, fields: String) throws {
    let oci = try OCI(name: OCI.sentry)
    let changes = try #require(JSONSerialization.jsonObject(with: Data(fields.utf8)) as? [String: Any])
    let bundle = try oci.bundle(["true"]) {
      Self.linux(&$0) { linux in linux.merge(changes) { _, new in new } }
    }
    let result = try oci.run("run", "--bundle", bundle, oci.newID())
    #expect(result.status == 1 && result.error.contains(text), "\(result.error)")
    #expect(result.error.split(separator: "\n").count == 1)
    #expect(try oci.run("list", "-q").output == "")
  }
}
