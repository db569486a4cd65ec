import ChildProcesses
import Foundation
import Linux
import Testing

/// What the host holds for a sandbox behind the sentry: control groups, processes, mounts and files, and that all of it goes.
@Suite(.enabled(if: Immure.isRoot && Immure.isBuilt, Immure.whyNot))
struct SentryGroupTests {
  private static let eater = "perl -e '$x = \"a\" x (256 << 20)'"

  /// The folder of the group that counts a process's memory.
  private static func group(of pid: Int32) throws -> String {
    let layout = CgroupLayout.detect()
    let own = try CgroupMembership.of(pid: pid)
    if layout.mode == .unified { return layout.mountPoint + (own.unified ?? "/") }
    return layout.mountPoint + "/memory" + (own.legacy["memory"] ?? "/")
  }
  private static func number(_ path: String) -> Int {
    Int((try? String(contentsOfFile: path, encoding: .utf8))?.filter { $0 != "\n" } ?? "") ?? -1
  }
  /// How often memory ran out in that very group.
  private static func kills(_ group: String) -> Int {
    let files = ["/memory.events.local", "/memory.oom_control"]
    for file in files {
      for line in ((try? String(contentsOfFile: group + file, encoding: .utf8)) ?? "").split(separator: "\n") {
        let words = line.split(separator: " ")
        if words.first == "oom_kill" { return Int(words[1]) ?? -1 }
      }
    }
    return -1
  }
  private static func eventually(_ what: String, _ isSo: () throws -> Bool) throws {
    let deadline = Date(timeIntervalSinceNow: 120)
    while try !isSo() {
      try #require(Date() < deadline, "not after 120 seconds: \(what)")
      usleep(20_000)
    }
  }
  /// The sentry, its keeper, the program and others.
  private static func pids(_ immure: Immure) throws -> [Int32] {
    let top = try immure("top", "a")
    return top.output.split(separator: "\n").dropFirst().compactMap {
      $0.split(separator: " ").first.flatMap { Int32($0) }
    }
  }

  private static let canMakeGroups = Cgroup.canMake(.memory)

  @Test(
    "memory of guests and sentry apart: who runs out of it is looked for among the guests alone, and the rest lives on",
    .enabled(if: canMakeGroups, "wants a control group for memory"))
  func apart() throws {
    let immure = Immure()
    let begun = try immure(
      "run", "-d", "--wall", "sentry", "--name", "a", "--memory", "64m", "--", "sh", "-c",
      "\(Self.eater); echo lived with $?; exec sleep 1000")
    try #require(begun.status == 0, "\(begun.error)")
    try Self.eventually("the eater was ended") { try immure("logs", "a").output == "lived with 137\n" }
    let pids = try Self.pids(immure)
    try #require(pids.count == 3, "\(pids)")
    let isUnified = CgroupLayout.detect().mode == .unified
    let own = try Self.group(of: pids[0])
    let whole = isUnified ? String(own.dropLast("/sentry".count)) : own
    let guests = whole + "/guests"
    #expect(own == (isUnified ? whole + "/sentry" : whole))
    for pid in pids.dropFirst() { #expect(try Self.group(of: pid) == guests) }
    let file = isUnified ? "/memory.max" : "/memory.limit_in_bytes"
    #expect(Self.number(whole + file) == 64 << 20 && Self.number(guests + file) == 56 << 20)
    // The kernel counts a kill where its victim stood, and none was sought outside.
    #expect(Self.kills(guests) == 1 && Self.kills(whole) == 0 && Self.kills(own) == 0)
    // Both count in the sandbox's own.
    let use = isUnified ? "/memory.current" : "/memory.usage_in_bytes"
    #expect(Self.number(whole + use) >= Self.number(guests + use))
    #expect(try immure("exec", "a", "sh", "-c", "exec " + Self.eater).status == 137)
    #expect(Self.kills(guests) == 2 && Self.kills(whole) == 0)
    #expect(try immure("exec", "a", "echo", "alive").output == "alive\n")
    #expect(try immure("pause", "a").status == 0 && immure("resume", "a").status == 0)
    #expect(try immure("exec", "a", "echo", "alive").output == "alive\n")
    #expect(try immure("rm", "-f", "a").status == 0)
    #expect(!FileManager.default.fileExists(atPath: whole))
    let killed = try immure(
      "run", "--wall", "sentry", "--name", "b", "--memory", "64m", "--", "sh", "-c", "exec \(Self.eater)")
    #expect(killed.status == 137 && killed.error.contains("memory limit 64 MiB"), "\(killed.status) \(killed.error)")
    #expect(try immure("inspect", "b").output.contains("\"killedBy\": \"memory\""))
  }

  @Test("a sentry that is killed leaves no process, mount, control group or file")
  func killed() throws {
    let immure = Immure()
    let volume = immure.root.path + "/volume"
    try FileManager.default.createDirectory(atPath: volume, withIntermediateDirectories: true)
    let begun = try immure(
      "run", "-d", "--wall", "sentry", "--name", "a", "--memory", "64m", "-v", volume + ":/tmp/v", "--", "sh", "-c",
      "setsid sleep 1000 & setsid sh -c 'trap \"\" TERM HUP INT; while :; do :; done' & echo ready; exec sleep 1000")
    try #require(begun.status == 0, "\(begun.error)")
    try Self.eventually("the program runs") { try immure("logs", "a").output == "ready\n" }
    let further = try Child(
      [Immure.path, "--root", immure.root.path, "exec", "a", "sleep", "1000"], environment: [:],
      input: .path("/dev/null"),
      output: immure.root.path + "/further.out", error: immure.root.path + "/further.err")
    try Self.eventually("the further one runs") { try Self.pids(immure).count == 6 }
    let pids = try Self.pids(immure)
    let group = try Self.group(of: pids[0])
    let folder = immure.root.path + "/sandboxes"
    #expect(kill(pids[0], SIGKILL) == 0)
    #expect(try immure("wait", "a").output == "137\n")
    #expect(further.wait() == 137)
    try Self.eventually("every process has ended") { pids.allSatisfy { !ProcessTable.lives($0) } }
    if Self.canMakeGroups { #expect(!FileManager.default.fileExists(atPath: group)) }
    let mounts = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
    #expect(!mounts.contains(immure.root.path))
    #expect(try immure("ps", "-q").output == "")
    #expect(try immure("rm", "a").status == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    #expect(try FileManager.default.contentsOfDirectory(atPath: volume) == [])
  }
}
