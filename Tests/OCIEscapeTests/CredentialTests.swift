import ChildProcesses
import Foundation
import Testing

/// What a container must not get of its caller's: groups, capabilities, keys, a terminal, sockets.
@Suite("Credentials", .enabled(if: Rig.canRun, Rig.whyNot), .timeLimit(.minutes(60)))
struct CredentialTests {
  /// A container that waits, and a program run in it; beside the same program as a container's first.
  private func both(_ rig: Rig, _ prefix: [String], _ program: [String]) throws -> [Rig.Result] {
    let id = rig.newID()
    _ = try rig.begin(id, try rig.bundle(["/attack", "wait"]))
    return [
      try Rig.command(prefix + rig.words(["run", "--bundle", try rig.bundle(program), rig.newID()])),
      try Rig.command(prefix + rig.words(["exec", id] + program)),
    ]
  }

  /// Shown: with `setGroups` taken out of Confinement.becomeUser the caller's are there.
  @Test("the caller's supplementary groups stay outside")
  func groups() throws {
    let rig = try Rig()
    for result in try both(rig, ["/usr/bin/setpriv", "--groups", "4,27,42"], ["id", "-G"]) {
      #expect(result.output == "0\n", "\(result.output)\(result.error)")
    }
  }

  /// CVE-2022-29162, CVE-2022-27650. The caller has inheritable ones; the configuration has none.
  /// Shown: with `inheritable: wanted.inheritable` made `held.inheritable` in Confinement.setCapabilities CapInh is the caller's.
  @Test("inheritable and ambient capabilities are what the configuration says: none")
  func inheritable() throws {
    let rig = try Rig()
    for result in try both(
      rig, ["/usr/bin/setpriv", "--inh-caps", "+chown,+kill,+net_bind_service"],
      ["grep", "-E", "Cap(Inh|Amb|Bnd|Prm|Eff)", "/proc/self/status"])
    {
      // AUDIT_WRITE, KILL, NET_BIND_SERVICE: bits 29, 5 and 10.
      let wanted = ["CapInh": "0000000000000000", "CapPrm": "0000000020000420", "CapEff": "0000000020000420"]
        .merging(["CapBnd": "0000000020000420", "CapAmb": "0000000000000000"]) { one, _ in one }
      for (name, value) in wanted {
        #expect(result.output.contains("\(name):\t\(value)\n"), "\(result.output)\(result.error)")
      }
    }
  }

