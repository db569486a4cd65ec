import ChildProcesses
import Foundation
import Testing

/// The life of sandboxes as names, records, listings and signals tell it.
@Suite(.enabled(if: Caller.canBeAnybody, Caller.whyNotAnybody), .timeLimit(.minutes(60)))
struct LifecycleTests {
  @Test(
    arguments: contractWalls.flatMap { wall in
      [Caller.root, .user].flatMap { caller in
        Operation.lifecycle.map { Cell(wall: wall, caller: caller, operation: $0) }
      }
    })
  func itGoesAsSaid(cell: Cell) throws {
    let station = try Station(cell.caller)
    let operation = cell.operation
    let result = try station.script(operation.script, wall: cell.wall, seconds: 120)
    let story: Comment =
      "status \(result.status), said: \(result.error.suffix(800)), printed: \(result.output.suffix(800))"
    #expect(result.status == operation.status, story)
    if let output = operation.output { #expect(result.output == output, story) }
    #expect(operation.says.isEmpty || result.error.contains(operation.says), story)
    if operation.ends {
      let left = try station.leftovers().filter { !$0.hasPrefix("sandbox:") }
      #expect(left == [], "\(left) \(story)")
    }
    #expect(try station.close() == [])
  }

  @Test(arguments: contractWalls)
  func aCallerThatIgnoresTheEndOfChildren(wall: String) throws {
    let station = try Station(.root)
    let script = """
      deaf() { env --ignore-signal=CHLD "$B" --root "$R" "$@"; }
      deaf run --rm --wall $W -- sh -c 'exit 3'; echo $?
      deaf run -d --name a --wall $W -- sleep 1$M >&2
      [ $W = jail ] || deaf exec a sh -c 'exit 4'; echo $?
      deaf rm -f a
      """
    let result = try station.script(script, wall: wall)
    #expect(result.output == "3\n\(wall == "jail" ? 0 : 4)\na\n", "\(result.error)")
    #expect(try station.close() == [])
  }

  @Test(arguments: contractWalls)
  func everyListingIsJSON(wall: String) throws {
    let station = try Station(.root)
    _ = try station.script("box -d --name a -- sleep 1$M; box --name b -- sh -c 'exit 3'", wall: wall)
    func json(_ command: String) throws -> Any {
      let result = try station.script("immure " + command)
      #expect(result.status == 0, "\(command): \(result.error)")
      return try JSONSerialization.jsonObject(with: Data(result.output.utf8))
    }
    let listed = try #require(try json("ps -a --format json") as? [[String: Any]])
    #expect(Set(listed.compactMap { $0["name"] as? String }) == ["a", "b"])
    let running = try #require(listed.first { $0["name"] as? String == "a" })
    #expect(running["status"] as? String == "running")
    #expect(running["wall"] as? String == wall)
    let pid = try #require(running["pid"] as? Int)
    #expect(FileManager.default.fileExists(atPath: "/proc/\(pid)"))
    let ended = try #require(listed.first { $0["name"] as? String == "b" })
    #expect(ended["exitCode"] as? Int == 3)
    #expect(ended["pid"] is NSNull)

    let inspected = try #require((try json("inspect a b") as? [[String: Any]]))
    #expect(inspected.count == 2)
    let rules = try #require(inspected[0]["policy"] as? [[String: Any]])
    #expect(rules.contains { $0["rule"] as? String == "limits.memory" })
    #expect(rules.allSatisfy { ["enforced", "weaker", "unenforced"].contains($0["verdict"] as? String ?? "") })

    let stats = try #require(try json("stats --format json a") as? [[String: Any]])
    #expect((stats.first?["processes"] as? Int ?? 0) >= 1)
    let top = try #require(try json("top --format json a") as? [[String: Any]])
    #expect(top.contains { "\($0)".contains(station.mark) })
    let doctor = try #require(try json("doctor --format json") as? [String: Any])
    #expect((doctor["walls"] as? [[String: Any]])?.contains { $0["wall"] as? String == wall } == true)
    _ = try json("policy explain --format json")
    _ = try json("workspace list --format json")
    #expect(try station.close() == [])
  }

  /// immure is killed at moments spread over the whole of a run: whatever it had made by then, the next commands clear it.
  @Test(arguments: contractWalls, ["", "-d"])
  func killedAtAnyMomentNothingStays(wall: String, detach: String) throws {
    let station = try Station(.root)
    var random = SeededGenerator(seed: Seed.value)
    for _ in 0..<12 {
      let milliseconds = Int.random(in: 1...(wall == "jail" ? 160 : 120), using: &random)
      let result = try station.script(
        """
        timeout --foreground -s KILL 0.\(String(milliseconds + 1000).dropFirst()) "$B" --root "$R" run \(detach) --wall "$W" -- \\
          sh -c 'setsid sleep 1$0 & sleep 1$0' $M > /dev/null 2>&1
        immure ps -a > /dev/null || echo ps failed
        immure prune > /dev/null || echo prune failed
        immure rm -f --all > /dev/null || echo rm failed
        immure ps -aq
        """, wall: wall)
      #expect(result.output == "", "killed after \(milliseconds) ms; seed \(Seed.value): \(result.error)")
      #expect(try station.leftovers() == [], "killed after \(milliseconds) ms; seed \(Seed.value)")
    }
    #expect(try station.close() == [])
  }

  @Test(arguments: contractWalls)
  func aKilledMonitorIsTold(wall: String) throws {
    let station = try Station(.root)
    let result = try station.script(
      """
      box -d --name a -- sleep 1$M > /dev/null
      m=$(immure inspect a | sed -n 's/.*"supervisorPid": \\([0-9]*\\).*/\\1/p'); kill -KILL $m
      while kill -0 $m 2> /dev/null; do :; done
      immure ps -a | grep -cE 'unsupervised|interrupted \\(immure was killed\\)'
      immure rm -f a; immure ps -aq
      """, wall: wall)
    #expect(result.output == "1\na\n", "\(result.error)")
    #expect(try station.leftovers() == [])
    #expect(try station.close() == [])
  }
}

/// Random tests tell their seed, and take it back: IMMURE_SEED=… repeats a run.
enum Seed {
  static let value: UInt64 =
    ProcessInfo.processInfo.environment["IMMURE_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
  }
}
