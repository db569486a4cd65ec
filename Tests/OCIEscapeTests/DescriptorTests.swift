import ChildProcesses
import Foundation
import Testing

/// CVE-2024-21626: nothing that the caller had open, and no folder of the host's as working directory, comes into a container.
@Suite("Descriptors and working directories", .enabled(if: Rig.canRun, Rig.whyNot), .timeLimit(.minutes(60)))
struct DescriptorTests {
  /// Runs a verb with descriptors open that a careless caller would hand on: the host's root folder, a file, a socket of the runtime's own.
  private func careless(_ rig: Rig, _ words: [String]) throws -> Rig.Result {
    try "canary".write(toFile: rig.path + "/canary", atomically: false, encoding: .utf8)
    // dash knows one digit only.
    let script = "exec 3</ 5<'\(rig.path)' 7<'\(rig.path)/canary' 8<>'\(rig.path)/canary' 9</proc; exec \"$@\""
    return try Rig.command(["/bin/sh", "-c", script, "x"] + rig.words(words))
  }

  /// Shown: with `closeAll` in BoxBuilder.enter, and `closeRange` in BoxEntrance, sparing the numbers below 10, five are listed.
  @Test("a container has 0, 1 and 2 only, by run and by exec")
  func inherited() throws {
    let rig = try Rig()
    let list = ["/attack", "descriptors"]
    let run = try careless(rig, ["run", "--bundle", try rig.bundle(list), rig.newID()])
    #expect(run.status == 0 && run.output == "", "\(run.output)\(run.error)")
    let id = rig.newID()
    _ = try rig.begin(id, try rig.bundle(["/attack", "wait"]))
    let exec = try careless(rig, ["exec", id] + list)
    #expect(exec.status == 0 && exec.output == "", "\(exec.output)\(exec.error)")
  }

  /// Its image is immure's, with immure's powers: whatever it had open could be taken from it by a process with CAP_SYS_PTRACE that
  /// shares its process namespace. What it has leads into no folder at all.
  /// Shown: with `closeAll` sparing the numbers below 10 the host's root is among them.
  @Test("the process that waits for start holds no folder and no file of the host's")
  func waiting() throws {
    let rig = try Rig()
    let id = rig.newID()
    let bundle = try rig.bundle(["/attack", "wait"])
    let created = try careless(rig, ["create", "--bundle", bundle, id])
    #expect(created.status == 0, "\(created.error)")
    let pid = try rig.pid(id)
    let folder = "/proc/\(pid)/fd"
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) where (Int(name) ?? 0) > 2 {
      let target = try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + name)
      #expect(target.hasPrefix("socket:") || target.hasSuffix("/waits"), "descriptor \(name) leads to \(target)")
    }
    let text = try String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8)
    #expect(text.allSatisfy { $0 == "\0" }, "its arguments tell of the host: \(text)")
    let environment = try Data(contentsOf: URL(fileURLWithPath: "/proc/\(pid)/environ"))
    #expect(environment.allSatisfy { $0 == 0 }, "its environment is the host's")
  }

  /// The working directory is a descriptor's folder, a link of the image's to one, and a process's own root.
  /// Shown: with those spared, and the answer of getcwd(2) not looked at in BoxDirectory, the program lists the host's root.
  @Test(
    "a working directory through a descriptor is refused",
    arguments: ["/proc/self/fd/3", "/proc/self/fd/5", "/link", "/proc/1/fd/5", "/proc/thread-self/fd/3/tmp"])
  func workingDirectory(_ folder: String) throws {
    let rig = try Rig()
    let bundle = try rig.bundle(["sh", "-c", "ls; cat canary ../canary"]) { configuration in
      configuration.change("process") { $0["cwd"] = folder }
    }
    try FileManager.default.createSymbolicLink(
      atPath: bundle + "/rootfs/link", withDestinationPath: "/proc/self/fd/5")
    let run = try careless(rig, ["run", "--bundle", bundle, rig.newID()])
    #expect(run.status == 1 && run.output == "", "\(run.output)")
    #expect(run.error.contains("working directory"), "\(run.error)")
    let id = rig.newID()
    let other = try rig.bundle(["/attack", "wait"])
    try FileManager.default.createSymbolicLink(
      atPath: other + "/rootfs/link", withDestinationPath: "/proc/self/fd/5")
    _ = try rig.begin(id, other)
    let exec = try careless(rig, ["exec", "--cwd", folder, id, "sh", "-c", "ls; cat canary ../canary"])
    #expect(exec.status == 255 && exec.output == "", "\(exec.output)\(exec.error)")
  }

  /// What a process of the container sees of those that come in: with a user namespace of its own, and without CAP_SYS_PTRACE.
  /// Shown: with `setDumpable(false)` and `wipeArguments` taken out of BoxEntrance they are seen.
  @Test("who enters shows no folder, argument or environment of the host's", arguments: [true, false])
  func peeping(_ isMapped: Bool) throws {
    let rig = try Rig()
    let id = rig.newID()
    let bundle = try rig.bundle(["/attack", "peep", "60"]) { if isMapped { $0.mapUsers() } }
    let output = try rig.begin(id, bundle)
    #expect(try Rig.text(of: output, with: "ready").contains("ready"))
    for _ in 0..<(Rig.isWhole ? 200 : 10) { _ = try careless(rig, ["exec", id, "/bin/true"]) }
    _ = FileManager.default.createFile(atPath: bundle + "/rootfs/stop", contents: nil)
    let seen = try Rig.text(of: output, with: "done")
    #expect(seen.contains("done") && !seen.contains("ESCAPED"), "\(seen)")
  }
}
