import ChildProcesses
import Foundation
import Testing

/// What the machine refuses in the middle: no room, no descriptors, interrupted calls, a state folder that cannot be written, hooks that
/// do not end. One line says so, and nothing is left.
@Suite("Faults under the OCI verbs", .enabled(if: Rig.canRun, Rig.whyNot), .timeLimit(.minutes(60)))
struct OCIFaultTests {
  /// A bundle without rlimits: those are asked for by root without CAP_SYS_RESOURCE here.
  private func bundle(_ rig: Rig, _ change: (inout Rig.Configuration) -> Void = { _ in }) throws -> String {
    try rig.bundle(["/attack", "wait"]) { configuration in
      configuration.change("process") { $0["rlimits"] = nil }
      configuration.change("linux") { $0.change("resources") { $0["pids"] = ["limit": 100] } }
      change(&configuration)
    }
  }

  /// A debug build is not static: what its dynamic loader cannot bear says nothing about immure.
  private static func isLoaders(_ result: Rig.Result) -> Bool {
    result.status == 127 && result.error.contains("error while loading shared libraries")
  }

  private func expectNothing(_ rig: Rig, _ id: String, _ bundle: String, _ what: String) throws {
    var left = Leftovers.none
    let isClear = Rig.eventually {
      left = Leftovers(of: id, bundle: bundle, state: rig.path + "/state")
      return left == .none
    }
    #expect(isClear, "\(what) left \(left)")
  }

  /// The state root is a file system with so little room that each file of the container's is once the one that does not fit.
  @Test("ENOSPC: a full state folder", arguments: ["size=", "nr_inodes="])
  func full(_ option: String) throws {
    let rig = try Rig()
    let bundle = try bundle(rig)
    let sizes =
      option == "size="
      ? ["4k", "8k", "12k", "16k", "20k", "24k", "32k", "1m"]
      : ["2", "3", "4", "5", "6", "7", "8", "9", "10", "12", "40"]
    var created = 0
    for size in sizes {
      let id = rig.newID()
      let words = rig.words(["create", "--bundle", bundle, id]).joined(separator: " ")
      let delete = rig.words(["delete", "--force", id]).joined(separator: " ")
      let script = """
        mkdir -p \(rig.path)/state && mount -t tmpfs -o \(option)\(size),mode=755 tmpfs \(rig.path)/state || exit 99
        \(words) > /dev/null < /dev/null; echo created $?
        \(delete); echo deleted $?; ls -A \(rig.path)/state/sandboxes \(rig.path)/state/names 2>/dev/null | grep \(id)
        umount \(rig.path)/state
        """
      let result = try Rig.command(["/usr/bin/unshare", "-m", "--propagation", "private", "/bin/sh", "-c", script])
      #expect(result.output.hasSuffix("deleted 0\n"), "\(size): \(result.output)\(result.error)")
      if result.output.hasPrefix("created 0\n") {
        created += 1
      } else {
        #expect(result.output.hasPrefix("created 1\n"), "\(size): \(result.output)\(result.error)")
        #expect(result.error.contains("No space left on device"), "\(size): \(result.error)")
        #expect(result.error.split(separator: "\n").count == 1, "\(size): \(result.error)")
      }
      try expectNothing(rig, id, bundle, "\(option)\(size)")
    }
    #expect(created > 0 && created < sizes.count, "\(created) of \(sizes.count) were created: the sizes meet nothing")
  }

