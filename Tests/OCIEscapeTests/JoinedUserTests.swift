import ChildProcesses
import Foundation
import Testing

/// A container that joins another's user namespace is made before the eyes of that one's root, who has every capability over the
/// processes in it.
@Suite("A user namespace of others", .enabled(if: Rig.canRun, Rig.whyNot), .timeLimit(.minutes(60)))
struct JoinedUserTests {
  /// In a process namespace that is joined too he sees the process that builds and waits: it holds the start socket, the root before it
  /// is masked, and immure's own image. He looks into everything that comes, and attaches to what waits; the kernel refuses, since the
  /// image was executed outside and the process is not dumpable. Shown: with the
  /// process made dumpable again before it says that it is ready, its environment, maps and image are read.
  @Test("the process that waits cannot be looked into or traced by the namespace's root")
  func builderIsClosed() throws {
    let rig = try Rig()
    let capabilities = ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_KILL", "CAP_DAC_OVERRIDE", "CAP_SYS_CHROOT"]
    let attacker = rig.newID("attacker")
    let home = try rig.bundle(["/attack", "peep", "60"]) {
      $0.mapUsers()
      $0.setCapabilities(capabilities)
    }
    try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: home + "/rootfs")
    let output = try rig.begin(attacker, home)
    #expect(try Rig.text(of: output, with: "ready").contains("ready"))
    let pid = try rig.pid(attacker)
    let victim = rig.newID("victim")
    let bundle = try rig.bundle(["/attack", "wait"]) { configuration in
      configuration.change("linux") { linux in
        var namespaces = linux["namespaces"] as? [[String: Any]] ?? []
        namespaces.removeAll { $0["type"] as? String == "pid" }
        for kind in ["user", "pid"] { namespaces.append(["type": kind, "path": "/proc/\(pid)/ns/\(kind)"]) }
        linux["namespaces"] = namespaces
      }
    }
    try FileManager.default.createDirectory(atPath: bundle + "/canary", withIntermediateDirectories: true)
    _ = try rig.create(victim, bundle)
    let inside = try Rig.command(["awk", "/^NSpid:/ { print $NF }", "/proc/\(try rig.pid(victim))/status"]).output
    let number = try #require(Int(inside.filter(\.isNumber)))
    #expect(number > 1, "it is not in the attacker's process namespace: \(inside)")
    func attack(_ words: String...) throws -> Rig.Result {
      try Rig.command(rig.words(["exec"] + capabilities.flatMap { ["--cap", $0] } + [attacker] + words))
    }
    #expect(try attack("/attack", "attach", "\(number)").output == "refused\n")
    for file in ["fd", "root/", "cwd/", "map_files"] {
      #expect(try attack("ls", "/proc/\(number)/\(file)").output == "", "\(file)")
    }
    #expect(try attack("cat", "/proc/\(number)/cmdline").output.allSatisfy { $0 == "\0" })
    for file in ["environ", "mem", "maps"] {
      #expect(try attack("cat", "/proc/\(number)/\(file)").output == "", "\(file)")
    }
    let executable = try attack("sh", "-c", "cat /proc/\(number)/exe > /dev/null && echo open")
    #expect(executable.output == "" && executable.status != 0)
    // Of what it may do, it can end the process: then there is no container, and nothing of it is left.
    #expect(try attack("sh", "-c", "kill -9 \(number)").status == 0)
    #expect(try Rig.eventually { try rig.status(victim) == "stopped" })
    #expect(try rig.run("delete", victim).status == 0)
    #expect(try attack("touch", "/stop").status == 0)
    let seen = try Rig.text(of: output, with: "done")
    #expect(seen.contains("done") && !seen.contains("ESCAPED"), "\(seen)")
  }
}
