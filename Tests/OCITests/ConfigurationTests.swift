import ChildProcesses
import Foundation
import Testing

/// What verbs take from their options and from files, and hooks.
@Suite("Options and files of the OCI verbs", .enabled(if: OCI.canRun, OCI.whyNot))
struct ConfigurationTests {
  @Test(
    "exec: ids, folder, environment, capabilities and a process file; the exit status comes back", arguments: OCI.names)
  func exec(name: String) throws {
    let oci = try OCI(name: name)
    let id = oci.newID()
    _ = try oci.create(id, try oci.bundle(["sleep", "1000"]))
    #expect(try oci.run("start", id).status == 0)
    let first = try oci.run(
      "exec", "--user", "1000:100", "-g", "7", "--cwd", "/tmp", "-e", "X=y", id, "sh", "-c",
      "id -u; id -G; pwd; echo $X; exit 3")
    #expect(first.status == 3, "\(first.error)")
    #expect(first.output == "1000\n100 7\n/tmp\ny\n")
    let capable = try oci.run("exec", "--cap", "CAP_SYS_TIME", id, "sh", "-c", "grep CapEff /proc/self/status")
    // CAP_AUDIT_WRITE, CAP_NET_BIND_SERVICE and CAP_KILL are the template's; CAP_SYS_TIME is number 25.
    #expect(capable.output.hasSuffix(String(0x2000_0420 | 1 << 25, radix: 16) + "\n"), "\(capable.output)")
    let file = oci.path + "/process.json"
    let process: [String: Any] = [
      "args": ["sh", "-c", "cat; echo $A; kill -KILL $$"], "env": ["A=b", "PATH=/bin"], "cwd": "/",
      "user": ["uid": 0, "gid": 0],
    ]
    try JSONSerialization.data(withJSONObject: process).write(to: URL(fileURLWithPath: file))
    let second = try oci.run("exec", "--process", file, id, input: "in\n")
    #expect(second.output == "in\nb\n")
    #expect(second.status == 137)
    // A name would be looked up in files that the container can change (CVE-2026-30892's class).
    #expect(try oci.run("exec", "--user", "root", id, "true").error.contains("give a number"))
    #expect(try oci.run("exec", "--apparmor", "x", id, "true").error.contains("exec --apparmor x is not supported"))
  }