  /// exec --cap gives no inheritable one either.
  @Test("exec --cap adds to no inheritable set")
  func added() throws {
    let rig = try Rig()
    let id = rig.newID()
    _ = try rig.begin(id, try rig.bundle(["/attack", "wait"]))
    let result = try rig.run(
      "exec", "--cap", "CAP_CHOWN", id, "grep", "-E", "CapInh|CapAmb|CapEff", "/proc/self/status")
    #expect(
      result.output.contains("CapInh:\t0000000000000000\n") && result.output.contains("CapAmb:\t0000000000000000\n"))
    #expect(result.output.contains("CapEff:\t0000000020000421\n"), "\(result.output)\(result.error)")
  }

  /// CVE-2026-30892's class: who "1000" or "root" is, is not looked up anywhere; what is no number is refused.
  /// Shown: with the digits' check taken out of ExecutedConfiguration.number "+0" is root.
  @Test("exec -u takes numbers only")
  func users() throws {
    let rig = try Rig()
    let id = rig.newID()
    let bundle = try rig.bundle(["/attack", "wait"])
    // Were this file asked, everybody would be root.
    let entries = "1000:x:0:0::/:/bin/sh\nnobody:x:0:0::/:/bin/sh\n+0:x:0:0::/:/bin/sh\n"
    try entries.write(toFile: bundle + "/rootfs/etc/passwd", atomically: false, encoding: .utf8)
    try "1000:x:0:\n".write(toFile: bundle + "/rootfs/etc/group", atomically: false, encoding: .utf8)
    _ = try rig.begin(id, bundle)
    let bad = [
      "nobody", "", ":", "1000:", ":0", "+0", "-1", " 1000", "1000 ", "0x10", "1e3", "4294967295", "4294967296",
      "99999999999999999999",
      "1000:nobody", "1000:-1", "1000:1000:0", "１０",
    ]
    for word in bad {
      let result = try rig.run("exec", "--user", word, id, "id", "-u")
      #expect(result.status == 255 && result.output == "", "\"\(word)\": \(result.output)")
      #expect(result.error.split(separator: "\n").count == 1, "\(result.error)")
    }
    for (word, ids) in [
      ("1000", "1000 0\n"), ("1000:1001", "1000 1001\n"), ("0", "0 0\n"), ("4294967294:1", "4294967294 1\n"),
    ] {
      let result = try rig.run("exec", "--user", word, id, "sh", "-c", "echo $(id -u) $(id -g)")
      #expect(result.output == ids, "\"\(word)\": \(result.output)\(result.error)")
    }
  }

  /// Shown: with `plan.keyring` false the secret is read.
  @Test("a session keyring of its own")
  func keyring() throws {
    let rig = try Rig()
    let name = "canary-\(UUID().uuidString.prefix(8))"
    // Without the box the key is found: the probe can tell.
    let control = try Rig.command([rig.attack, "keyed", name, rig.attack, "key", name])
    #expect(control.output.contains("ESCAPED key secret"), "\(control.output)")
    for result in try both(rig, [rig.attack, "keyed", name], ["/attack", "key", name]) {
      #expect(result.status == 0 && result.output.contains("session"), "\(result.error)")
      #expect(!result.output.contains("ESCAPED"), "\(result.output)")
    }
  }

  /// CVE-2017-5226. The container has the caller's terminal as its standard input, but is in no session of it, and has no CAP_SYS_ADMIN.
  /// Shown: with setsid(2) taken out of StandardStreams.beginSession a letter is typed.
  @Test("the caller's terminal is not typed into")
  func terminal() throws {
    let rig = try Rig()
    let id = rig.newID()
    _ = try rig.begin(id, try rig.bundle(["/attack", "wait"]))
    let bundle = try rig.bundle(["/attack", "type"])
    for words in [["run", "--bundle", bundle, rig.newID()], ["exec", id, "/attack", "type"]] {
      let line = rig.words(words).joined(separator: " ")
      let result = try Rig.command(["/usr/bin/script", "-qec", line, "/dev/null"], input: .silence, seconds: 120)
      #expect(result.output.contains("refused") && !result.output.contains("ESCAPED"), "\(result.output)")
    }
    let control = try Rig.command(
      ["/usr/bin/script", "-qec", rig.attack + " type", "/dev/null"], input: .silence, seconds: 120)
    #expect(control.output.contains("ESCAPED typed") || control.output.contains("Input/output"), "\(control.output)")
  }

  /// An abstract socket has no path: only the network namespace stands before it. A container that shares the host's reaches every one,
  /// and docs/oci-threats.md says so.
  /// Shown: the second half is the same container without its network namespace.
  @Test("abstract sockets of the host, with and without a network namespace")
  func abstractSockets() throws {
    let rig = try Rig()
    let name = "immure-\(UUID().uuidString.prefix(8))"
    _ = try rig.helper([rig.attack, "listen", name, "60"], output: rig.path + "/listener")
    #expect(try Rig.text(of: rig.path + "/listener", with: "listening").contains("listening"))
    let own = try rig.box(["/attack", "abstract", name])
    #expect(own.output.contains("refused") && !own.output.contains("ESCAPED"), "\(own.output)\(own.error)")
    let shared = try rig.box(["/attack", "abstract", name]) { configuration in
      configuration.change("linux") { linux in
        linux["namespaces"] = (linux["namespaces"] as? [[String: Any]])?.filter { $0["type"] as? String != "network" }
      }
    }
    #expect(shared.output.contains("ESCAPED"), "\(shared.output)\(shared.error)")
  }
}
