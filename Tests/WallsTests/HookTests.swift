import Formats
import Foundation
import Testing
import Walls

/// Hooks as the runtime runs them.
@Suite struct HookTests {
  private func hooks(_ script: String, environment: [String] = [], timeout: UInt32? = 20) -> HookConfiguration {
    var hooks = HookConfiguration()
    hooks[.prestart] = [
      HookConfiguration.Hook(
        path: "/bin/sh", arguments: ["sh", "-c", script], environment: environment, timeout: timeout)
    ]
    return hooks
  }

  private func temporary() throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("hooks-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
  }

  @Test func aHookGetsTheStateAndItsOwnEnvironmentOnly() throws {
    let folder = try temporary()
    defer { try? FileManager.default.removeItem(at: folder) }
    // Shells add PWD, SHLVL and _ by themselves.
    try HookRunner.run(
      .prestart, of: hooks("cat > '\(folder.path)/state'; /usr/bin/env > '\(folder.path)/env'", environment: ["A=b"]),
      state: Array(#"{"id":"x"}"#.utf8))
    #expect(try String(contentsOf: folder.appendingPathComponent("state"), encoding: .utf8) == #"{"id":"x"}"#)
    let names = try String(contentsOf: folder.appendingPathComponent("env"), encoding: .utf8).split(separator: "\n")
      .map { $0.split(separator: "=")[0] }
    #expect(Set(names).subtracting(["PWD", "SHLVL", "_", "OLDPWD"]) == ["A"])
  }

  /// Without the closing of all other descriptors the hook lists the one opened here.
  @Test func aHookGetsNoOtherDescriptor() throws {
    let folder = try temporary()
    defer { try? FileManager.default.removeItem(at: folder) }
    let stray = unsafe open("/etc/passwd", O_RDONLY)
    defer { close(stray) }
    try HookRunner.run(.prestart, of: hooks("ls -l /proc/self/fd > '\(folder.path)/fd'"), state: [])
    let text = try String(contentsOf: folder.appendingPathComponent("fd"), encoding: .utf8)
    #expect(!text.contains("/etc/passwd") && text.contains("/fd"))
  }

  @Test func aFailureIsToldWithItsWords() throws {
    let error = #expect(throws: WallError.self) {
      try HookRunner.run(.prestart, of: hooks("echo no such card >&2; exit 3"), state: [])
    }
    #expect(error?.message == "hook prestart[0] /bin/sh: ended with status 3: no such card")
    var absent = HookConfiguration()
    absent[.poststop] = [HookConfiguration.Hook(path: "/no/such")]
    let second = #expect(throws: WallError.self) { try HookRunner.run(.poststop, of: absent, state: []) }
    #expect(second?.message == "hook poststop[0] /no/such: No such file or directory")
  }

  /// The shell's child must die with it: the read below ends only when the last holder of the pipe is gone.
  @Test func aSlowHookIsKilledWithItsChildren() throws {
    let folder = try temporary()
    defer { try? FileManager.default.removeItem(at: folder) }
    let pipe = folder.appendingPathComponent("pipe").path
    try #require(unsafe mkfifo(pipe, 0o600) == 0)
    let reader = unsafe open(pipe, O_RDONLY | O_NONBLOCK)
    defer { close(reader) }
    let error = #expect(throws: WallError.self) {
      try HookRunner.run(
        .prestart,
        of: hooks("exec 9>'\(pipe)'; : > '\(folder.path)/opened'; sleep 1000 & sleep 1000; wait", timeout: 1), state: []
      )
    }
    #expect(error?.message.contains("timeout of 1 s") == true)
    // A machine that needs more than a second to start a shell has shown nothing yet.
    guard FileManager.default.fileExists(atPath: folder.path + "/opened") else { return }
    var entry = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
    #expect(unsafe poll(&entry, 1, 120_000) == 1 && entry.revents & Int16(POLLHUP) != 0)
  }

  @Test func laterHooksDoNotRunAfterAFailure() throws {
    let folder = try temporary()
    defer { try? FileManager.default.removeItem(at: folder) }
    var both = hooks("exit 1")
    both[.prestart] += hooks("touch '\(folder.path)/ran'")[.prestart]
    #expect(throws: WallError.self) { try HookRunner.run(.prestart, of: both, state: []) }
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/ran"))
  }
}