  @Test("exec --detach: its pid is written, and it goes on", arguments: OCI.names)
  func detached(name: String) throws {
    let oci = try OCI(name: name)
    let id = oci.newID()
    let bundle = try oci.bundle(["sleep", "1000"])
    _ = try oci.create(id, bundle)
    #expect(try oci.run("start", id).status == 0)
    let pidFile = oci.path + "/exec.pid"
    #expect(
      try oci.run("exec", "--detach", "--pid-file", pidFile, id, "sh", "-c", "echo done > /tmp/x; sleep 1000").status
        == 0)
    let pid = try #require(Int(try String(contentsOfFile: pidFile, encoding: .utf8)))
    #expect(try OCI.text(of: bundle + "/rootfs/tmp/x") == "done\n")
    // Behind the sentry that process stands for the program, and is none of the container's.
    #expect(try oci.run("ps", "--format", "json", id).output.contains("\(pid)") == (name != OCI.sentry))
    // Of immure's own arguments and environment nothing is to be seen.
    let inside = try oci.run("exec", id, "sh", "-c", "cat /proc/*/environ /proc/*/cmdline | grep -c '[s]tate'")
    #expect(inside.output.hasPrefix("0"), "\(inside.output)")
  }

  /// While a process of immure's own image stands in the container, /proc/PID/exe of it leads to a file that nobody can write, whatever
  /// the container's root may do (CVE-2019-5736). Without `OwnImage.protect` the link leads to immure's own file.
  @Test("the image that waits in a container cannot be written")
  func image() throws {
    let oci = try OCI()
    let id = oci.newID()
    _ = try oci.create(id, try oci.bundle(["sleep", "1000"]))
    let pid = try #require(try oci.run("state", id).json["pid"] as? Int)
    let written = try OCI.command([
      "/bin/sh", "-c",
      "exec 3< /proc/\(pid)/exe; kill -9 \(pid); while [ -d /proc/\(pid)/fd ] && ls /proc/\(pid)/fd/0 2>/dev/null; do sleep 0.1; done; : > /proc/self/fd/3",
    ])
    #expect(written.status != 0)
    #expect(written.error.contains("Read-only file system"), "\(written.error)")
    #expect(FileManager.default.contents(atPath: OCI.folder + "/immure")?.isEmpty == false)
  }

  @Test("preserved descriptors keep their numbers, and no other one comes in", arguments: OCI.namesWithoutExec)
  func descriptors(name: String) throws {
    let oci = try OCI(name: name)
    let id = oci.newID()
    let bundle = try oci.bundle(["sh", "-c", "cat <&3; ls /proc/self/fd | wc -l"])
    let script =
      "echo word > \(oci.path)/three; exec 3< \(oci.path)/three 4< /dev/null 5< /dev/null 9< /; exec \(oci.program) --root \(oci.path)/state run --preserve-fds 2 --bundle \(bundle) \(id)"
    let result = try OCI.command(["/bin/bash", "-c", script])
    // 0 to 4, and the folder that ls reads.
    #expect(result.output == "word\n6\n", "\(result.error)")
    #expect(try oci.run("run", "--preserve-fds", "50", "--bundle", bundle, oci.newID()).error.contains("is not open"))
  }

  @Test("update: a file of resources, standard input, and single flags", arguments: OCI.namesWithoutExec)
  func update(name: String) throws {
    let oci = try OCI(name: name)
    let id = oci.newID()
    _ = try oci.create(id, try oci.bundle(["sleep", "1000"]))
    #expect(try oci.run("start", id).status == 0)
    let pid = try #require(try oci.run("state", id).json["pid"] as? Int)
    func limit(_ name: String, _ file: String) throws -> String? {
      let membership = try String(contentsOfFile: "/proc/\(pid)/cgroup", encoding: .utf8)
      for line in membership.split(separator: "\n") {
        let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        if parts[1] == Substring(name)
          || parts[1].isEmpty && !FileManager.default.fileExists(atPath: "/sys/fs/cgroup/\(name)")
        {
          let base = parts[1].isEmpty ? "/sys/fs/cgroup" : "/sys/fs/cgroup/\(name)"
          return try? String(contentsOfFile: base + parts[2] + "/" + file, encoding: .utf8)
        }
      }
      return nil
    }
    #expect(try oci.run("update", "--pids-limit", "77", id).status == 0)
    // The sentry and its keeper stand in the guests' group, whom the limit is for.
    let attendants = name == OCI.sentry ? 2 : 0
    #expect(try limit("pids", "pids.max") == "\(77 + attendants)\n")
    let text = #"{"pids":{"limit":88},"devices":[{"allow":false,"access":"rwm"}]}"#
    #expect(try oci.run("update", "--resources", "-", id, input: .text(text)).status == 0)
    #expect(try limit("pids", "pids.max") == "\(88 + attendants)\n")
    let refused = try oci.run(
      "update", "-r", "-", id, input: #"{"devices":[{"allow":true,"type":"c","major":10,"minor":200,"access":"rwm"}]}"#)
    #expect(refused.status == 1 && refused.error.contains("linux.resources.devices"), "\(refused.error)")
    #expect(try oci.run("update", "--memory", "much", id).error.contains("--memory \\\"much\\\": give a number"))
    let stats = try oci.run("events", "--stats", id).json
    #expect(stats["type"] as? String == "stats" && stats["id"] as? String == id)
    let data = try #require(stats["data"] as? [String: Any])
    #expect((data["pids"] as? [String: Any])?["current"] as? Int == 1 + attendants)
  }

  @Test("spec writes what create takes, and features tells in the specification's shape")
  func documents() throws {
    let oci = try OCI()
    #expect(try oci.configuration()["ociVersion"] as? String == "1.3.0")
    #expect((try oci.configuration("--rootless")["linux"] as? [String: Any])?["uidMappings"] != nil)
    let features = try oci.run("features").json
    #expect(features["ociVersionMax"] as? String == "1.3.0")
    #expect((features["linux"] as? [String: Any])?["seccomp"] != nil)
    #expect(try oci.run("--version").output.hasPrefix("immure-oci version"))
  }

  @Test("what is not supported is refused by its name")
  func refusals() throws {
    let oci = try OCI()
    let bundle = try oci.bundle(["true"])
    #expect(
      try oci.run("create", "--no-pivot", "--bundle", bundle, oci.newID()).error.contains("--no-pivot is not supported")
    )
    #expect(
      try oci.run("create", "--no-new-keyring", "--bundle", bundle, oci.newID()).error.contains(
        "--no-new-keyring is not supported"))
    #expect(try oci.run("--log-format", "xml", "list").error.contains("invalid log-format"))
    if !FileManager.default.fileExists(atPath: "/run/systemd/system") {
      #expect(try oci.run("--systemd-cgroup", "list").error.contains("systemd does not run here"))
    }
    let terminal = try oci.bundle(["true"]) { configuration in
      var process = configuration["process"] as? [String: Any] ?? [:]
      process["terminal"] = true
      configuration["process"] = process
    }
    #expect(try oci.run("create", "--bundle", terminal, oci.newID()).error.contains("without setting console socket"))
    // A profile whose calls nobody would answer.
    let notify = try oci.bundle(["true"]) { configuration in
      var linux = configuration["linux"] as? [String: Any] ?? [:]
      linux["seccomp"] = [
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/no-agent-here",
        "syscalls": [["names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"]],
      ]
      configuration["linux"] = linux
    }
    #expect(try oci.run("create", "--bundle", notify, oci.newID()).error.contains("linux.seccomp.listenerPath"))
  }
}
