import ChildProcesses
import Foundation
import Linux
import Testing

/// What the host has of a container behind the sentry: whose ids its processes have, which filter, and that all of it goes.
@Suite("OCI containers behind the sentry, seen from the host", .enabled(if: OCI.canRun, OCI.whyNot))
struct SentryHostTests {
  private static func ids(_ pid: Int32, _ key: String) throws -> [Int] {
    let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
    let line = text.split(separator: "\n").first { $0.hasPrefix(key + ":") }
    return line?.split(separator: "\t").dropFirst().compactMap { Int($0) } ?? []
  }

  /// An overlay's owners cannot be translated: its files belong to the machine's ids, root's among them, and the sentry to none of these.
  @Test("a root on overlayfs is served under an id of the sentry's own, and what guests write has the guests' ids")
  func overlay() throws {
    let oci = try OCI(name: OCI.sentry)
    let bundle = try oci.bundle([
      "sh", "-c",
      """
      cd /tmp; echo old >> made; mkdir d; busybox chown 1000:1001 d; busybox chmod 2770 d; busybox ln -s made l
      busybox su user -s /bin/sh -c 'echo mine > /tmp/d/f; busybox ln /tmp/d/f /tmp/d/g; busybox mv /tmp/d/g /tmp/d/h'
      busybox rm /bin/tty; cat d/h; id -u; ls -ln d; exec sleep 1000
      """,
    ]) { configuration in
      var process = configuration["process"] as? [String: Any] ?? [:]
      let names = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_FSETID"]
      process["capabilities"] = ["bounding": names, "permitted": names, "effective": names]
      configuration["process"] = process
    }
    try "user:x:1000:1001::/:/bin/sh\n".write(
      toFile: bundle + "/rootfs/etc/passwd", atomically: true, encoding: .utf8)
    let made = try OCI.command([
      "/bin/sh", "-c",
      "cd '\(bundle)' && chmod 700 rootfs/run && mv rootfs lower && mkdir rootfs scratch && mount -t tmpfs none scratch && mkdir scratch/u scratch/w && mount -t overlay -o lowerdir=lower,upperdir=scratch/u,workdir=scratch/w overlay rootfs",
    ])
    try #require(made.status == 0, "\(made.error)")
    defer { _ = try? OCI.command(["/bin/sh", "-c", "cd '\(bundle)'; umount rootfs; umount scratch"]) }
    let id = oci.newID()
    let output = try oci.create(id, bundle)
    #expect(try oci.run("start", id).status == 0)
    let text = try OCI.text(of: output) { $0.contains(" h\n") || $0.contains("denied") }
    #expect(text.hasPrefix("mine\n0\n"), "\(text)")
    for (name, user, group) in [
      ("made", 0, 0), ("d", 1000, 1001), ("d/f", 1000, 1001), ("d/h", 1000, 1001), ("l", 0, 0),
    ] {
      let attributes = try FileManager.default.attributesOfItem(atPath: bundle + "/scratch/u/tmp/" + name)
      #expect(
        attributes[.ownerAccountID] as? Int == user && attributes[.groupOwnerAccountID] as? Int == group, "\(name)")
    }
    #expect(!FileManager.default.fileExists(atPath: bundle + "/rootfs/bin/tty"))
    #expect(try oci.run("exec", id, "sh", "-c", "echo x > /run/x && cat /run/x").output == "x\n")
    let sentry = Int32(try #require(try oci.run("state", id).json["pid"] as? Int))
    let all = [sentry] + ProcessTable.descendants(of: sentry)
    #expect(all.count >= 3)
    for pid in all {
      // Above every id that machines give out: nobody else's.
      for key in ["Uid", "Gid"] { #expect(try Self.ids(pid, key).allSatisfy { $0 >= 0x2000_0000 }, "\(pid)") }
    }
    #expect(try oci.run("delete", "--force", id).status == 0)
    let mounts = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
    #expect(mounts.components(separatedBy: bundle).count == 3, "the two that this test made")
  }

  /// The filter of a process as the kernel keeps it (ptrace(2), PTRACE_SECCOMP_GET_FILTER), in hexadecimal.
  private static func filter(of pid: Int32) throws -> String {
    let script = """
      import ctypes, os, signal
      trace = ctypes.CDLL(None, use_errno=True).ptrace
      trace.argtypes = [ctypes.c_long] * 2 + [ctypes.c_void_p] * 2
      if trace(0x4206, \(pid), None, None): raise OSError(ctypes.get_errno(), 'PTRACE_SEIZE')
      if trace(0x4207, \(pid), None, None): raise OSError(ctypes.get_errno(), 'PTRACE_INTERRUPT')
      os.waitpid(\(pid), 0x40000000)
      size = trace(0x420c, \(pid), None, None)
      if size < 0: raise OSError(ctypes.get_errno(), 'PTRACE_SECCOMP_GET_FILTER')
      code = ctypes.create_string_buffer(size * 8)
      trace(0x420c, \(pid), None, code)
      print(code.raw.hex())
      """
    let result = try OCI.command(["python3", "-c", script])
    #expect(result.status == 0, "\(result.error)")
    return result.output
  }

  @Test("the annotation dev.immure.syscalls chooses the filter over the guests; a word that is none is refused by name")
  func systemCalls() throws {
    let oci = try OCI(name: OCI.sentry)
    func filter(_ word: String?) throws -> String {
      let id = oci.newID()
      // One that asks for nothing can be stopped by a tracer.
      let bundle = try oci.bundle(["sh", "-c", "echo on; while :; do :; done"]) {
        if let word { $0["annotations"] = ["dev.immure.syscalls": word] }
      }
      let output = try oci.create(id, bundle)
      #expect(try oci.run("start", id).status == 0)
      #expect(try OCI.text(of: output) == "on\n")
      let sentry = Int32(try #require(try oci.run("state", id).json["pid"] as? Int))
      let filter = try Self.filter(of: try #require(ProcessTable.descendants(of: sentry).last))
      #expect(try oci.run("delete", "--force", id).status == 0)
      return filter
    }
    let plain = try filter(nil)
    #expect(plain.count > 100)
    #expect(try filter("native-harmless") == plain)
    #expect(try filter("strict") != plain)
    let wrong = try oci.bundle(["true"]) { $0["annotations"] = ["dev.immure.syscalls": "lax"] }
    let refused = try oci.run("run", "--bundle", wrong, oci.newID())
    #expect(refused.status == 1 && refused.error.contains("annotation dev.immure.syscalls"), "\(refused.error)")
  }

  @Test("a sentry that is killed leaves no process, mount or control group, and delete takes the rest")
  func killed() throws {
    let oci = try OCI(name: OCI.sentry)
    let id = oci.newID()
    let bundle = try oci.bundle([
      "sh", "-c", "busybox setsid sleep 1000 & busybox setsid sh -c 'while :; do :; done' & echo on; exec sleep 1000",
    ]) {
      var linux = $0["linux"] as? [String: Any] ?? [:]
      linux["cgroupsPath"] = "/" + id
      linux["resources"] = ["memory": ["limit": 64 << 20], "pids": ["limit": 50]]
      $0["linux"] = linux
    }
    let output = try oci.create(id, bundle)
    #expect(try oci.run("start", id).status == 0)
    #expect(try OCI.text(of: output) == "on\n")
    #expect(try oci.run("exec", "--detach", id, "sleep", "1000").status == 0)
    let sentry = Int32(try #require(try oci.run("state", id).json["pid"] as? Int))
    let members = ProcessTable.descendants(of: sentry)
    #expect(members.count >= 5, "keeper, program, two of its own, the further one")
    #expect(kill(sentry, SIGKILL) == 0)
    try oci.wait(id, "stopped")
    let deadline = Date(timeIntervalSinceNow: 120)
    while members.contains(where: { ProcessTable.lives($0) }), Date() < deadline { usleep(20_000) }
    for pid in members { #expect(!ProcessTable.lives(pid)) }
    #expect(!(try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)).contains(bundle))
    #expect(try oci.run("delete", id).status == 0)
    #expect(try oci.run("list", "-q").output == "")
    let left = try OCI.command(["find", "/sys/fs/cgroup", "-type", "d", "-name", id])
    #expect(left.output == "")
    #expect(try FileManager.default.contentsOfDirectory(atPath: oci.path + "/state").allSatisfy { $0 != id })
  }
}
