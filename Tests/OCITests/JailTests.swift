import ChildProcesses
import Foundation
import Linux
import Testing

/// What is the jail's own behind the verbs; what it has in common with the other walls stands in LifecycleTests.
@Suite("The jail as an OCI runtime", .enabled(if: OCI.canRun, OCI.whyNot))
struct JailTests {
  private static func jail() throws -> OCI { try OCI(name: OCI.jail) }

  /// The ids of a line of /proc/PID/status: real, effective, saved, of the file system.
  private static func ids(_ pid: Int, _ line: String) throws -> [Int] {
    let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
    let found = text.split(separator: "\n").first { $0.hasPrefix(line + ":") } ?? ""
    return found.split(whereSeparator: \.isWhitespace).dropFirst().compactMap { Int($0) }
  }

  @Test("it waits as its own user's process, and begins with no right but that user's")
  func identity() throws {
    let oci = try Self.jail()
    let id = oci.newID()
    let output = try oci.create(
      id, try oci.bundle(["sh", "-c", "echo 'ready'; exec cat /proc/self/status"]))
    let pid = try #require(try oci.run("state", id).json["pid"] as? Int)
    let waiting = try Self.ids(pid, "Uid")
    #expect(waiting[0] >= 0x1000_0000, "whoever looks for processes of the jail's user finds it")
    #expect(try oci.run("ps", "--format", "json", id).output.contains("\(pid)"))
    #expect(try oci.run("start", id).status == 0)
    let text = try OCI.text(of: output) { $0.contains("Seccomp_filters") }
    let user = "\(waiting[0])"
    #expect(text.contains("Uid:\t\(user)\t\(user)\t\(user)\t\(user)"), "\(text)")
    #expect(text.contains("Gid:\t\(user)\t\(user)\t\(user)\t\(user)"), "\(text)")
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
      #expect(text.contains("\(set):\t0000000000000000"), "\(text)")
    }
    #expect(text.contains("NoNewPrivs:\t1"), "\(text)")
  }

  @Test("one that waits is killed, and deleted by force", arguments: ["kill", "delete"])
  func waiting(verb: String) throws {
    let oci = try Self.jail()
    let id = oci.newID()
    _ = try oci.create(id, try oci.bundle(["sleep", "1000"]))
    let pid = try #require(try oci.run("state", id).json["pid"] as? Int)
    if verb == "kill" {
      #expect(try oci.run("kill", id, "KILL").status == 0)
      try oci.wait(id, "stopped")
      #expect(try oci.run("delete", id).status == 0)
    } else {
      #expect(try oci.run("delete", "--force", id).status == 0)
    }
    #expect(ProcessIdentity(pid: Int32(pid)) == nil)
    #expect(try oci.run("list", "-q").output == "")
  }

  @Test("daemons that left their session end with the container")
  func daemons() throws {
    let oci = try Self.jail()
    let id = oci.newID()
    let output = try oci.create(
      id, try oci.bundle(["sh", "-c", "setsid sleep 1000 & echo $!; wait"]))
    #expect(try oci.run("start", id).status == 0)
    let daemon = try #require(Int32(try OCI.text(of: output) { $0.hasSuffix("\n") }.dropLast()))
    #expect(ProcessIdentity(pid: daemon) != nil)
    #expect(try oci.run("delete", "--force", id).status == 0)
    #expect(ProcessIdentity(pid: daemon) == nil)
  }

  /// Attacker: the image. The jail's /proc shows processes of the host's to whoever may look, and the one who builds it may.
  @Test("links of the image through /proc lead nowhere", arguments: ["program", "folder"])
  func links(kind: String) throws {
    let oci = try Self.jail()
    let id = oci.newID()
    let secret = oci.path + "/secret"
    try FileManager.default.createDirectory(atPath: secret, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: OCI.busybox ?? "", toPath: secret + "/true")
    let bundle = try oci.bundle(kind == "program" ? ["/out"] : ["true"]) {
      guard kind == "folder", var process = $0["process"] as? [String: Any] else { return }
      process["cwd"] = "/out"
      $0["process"] = process
    }
    let target = "/proc/1/root" + secret + (kind == "program" ? "/true" : "")
    try FileManager.default.createSymbolicLink(atPath: bundle + "/rootfs/out", withDestinationPath: target)
    let result = try oci.run("run", "--bundle", bundle, id)
    #expect(result.status == 1)
    let text = kind == "program" ? "/out" : "working directory /out"
    #expect(result.error.contains(text), "\(result.error)")
    #expect(try oci.run("list", "-q").output == "")
  }

  @Test("mount points that the image lacks are made, as its owner's")
  func mountPoints() throws {
    let oci = try Self.jail()
    let shared = oci.path + "/shared"
    try FileManager.default.createDirectory(atPath: shared, withIntermediateDirectories: true)
    try "word".write(toFile: shared + "/file", atomically: true, encoding: .utf8)
    let bundle = try oci.bundle(["cat", "/new/folder/file", "/etc/new"]) {
      let mounts = $0["mounts"] as? [[String: Any]] ?? []
      $0["mounts"] =
        mounts + [
          ["destination": "/new/folder", "type": "bind", "source": shared, "options": ["bind", "ro"]],
          ["destination": "/etc/new", "type": "bind", "source": shared + "/file", "options": ["bind", "ro"]],
        ]
    }
    let result = try oci.run("run", "--bundle", bundle, oci.newID())
    #expect(result.output == "wordword", "\(result.error)")
    for made in ["/new/folder", "/etc/new"] {
      let owner = try FileManager.default.attributesOfItem(atPath: bundle + "/rootfs" + made)[.ownerAccountID] as? Int
      #expect(owner == 0, "\(made)")
    }
  }

  @Test("no network unless the configuration shares the host's", arguments: [true, false])
  func network(shared: Bool) throws {
    let oci = try Self.jail()
    let bundle = try oci.bundle(["busybox", "nc", "-w", "1", "127.0.0.1", "1"]) {
      guard shared, var linux = $0["linux"] as? [String: Any],
        let namespaces = linux["namespaces"] as? [[String: Any]]
      else { return }
      linux["namespaces"] = namespaces.filter { $0["type"] as? String != "network" }
      $0["linux"] = linux
    }
    let result = try oci.run("run", "--bundle", bundle, oci.newID())
    #expect(result.status == 1)
    // Nobody listens at port 1: a socket there is, or is not.
    #expect(result.error.contains(shared ? "refused" : "not permitted"), "\(result.error)")
  }

  private static let refused: [(field: String, change: @Sendable (inout [String: Any]) -> Void)] = [
    ("linux.sysctl net.ipv4.ip_forward", { Self.change(&$0) { $0["sysctl"] = ["net.ipv4.ip_forward": "1"] } }),
    (
      "linux.namespaces: a jail joins no network namespace",
      {
        $0["hostname"] = nil
        Self.change(&$0) {
          $0["namespaces"] = [["type": "mount"], ["type": "network", "path": "/proc/self/ns/net"]]
        }
      }
    ),
    ("linux.rootfsPropagation", { Self.change(&$0) { $0["rootfsPropagation"] = "shared" } }),
    ("hooks.startContainer", { $0["hooks"] = ["startContainer": [["path": "/bin/true"]]] }),
    ("hooks.createContainer", { $0["hooks"] = ["createContainer": [["path": "/bin/true"]]] }),
    ("annotation dev.immure.landlock", { $0["annotations"] = ["dev.immure.landlock": "read /"] }),
  ]

  private static func change(_ configuration: inout [String: Any], _ body: (inout [String: Any]) -> Void) {
    var linux = configuration["linux"] as? [String: Any] ?? [:]
    body(&linux)
    configuration["linux"] = linux
  }

  @Test("what it cannot hold is refused by name", arguments: 0..<6)
  func refusals(index: Int) throws {
    let (field, change) = Self.refused[index]
    let oci = try Self.jail()
    let result = try oci.run("create", "--bundle", try oci.bundle(["true"], change), oci.newID())
    #expect(result.status == 1)
    #expect(result.error.contains(field), "\(result.error)")
    #expect(try oci.run("list", "-q").output == "")
  }

  @Test("hooks of the host's run, and limits change while it runs")
  func hooksAndLimits() throws {
    let oci = try Self.jail()
    let id = oci.newID()
    let heard = oci.path + "/heard"
    let output = try oci.create(
      id,
      try oci.bundle(["sh", "-c", "echo up; exec sleep 1000"]) {
        $0["hooks"] = ["createRuntime": [["path": "/bin/sh", "args": ["sh", "-c", "cat > \(heard)"]]]]
      })
    #expect(try String(contentsOfFile: heard, encoding: .utf8).contains("\"status\":\"creating\""))
    #expect(try oci.run("start", id).status == 0)
    #expect(try OCI.text(of: output) == "up\n")
    #expect(try oci.run("pause", id).status == 0)
    #expect(try oci.status(id) == "paused")
    #expect(try oci.run("resume", id).status == 0)
    #expect(try oci.run("update", "--pids-limit", "77", id).status == 0)
    #expect(try oci.run("exec", id, "true").error.contains("jail"))
    #expect(try oci.run("kill", id, "KILL").status == 0)
    try oci.wait(id, "stopped")
    #expect(try oci.run("delete", id).status == 0)
  }
}
