import ChildProcesses
import Foundation
import Testing

/// CVE-2019-5736: a container must not be able to overwrite the runtime on the host through /proc/PID/exe of a process of the runtime's
/// that stands in it.
@Suite("The runtime's own file", .enabled(if: Rig.canRun, Rig.whyNot), .timeLimit(.minutes(60)))
struct OverwriteTests {
  /// All that an attacker could be given short of the machine itself.
  private static let powers = ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_KILL"]

  /// The process that waits for `start` runs immure's image, which everybody sees who may look into it. The file is opened while it
  /// waits, and again for writing when nobody runs it any more: no ETXTBSY stands in for a defence.
  /// Shown: with `OwnProtection.apply` empty the second opening succeeds.
  @Test("cannot be opened for writing through the process that waits in a container")
  func waiting() throws {
    let rig = try Rig(ownsProgram: true)
    let id = rig.newID()
    _ = try rig.create(id, try rig.bundle(["/attack", "wait"]))
    let image = unsafe open("/proc/\(try rig.pid(id))/exe", O_RDONLY | O_CLOEXEC)
    try #require(image >= 0)
    defer { close(image) }
    #expect(try rig.run("delete", "--force", id).status == 0)
    var status = stat()
    let isKnown = unsafe fstat(image, &status) == 0
    #expect(isKnown && status.st_size > 1 << 20, "it was immure's image that was opened")
    let again = unsafe open("/proc/self/fd/\(image)", O_WRONLY | O_CLOEXEC)
    #expect(again < 0 && errno == EROFS, "opened for writing: \(again), errno \(errno)")
    if again >= 0 { close(again) }
  }

  /// The attacker looks at every process's image the whole time, with CAP_SYS_PTRACE and the host's own root; `exec` runs the container's
  /// program, the file of whoever runs it (/proc/self/exe), and a script whose interpreter that is.
  /// Shown: with `OwnProtection.apply` empty "ESCAPED image writable" is seen.
  @Test("cannot be opened for writing during exec, with the host's user namespace and CAP_SYS_PTRACE")
  func entering() throws {
    let rig = try Rig(ownsProgram: true)
    let id = rig.newID()
    let bundle = try rig.bundle(["/attack", "overwrite", "60"]) { $0.setCapabilities(Self.powers) }
    let script = bundle + "/rootfs/script"
    try "#!/proc/self/exe\n".write(toFile: script, atomically: false, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
    let output = try rig.begin(id, bundle)
    #expect(try Rig.text(of: output, with: "ready").contains("ready"))
    for _ in 0..<(Rig.isWhole ? 100 : 5) {
      // What they end with is theirs: immure itself, run in the container with no words, or a program.
      for program in ["/proc/self/exe", "/script", "true"] { try rig.run("exec", id, program) }
    }
    _ = FileManager.default.createFile(atPath: bundle + "/rootfs/stop", contents: nil)
    let seen = try Rig.text(of: output, with: "done")
    #expect(seen.contains("done") && !seen.contains("ESCAPED"), "\(seen)")
  }
}
