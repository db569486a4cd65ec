import ChildProcesses
import Foundation
import Testing

/// CVE-2019-19921, 2021-30465, 2023-27561, 2024-45310: somebody who can write a root filesystem (another container with the same volume)
/// exchanges a folder for a link while a container is made in it.
@Suite("Races in the root filesystem", .enabled(if: Rig.canRun, Rig.whyNot), .timeLimit(.minutes(60)))
struct RaceTests {
  /// A thread exchanges `/a/b` with a link to a folder of the host's, thousands of times a second, while mounts are made at `/a/b/…`: in
  /// that folder nothing may be made, and what the container sees at the end is its own.
  /// Shown: with plain openat(2) in BoxRoot.find the host's folder has mount points in it within forty rounds.
  @Test("a folder exchanged for a link to the host")
  func exchanged() throws {
    let rig = try Rig()
    let outside = rig.path + "/outside"
    try FileManager.default.createDirectory(atPath: outside + "/in", withIntermediateDirectories: true)
    let source = rig.path + "/source"
    try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
    try "volume".write(toFile: source + "/mark", atomically: false, encoding: .utf8)
    let bundle = try rig.bundle(["sh", "-c", "cat /a/b/volume/mark; ls -d /a/b/outside /canary 2>/dev/null"]) {
      $0.mount("/a/b/volume", "bind", source, ["bind"])
      $0.mount("/a/b/in/tmpfs", "tmpfs", "tmpfs", ["size=64k"])
      $0.mount("/a/b/file", "bind", source + "/mark", ["bind"])
    }
    try "canary".write(toFile: outside + "/canary", atomically: false, encoding: .utf8)
    let root = bundle + "/rootfs"
    try FileManager.default.createDirectory(atPath: root + "/a/b/in", withIntermediateDirectories: true)
    // Resolved within the root this is a folder that is not there; resolved by a careless runtime it is the host's.
    try FileManager.default.createSymbolicLink(atPath: root + "/a/c", withDestinationPath: outside)
    let stop = rig.path + "/stop"
    let racer = try rig.helper([rig.attack, "swap", root + "/a/b", root + "/a/c", stop], output: rig.path + "/swaps")
    #expect(try Rig.text(of: rig.path + "/swaps", with: "ready").contains("ready"))
    var met = 0
    for round in 0..<(Rig.isWhole ? 3000 : 40) {
      let result = try rig.run("run", "--bundle", bundle, rig.newID("race\(round)"))
      // That it fails when the ground moves is right; that it says so in one line, too.
      if result.status == 0 || result.output == "volume" { met += 1 }
      #expect(["volume", ""].contains(result.output), "\(result.output)")
      #expect(result.status == 0 || result.error.split(separator: "\n").count <= 2, "\(result.error)")
      let made = try FileManager.default.contentsOfDirectory(atPath: outside).sorted()
      try #require(made == ["canary", "in"], "made on the host in round \(round): \(made)")
      try #require(try FileManager.default.contentsOfDirectory(atPath: outside + "/in") == [])
    }
    _ = FileManager.default.createFile(atPath: stop, contents: nil)
    #expect(Rig.eventually { racer.hasEnded })
    let mounts = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
    #expect(!mounts.contains(rig.path), "a mount came to the host")
  }

  /// The kernel's own file systems are never sent elsewhere: `/proc`, `/sys`, `/dev` as links, and below `/dev`.
  /// Shown: with plain openat(2) in BoxRoot.find the container runs, with /sys and /dev where the link says.
  @Test("links at the places of the kernel's file systems", arguments: ["proc", "sys", "dev"])
  func links(_ name: String) throws {
    let rig = try Rig()
    let outside = rig.path + "/outside"
    try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
    for target in [outside, "/tmp", "../../../../../.." + outside] {
      let bundle = try rig.bundle(["ls", "/tmp"])
      let place = bundle + "/rootfs/" + name
      try FileManager.default.removeItem(atPath: place)
      try FileManager.default.createSymbolicLink(atPath: place, withDestinationPath: target)
      let result = try rig.run("run", "--bundle", bundle, rig.newID())
      #expect(result.status == 1 && result.output == "", "\(result.output)")
      #expect(result.error.contains("/\(name)"), "\(result.error)")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: outside) == [])
  }

  /// CVE-2021-29136's class: a layer that made the root filesystem itself a link. What it leads to would be the container's root.
  /// Shown: before links were refused in RuntimeBundle.root and HostTrees.open the container ran, with the host's own root for "/".
  @Test("the root filesystem is a link")
  func rootIsLink() throws {
    let rig = try Rig()
    let bundle = try rig.bundle(["/bin/true"])
    let real = rig.path + "/real"
    try FileManager.default.moveItem(atPath: bundle + "/rootfs", toPath: real)
    for target in [real, "/", "../real"] {
      try FileManager.default.createSymbolicLink(atPath: bundle + "/rootfs", withDestinationPath: target)
      let result = try rig.run("run", "--bundle", bundle, rig.newID())
      #expect(result.status == 1, "its root was \(target)")
      #expect(result.error.contains("symbolic link"), "\(result.error)")
      try FileManager.default.removeItem(atPath: bundle + "/rootfs")
    }
  }
}
