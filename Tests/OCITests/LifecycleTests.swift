import ChildProcesses
import Foundation
import Linux
import Testing

/// The life of a container, each step by another command, and what clients read of it.
@Suite("The life of an OCI container", .enabled(if: OCI.canRun, OCI.whyNot))
struct LifecycleTests {
  @Test("create, start, state, kill, delete", arguments: OCI.namesWithoutExec)
  func life(name: String) throws {
    let oci = try OCI(name: name)
    let id = oci.newID()
    let pidFile = oci.path + "/pid"
    let bundle = try oci.bundle([
      "sh", "-c", "trap 'echo asked; exit 3' TERM; echo started; while :; do sleep 0.1; done",
    ])
    let output = try oci.create(id, bundle, "--pid-file", pidFile)
    let created = try oci.run("state", id).json
    #expect(created["status"] as? String == "created")
    #expect(created["id"] as? String == id)
    #expect(created["bundle"] as? String == bundle)
    #expect(created["rootfs"] as? String == bundle + "/rootfs")
    #expect(created["owner"] as? String == "root")
    #expect(created["ociVersion"] as? String == "1.3.0")
    let pid = try #require(created["pid"] as? Int)
    #expect(try String(contentsOfFile: pidFile, encoding: .utf8) == "\(pid)")
    #expect(try OCI.text(of: output, until: { _ in true }).isEmpty, "the program ran before start")

    #expect(try oci.run("start", id).status == 0)
    #expect(try OCI.text(of: output) == "started\n")
    #expect(try oci.status(id) == "running")
    #expect(try oci.run("state", id).json["pid"] as? Int == pid, "the program is the very process that waited")
    let listed = try oci.run("list", "--format", "json")
    #expect(listed.output.contains("\"id\":\"\(id)\"") && listed.output.contains("\"status\":\"running\""))
    #expect(try oci.run("list", "-q").output == id + "\n")
    #expect(try oci.run("ps", "--format", "json", id).output.contains("\(pid)"))
    #expect(try oci.run("ps", id).output.hasPrefix("UID"))

    #expect(try oci.run("kill", id, "TERM").status == 0)
    try oci.wait(id, "stopped")
    #expect(try OCI.text(of: output, until: { $0.hasSuffix("asked\n") }) == "started\nasked\n")
    #expect(try oci.run("state", id).json["pid"] as? Int == 0)
    #expect(try oci.run("delete", id).status == 0)
    #expect(try oci.run("list", "-q").output == "")
    #expect(!FileManager.default.fileExists(atPath: oci.path + "/state/sandboxes/" + id))
  }

  /// The words that containerd, Docker and podman look for in what a runtime says (samples of runc's own).
  @Test("clients find runc's words", arguments: OCI.names)
  func words(name: String) throws {
    let oci = try OCI(name: name)
    let id = oci.newID()
    func fails(_ words: String..., says text: String, status: Int32 = 1) throws {
      let result = try OCI.command([oci.program, "--root", oci.path + "/state"] + words)
      #expect(result.status == status, "\(words)")
      #expect(result.error.contains(text), "\(words): \(result.error)")
      #expect(result.error.split(separator: "\n").count == 1, "\(result.error)")
    }
    for verb in ["state", "start", "pause", "resume", "ps", "delete", "kill"] {
      try fails(verb, id, says: "level=error msg=\"container does not exist\"")
    }
    #expect(try oci.run("delete", "--force", id).status == 0)
    _ = try oci.create(id, try oci.bundle(["sleep", "1000"]))
    try fails("create", "--bundle", try oci.bundle(["true"]), id, says: "container with given ID already exists")
    try fails("resume", id, says: "container not paused")
    #expect(try oci.run("start", id).status == 0)
    try fails("start", id, says: "cannot start an already running container")
    try fails("delete", id, says: "cannot delete container \(id) that is not stopped: running")
    try fails("exec", id, "nothere", says: "executable file not found in $PATH", status: 255)
    try fails("exec", id, "/nothere", says: "no such file or directory", status: 255)
    try fails("exec", id, "/tmp", says: "permission denied", status: 255)
    try fails("kill", id, "SIGNOTHING", says: "unknown signal")
    #expect(try oci.run("kill", id, "9").status == 0)
    try oci.wait(id, "stopped")
    try fails("kill", id, "9", says: "container not running")
    #expect(try oci.run("kill", "--all", id, "9").status == 0)
    try fails("start", id, says: "cannot start a container that has stopped")
    try fails("exec", id, "true", says: "cannot exec in a stopped container", status: 255)
    #expect(try oci.run("delete", id).status == 0)
    try fails("state", "no/id", says: "invalid container ID format")
  }

