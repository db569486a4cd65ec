import ChildProcesses
import Foundation
import Testing

/// kill -9 at each system call of a verb: whatever was half done, `delete --force` clears it, and nothing is left on the machine.
@Suite("Killed at any system call", .enabled(if: Rig.canRun, Rig.whyNot), .timeLimit(.minutes(60)))
struct KillWalkTests {
  /// What one walked verb made of it.
  struct Report {
    let calls: Int
    let wasKilled: Bool
    let status: Int
    init(_ path: String) throws {
      let fields = try String(contentsOfFile: path, encoding: .utf8).split(separator: " ").map {
        Int($0.filter { $0 != "\n" }) ?? -1
      }
      try #require(fields.count == 4)
      (calls, wasKilled, status) = (fields[0], fields[2] == 1, fields[3])
    }
  }

  /// Runs a verb under the walker of attack.c, which kills at its Nth call.
  static func walk(_ rig: Rig, at call: Int, victim: String, _ words: [String]) throws -> Report {
    let report = rig.path + "/report"
    let script = "exec \"$@\" > '\(rig.path)/walked' 2>&1 < /dev/null"
    let command = [rig.attack, "walk", "\(call)", victim, report] + rig.words(words)
    _ = try Rig.command(["/bin/sh", "-c", script, "x"] + command)
    return try Report(report)
  }

  /// Every point where there is time, else some that another run of the tests may miss: the seed is printed, and can be given.
  private func points(upTo count: Int, _ verb: String, _ samples: Int) -> [Int] {
    if Rig.isWhole { return Array(1...count) }
    let given = ProcessInfo.processInfo.environment["IMMURE_TEST_SEED"].flatMap { UInt64($0) }
    var state = given ?? UInt64.random(in: 1...UInt64(UInt32.max))
    print("killed at system calls of \(verb): IMMURE_TEST_SEED=\(state)")
    // The first and the last are always among them.
    var points = [1, count]
    while points.count < samples {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      points.append(1 + Int((state >> 33) % UInt64(count)))
    }
    return points
  }

  /// `maker` dies in the middle of its own work, be it the command or the process that builds the container; `command` dies while the
  /// other works on.
  @Test("create, start, exec and delete", arguments: ["create", "start", "exec", "delete"], ["maker", "command"])
  func killed(_ verb: String, _ victim: String) throws { try walkThrough(verb, victim, try Rig()) }

  /// Its maker, which builds and then is the kernel that serves the container, ends with the command or waits to be started, as the others'.
  @Test("the same behind the sentry", arguments: ["create", "start", "exec", "delete"])
  func killedBehindTheSentry(_ verb: String) throws {
    try walkThrough(verb, "command", try Rig(name: "immure-sentry"))
  }

  private func walkThrough(_ verb: String, _ victim: String, _ rig: Rig) throws {
    let state = rig.path + "/state"
    let bundle = try rig.bundle(["/attack", "wait"]) { configuration in
      configuration.change("linux") { $0.change("resources") { $0["pids"] = ["limit": 100] } }
    }
    func prepare(_ id: String) throws -> [String] {
      switch verb {
      case "create": return ["create", "--bundle", bundle, id]
      case "start":
        _ = try rig.create(id, bundle)
        return ["start", id]
      case "exec":
        _ = try rig.begin(id, bundle)
        return ["exec", "--detach", id, "/attack", "wait"]
      default:
        _ = try rig.begin(id, bundle)
        return ["delete", "--force", id]
      }
    }
    // One that nobody kills: how many calls there are.
    let whole = rig.newID("whole")
    let calls = try Self.walk(rig, at: 0, victim: victim, try prepare(whole)).calls
    #expect(calls > 20)
    #expect(try rig.run("delete", "--force", whole).status == 0)
    for point in points(upTo: calls, verb, 4) {
      let id = rig.newID("k\(point)")
      let report = try Self.walk(rig, at: point, victim: victim, try prepare(id))
      // The last calls are not met when the verb took fewer this time.
      #expect(report.wasKilled || report.calls < point)
      if verb == "start", try rig.status(id) == "created" {
        // It is not lost: the next one starts it. One that was killed after it had said so may have the program run only now: then it
        // is that one's.
        let started = try rig.run("start", id)
        let isRunning = try rig.status(id) == "running"
        #expect(
          isRunning && (started.status == 0 || started.error.contains("already")),
          "start killed at call \(point) of \(calls): start: \(started.error)")
      }
      // Other verbs bear it, too.
      let listed = try rig.run("list")
      #expect(listed.status == 0, "\(verb) killed at call \(point) of \(calls): list: \(listed.error)")
      let deleted = try rig.run("delete", "--force", id)
      #expect(deleted.status == 0, "\(verb) killed at call \(point) of \(calls): \(deleted.error)")
      var left = Leftovers.none
      let isClear = Rig.eventually {
        left = Leftovers(of: id, bundle: bundle, state: state)
        return left == .none
      }
      try #require(isClear, "\(verb) killed at call \(point) of \(calls) (\(victim)) left \(left)")
      // The id can be used again.
      if point == calls || Rig.isWhole && point % 16 == 0 {
        _ = try rig.create(id, bundle)
        #expect(try rig.run("delete", "--force", id).status == 0)
      }
    }
  }
}