  @Test("EMFILE: every number of descriptors that is too small")
  func descriptors() throws {
    let rig = try Rig()
    let bundle = try bundle(rig)
    var created = 0
    let limits = Rig.isWhole ? Array(3...90) : [3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 64, 66, 68, 80]
    for limit in limits {
      let id = rig.newID()
      let words = ["/usr/bin/prlimit", "--nofile=\(limit)"] + rig.words(["create", "--bundle", bundle, id])
      let script = "exec \"$@\" > /dev/null < /dev/null"
      let result = try Rig.command(["/bin/sh", "-c", script, "x"] + words)
      if result.status == 0 {
        created += 1
        #expect(try rig.status(id) == "created")
      } else if !Self.isLoaders(result) {
        #expect(result.status == 1, "\(limit): \(result.status) \(result.error)")
        #expect(result.error.split(separator: "\n").count == 1, "\(limit): \(result.error)")
      }
      #expect(try rig.run("delete", "--force", id).status == 0)
      try expectNothing(rig, id, bundle, "\(limit) descriptors")
    }
    #expect(
      created > 0 && created < limits.count, "\(created) of \(limits.count) were created: the limits meet nothing")
  }

  /// A signal that is handled elsewhere may interrupt every one of these calls; each is tried again.
  @Test(
    "EINTR: each call that may be interrupted is, every second time",
    arguments: [
      "read", "write", "openat", "openat2", "recvmsg", "sendmsg", "accept4", "connect", "wait4", "waitid", "ppoll",
      "poll", "flock",
      "epoll_wait", "epoll_pwait", "clone3",
    ])
  func interrupted(_ call: String) throws {
    let rig = try Rig()
    let bundle = try rig.bundle(["/attack", "descriptors"]) { $0.change("process") { $0["rlimits"] = nil } }
    let id = rig.newID()
    // The container's own program would be interrupted, too: it reads one folder only.
    let strace = [
      "/usr/bin/strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e",
      "inject=\(call):error=EINTR:when=1+2",
    ]
    let result = try Rig.command(strace + rig.words(["run", "--bundle", bundle, id]))
    // clone3 knows no EINTR; fork(2) does say EAGAIN only: an error is right where it is told.
    if call == "clone3" {
      #expect(result.status == 1 && result.error.contains("clone3"), "\(result.status) \(result.error)")
    } else if !Self.isLoaders(result) {
      #expect(result.status == 0, "\(call): \(result.status) \(result.error)")
    }
    #expect(try rig.run("delete", "--force", id).status == 0)
    try expectNothing(rig, id, bundle, call)
  }

  /// A profile may forbid all that the program would begin with, and even to end: no process of ours may go on in the box, trying.
  @Test("a seccomp profile that allows nothing ends the container")
  func nothingAllowed() throws {
    let rig = try Rig()
    let bundle = try bundle(rig) { configuration in
      configuration.change("linux") { $0["seccomp"] = ["defaultAction": "SCMP_ACT_ERRNO", "syscalls": [Any]()] }
    }
    let id = rig.newID()
    // In a debug build Swift's own handler of crashes would go on in the box, trying to report one.
    let result = try Rig.command(
      ["/usr/bin/env", "SWIFT_BACKTRACE=enable=no"] + rig.words(["run", "--bundle", bundle, id]))
    #expect(![0, 124, 137].contains(result.status), "\(result.status) \(result.error)")
    try expectNothing(rig, id, bundle, "a program that may not even end")
  }

  @Test("a state folder that cannot be written, or is none")
  func unwritable() throws {
    let rig = try Rig()
    let bundle = try bundle(rig)
    let id = rig.newID()
    let state = rig.path + "/state"
    let words = rig.words(["create", "--bundle", bundle, id]).joined(separator: " ")
    let script = "mkdir -p \(state) && mount -t tmpfs -o ro tmpfs \(state) && \(words)"
    let result = try Rig.command(["/usr/bin/unshare", "-m", "--propagation", "private", "/bin/sh", "-c", script])
    #expect(result.status == 1 && result.error.contains("Read-only file system"), "\(result.error)")
    #expect(result.error.split(separator: "\n").count == 1, "\(result.error)")
    try expectNothing(rig, id, bundle, "a read-only state folder")
    for root in [bundle + "/config.json", "/proc/self/nothing", "/dev/null"] {
      let result = try Rig.command([rig.program, "--root", root, "create", "--bundle", bundle, id])
      #expect(result.status == 1 && result.error.split(separator: "\n").count == 1, "\(root): \(result.error)")
      for verb in ["state", "delete"] {
        #expect(try Rig.command([rig.program, "--root", root, verb, id]).status == 1, "\(root) \(verb)")
      }
    }
    try expectNothing(rig, id, bundle, "state folders that are none")
  }

  /// A hook that does not end is killed at its timeout with all that it started, and the container with it.
  @Test("a hook that does not end", arguments: ["prestart", "createRuntime", "createContainer"])
  func slowHook(_ moment: String) throws {
    let rig = try Rig()
    let mark = "\(30_000_000 + Int.random(in: 0..<1_000_000))"
    let bundle = try bundle(rig) { configuration in
      configuration["hooks"] = [
        moment: [
          [
            "path": "/bin/sh", "args": ["sh", "-c", "sleep \(mark) & sleep \(mark)"], "env": ["PATH=/usr/bin:/bin"],
            "timeout": 1,
          ]
        ]
      ]
    }
    let id = rig.newID()
    let result = try rig.run("create", "--bundle", bundle, id, seconds: 120)
    #expect(result.status == 1 && result.error.contains(moment) && result.error.contains("timeout"), "\(result.error)")
    #expect(try rig.run("delete", "--force", id).status == 0)
    try expectNothing(rig, id, bundle, "a slow \(moment) hook")
    #expect(
      Rig.eventually { (try? Rig.command(["/usr/bin/pgrep", "-f", "^sleep \(mark)"]).status) == 1 },
      "a hook's child lives on")
  }

  /// CVE-2025-23266: the image says what its program's environment is; a hook runs as root on the host and gets the configuration's.
  @Test(
    "hooks get their own environment and nothing of the image's",
    arguments: ["prestart", "createRuntime", "createContainer", "poststart", "poststop"])
  func hookEnvironment(_ moment: String) throws {
    let rig = try Rig()
    let seen = rig.path + "/seen"
    let bundle = try rig.bundle(["true"]) { configuration in
      configuration.change("process") {
        $0["env"] = ["PATH=/bin", "LD_PRELOAD=./evil.so", "LD_LIBRARY_PATH=/", "IMAGE=1"]
      }
      let script = "tr '\\0' '\\n' < /proc/self/environ > \(seen); pwd >> \(seen); ls -l /proc/self/fd >> \(seen)"
      configuration["hooks"] = [
        moment: [["path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin", "HOOK=1"]]]
      ]
    }
    try "not a library".write(toFile: bundle + "/rootfs/evil.so", atomically: false, encoding: .utf8)
    let result = try rig.run("run", "--bundle", bundle, rig.newID())
    #expect(result.status == 0, "\(result.error)")
    let text = try Rig.text(of: seen, with: "HOOK=1")
    #expect(text.contains("HOOK=1") && !text.contains("LD_") && !text.contains("IMAGE"), "\(text)")
    #expect(!text.contains("rootfs"), "a hook's folder or descriptor is the image's: \(text)")
  }
}
