import ChildProcesses
import Foundation
import Testing

/// What the runtime reads: bounded, from where it should, and nothing of the container's.
@Suite("What the runtime reads", .enabled(if: Rig.canRun, Rig.whyNot), .timeLimit(.minutes(60)))
struct ConfigurationTests {
  /// CVE-2021-43784's class: what crosses from the command to the process it raises has no length that overflows. Either the container
  /// runs, or one line says why not; a crash (a signal) is neither.
  @Test(
    "large, deep and long configurations",
    arguments: [
      "large", "deep", "deep objects", "long arguments", "many arguments", "long environment", "long strings",
      "many mounts",
    ])
  func bounds(_ kind: String) throws {
    let rig = try Rig()
    let bundle = try rig.bundle(["true"])
    let file = bundle + "/config.json"
    switch kind {
    case "large":
      try (try String(contentsOfFile: file, encoding: .utf8) + String(repeating: " ", count: 40 << 20))
        .write(toFile: file, atomically: false, encoding: .utf8)
    case "deep", "deep objects":
      let (open, close) = kind == "deep" ? ("[", "]") : ("{\"a\":", "}")
      let text = String(repeating: open, count: 200_000) + "1" + String(repeating: close, count: 200_000)
      try "{\"ociVersion\":\"1.0.0\",\"extension\":\(text)}".write(toFile: file, atomically: false, encoding: .utf8)
    case "many mounts":
      try rig.write(
        try rig.configuration(["true"]) { configuration in
          for number in 0..<300 { configuration.mount("/tmp/\(number)", "tmpfs", "tmpfs", ["size=4k"]) }
        }, to: bundle)
    default:
      try rig.write(
        try rig.configuration(["true"]) { configuration in
          configuration.change("process") { process in
            switch kind {
            case "long arguments": process["args"] = ["true", String(repeating: "a", count: 3 << 20)]
            case "many arguments": process["args"] = ["true"] + Array(repeating: "a", count: 300_000)
            case "long environment":
              process["env"] = ["PATH=/bin"] + (0..<60).map { "V\($0)=" + String(repeating: "v", count: 100_000) }
            default: process["cwd"] = "/" + String(repeating: "d/", count: 300_000)
            }
          }
          if kind == "long strings" { configuration["hostname"] = String(repeating: "h", count: 1 << 20) }
        }, to: bundle)
    }
    let result = try rig.run("run", "--bundle", bundle, rig.newID())
    #expect(result.status == 0 || result.status == 1, "it ended with \(result.status)")
    if result.status != 0 {
      #expect(
        result.error.split(separator: "\n").count == 1 && result.error.utf8.count < 10_000,
        "\(result.error.prefix(400))")
    }
    #expect(try rig.run("list", "-q").output == "")
  }

  /// Annotations are kept in the container's record: whatever fits into a configuration can be read again, or nobody could delete it.
  @Test("megabytes of annotations do not make a container that cannot be deleted")
  func annotations() throws {
    let rig = try Rig()
    let id = rig.newID()
    let bundle = try rig.bundle(["/attack", "wait"]) { configuration in
      configuration["annotations"] = [
        "org.example.large": String(repeating: "\u{1}x", count: 256 << 10), "oci.id": "other", "cgroup": "/",
      ]
    }
    let created = try rig.run("create", "--bundle", bundle, id)
    if created.status == 0 {
      #expect(try rig.run("state", id).json["id"] as? String == id)
      #expect(try rig.run("start", id).status == 0)
    } else {
      #expect(created.error.split(separator: "\n").count == 1, "\(created.error.prefix(400))")
    }
    #expect(try rig.run("delete", "--force", id).status == 0)
    #expect(try rig.run("list", "-q").output == "")
    #expect(!FileManager.default.fileExists(atPath: rig.path + "/state/sandboxes/" + id))
  }

  /// CVE-2025-24965: no file of the root filesystem configures anything. Each would make the container another than the one asked for,
  /// and a pipe would keep whoever reads it waiting.
  /// Shown by id(1), which does read /etc/group: asked for as the program it did not end.
  @Test("nothing of the root filesystem is read, by create or by exec")
  func root() throws {
    let rig = try Rig()
    let id = rig.newID()
    let bundle = try rig.bundle(["/attack", "wait"])
    let root = bundle + "/rootfs"
    let names = [
      "config.json", ".krun_config.json", ".krun_vm.json", "krun-sev.json", "etc/passwd", "etc/group", "etc/shadow",
      "etc/nsswitch.conf",
      "etc/ld.so.preload", "etc/ld.so.cache", "etc/ld.so.conf", "etc/hosts", "etc/resolv.conf", "etc/localtime",
      "etc/subuid", "etc/subgid",
      "etc/login.defs", "etc/os-release", "lib", "lib64", "usr",
    ]
    for name in names { try #require(unsafe mkfifo(root + "/" + name, 0o666) == 0) }
    _ = try rig.begin(id, bundle)
    let words = ["grep", "-E", "^(Uid|Gid|Groups)", "/proc/self/status"]
    let result = try Rig.command(
      rig.words(["exec", "--user", "1000:1000", "--additional-gids", "7", id] + words), seconds: 120)
    #expect(
      result.output.contains("Uid:\t1000\t") && result.output.contains("Groups:\t7 \n"),
      "\(result.output)\(result.error)")
    #expect(try rig.run("ps", id, seconds: 120).status == 0)
    #expect(try rig.run("kill", id, "KILL", seconds: 120).status == 0)
    #expect(try rig.run("delete", "--force", id, seconds: 120).status == 0)
  }

  /// `exec` runs the program that was asked for, with links, binaries and libraries of the container's replaced by links to the host's
  /// sensitive names: they are looked up within the container's root.
  @Test("what exec runs is found within the container")
  func programs() throws {
    let rig = try Rig()
    let id = rig.newID()
    let bundle = try rig.bundle(["/attack", "wait"])
    // On the host /usr/bin/env exists; in the container it does not.
    try FileManager.default.createSymbolicLink(
      atPath: bundle + "/rootfs/bin/host", withDestinationPath: "../../../../../../usr/bin/env")
    try FileManager.default.createSymbolicLink(atPath: bundle + "/rootfs/bin/loop", withDestinationPath: "loop")
    _ = try rig.begin(id, bundle)
    for name in [
      "host", "/bin/host", "loop", "/proc/1/root/../usr/bin/env", "/proc/self/fd/3", "/proc/self/cwd/../usr/bin/env",
    ] {
      let result = try rig.run("exec", id, name)
      #expect(result.status == 255 && result.output == "", "\(name): \(result.output)")
    }
  }

  /// A process's name is the container's to choose: /proc/PID/stat is read from behind its last parenthesis.
  @Test("a process that takes a deceitful name", arguments: [") Z 1 1", "x) X 0 0 0", "((((", "\n) Z", "a b c d e"])
  func names(_ name: String) throws {
    let rig = try Rig()
    let id = rig.newID()
    let output = try rig.begin(id, try rig.bundle(["/attack", "name", name]))
    #expect(try Rig.text(of: output, with: "named").contains("named"))
    #expect(try rig.status(id) == "running")
    #expect(try rig.run("exec", id, "true").status == 0)
    #expect(try rig.run("ps", id).output.split(separator: "\n").count == 2)
    #expect(try rig.run("kill", id, "KILL").status == 0)
    #expect(try Rig.eventually { try rig.status(id) == "stopped" })
    #expect(try rig.run("delete", id).status == 0)
  }
}