  @Test("a program that is not there fails create, and leaves nothing", arguments: OCI.namesWithoutExec)
  func absentPrograms(name: String) throws {
    let oci = try OCI(name: name)
    for (words, text) in [
      (["nothere"], "executable file not found in $PATH"), (["/bin/nothere"], "no such file or directory"),
      (["/etc"], "permission denied"),
    ] {
      let id = oci.newID()
      let result = try oci.run("create", "--bundle", try oci.bundle(words), id)
      #expect(result.status == 1)
      #expect(result.error.contains(text), "\(result.error)")
      #expect(try oci.run("list", "-q").output == "")
    }
  }

  @Test("failures are written to the log that a client names, as it reads them")
  func log() throws {
    let oci = try OCI()
    let log = oci.path + "/log.json"
    let result = try oci.run("--log", log, "--log-format=json", "state", "absent")
    #expect(result.status == 1)
    #expect(result.error == "container does not exist\n")
    let line = try #require(
      JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: log))) as? [String: String])
    #expect(line["level"] == "error" && line["msg"] == "container does not exist")
    #expect(line["time"]?.hasSuffix("Z") == true)
  }

  @Test("pause and resume", arguments: OCI.names)
  func pausing(name: String) throws {
    let oci = try OCI(name: name)
    let id = oci.newID()
    _ = try oci.create(id, try oci.bundle(["sleep", "1000"]))
    #expect(try oci.run("start", id).status == 0)
    #expect(try oci.run("pause", id).status == 0)
    #expect(try oci.status(id) == "paused")
    #expect(try oci.run("exec", id, "true").error.contains("cannot exec in a paused container"))
    #expect(try oci.run("resume", id).status == 0)
    #expect(try oci.status(id) == "running")
    #expect(try oci.run("exec", id, "true").status == 0)
    // Killed while it is frozen: it dies all the same.
    #expect(try oci.run("pause", id).status == 0)
    #expect(try oci.run("kill", id, "KILL").status == 0)
    try oci.wait(id, "stopped")
    #expect(try oci.run("delete", id).status == 0)
  }

  @Test("run is create, start, wait and delete in one", arguments: OCI.names)
  func run(name: String) throws {
    let oci = try OCI(name: name)
    let id = oci.newID()
    let result = try oci.run("run", "--bundle", try oci.bundle(["sh", "-c", "echo $$; exit 7"]), id)
    #expect(result.status == 7, "\(result.error)")
    #expect(result.output == "1\n", "the program is the first process of the container")
    #expect(try oci.run("list", "-q").output == "")
  }

  @Test("two starts at once: one starts it, and the other says so", arguments: OCI.namesWithoutExec)
  func race(name: String) throws {
    let oci = try OCI(name: name)
    let id = oci.newID()
    _ = try oci.create(id, try oci.bundle(["sleep", "1000"]))
    let state = oci.path + "/state"
    let script =
      "\(oci.program) --root \(state) start \(id) & a=$!; \(oci.program) --root \(state) start \(id); b=$?; wait $a; echo $? $b"
    let result = try OCI.command(["/bin/sh", "-c", script])
    #expect(["0 1\n", "1 0\n"].contains(result.output), "\(result.output)\(result.error)")
    #expect(result.error.contains("cannot start an already running container"), "\(result.error)")
  }

  @Test("the name called and an annotation choose the wall")
  func walls() throws {
    let oci = try OCI(name: "immure-container")
    let id = oci.newID()
    #expect(try oci.run("run", "--bundle", try oci.bundle(["true"]), id).status == 0)
    // How the kernel is called is the sentry's own word.
    let sentry = try oci.bundle(["cat", "/proc/sys/kernel/version"]) {
      $0["annotations"] = ["dev.immure.wall": "sentry"]
    }
    let named = try oci.run("run", "--bundle", sentry, oci.newID())
    #expect(named.output.contains("Immure"), "\(named.output)\(named.error)")
    let bundle = try oci.bundle(["true"]) { $0["annotations"] = ["dev.immure.wall": "paper"] }
    let refused = try oci.run("run", "--bundle", bundle, oci.newID())
    #expect(refused.status == 1)
    #expect(refused.error.contains("dev.immure.wall=paper: there is no such wall"), "\(refused.error)")
  }
}
