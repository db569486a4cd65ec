import ChildProcesses
import Foundation
import Testing

/// One row of the contract's table: wall x operation x who asks.
struct Cell: Sendable, CustomTestStringConvertible {
  let wall: String
  let caller: Caller
  let operation: Operation
  var testDescription: String { "\(wall), \(caller.testDescription): \(operation.name)" }

  static let all: [Cell] = contractWalls.flatMap { wall in
    Caller.allCases.flatMap { caller in Operation.all.map { Cell(wall: wall, caller: caller, operation: $0) } }
  }
}

/// The contract that every wall keeps, held from the outside: an operation holds, or the wall is weaker and says so, or it is refused
/// with 125. Which of these `policy explain` and `doctor` tell beforehand.
@Suite(.enabled(if: Caller.canBeAnybody, Caller.whyNotAnybody), .timeLimit(.minutes(60)))
struct ContractTableTests {
  @Test(arguments: Cell.all)
  func theContractHolds(cell: Cell) throws {
    let station = try Station(cell.caller)
    let operation = cell.operation
    do {
      let result = try station.script(operation.script, wall: cell.wall, seconds: 120)
      let story: Comment =
        "status \(result.status), said: \(result.error.suffix(800)), printed: \(result.output.suffix(800))"
      if let rule = operation.rule, try verdict(of: rule, cell, station) != "enforced" {
        #expect(result.error.contains(rule.name), story)
        #expect(result.error.contains("--allow-unenforced \(rule.name)"), story)
        #expect(result.error.contains("(\(rule.options.split(separator: " ")[0]))"), story)
      } else if let words = operation.cannot[cell.wall] {
        #expect(result.error.contains(words), story)
        #expect(result.status != 0, story)
      } else if cell.caller != .root, !operation.cannotWithoutRoot.isEmpty,
        result.error.contains(operation.cannotWithoutRoot)
      {
        // Refused in words, and nothing was done.
        #expect(result.status != 0, story)
      } else {
        #expect(result.status == operation.status, story)
        if let output = operation.output { #expect(result.output == output, story) }
        #expect(operation.says.isEmpty || result.error.contains(operation.says), story)
        if operation.ends { #expect(try station.leftovers().filter { !$0.hasPrefix("sandbox:") } == []) }
      }
    }
    #expect(try station.close() == [])
  }

  @Test("the sentry's strict policy changes nothing of the basics", arguments: Operation.statuses + Operation.streams)
  func strictly(operation: Operation) throws {
    let station = try Station(.root)
    let result = try station.script(
      operation.script, wall: "sentry", options: "--syscalls strict", seconds: 120)
    let story: Comment =
      "status \(result.status), said: \(result.error.suffix(800)), printed: \(result.output.suffix(800))"
    #expect(result.status == operation.status, story)
    if let output = operation.output { #expect(result.output == output, story) }
    #expect(operation.says.isEmpty || result.error.contains(operation.says), story)
    #expect(try station.close() == [])
  }

  /// Refused with 125 before anything is made, where a binding rule cannot be held; with the loss accepted it runs.
  @Test(arguments: contractWalls, Caller.allCases)
  func aRuleThatIsNotHeldIsRefused(wall: String, caller: Caller) throws {
    let station = try Station(caller)
    let rules = [
      "--memory 64m", "--pids 64", "--cpus 0.5", "--file-size 1m", "--open-files 64", "--scratch 1m", "--disk-bps 1m",
      "--timeout 5s", "--output 1m",
    ]
    for options in rules {
      let explained = try station.script("immure policy explain --wall \(wall) --format json \(options)")
      let rows = try #require(
        try JSONSerialization.jsonObject(with: Data(explained.output.utf8)) as? [[String: Any]])
      let all = try #require(rows.first?["rules"] as? [[String: Any]])
      let asked = try #require(all.first { $0["from"] as? String == String(options.split(separator: " ")[0]) })
      let name = try #require(asked["rule"] as? String)
      let holds = asked["verdict"] as? String == "enforced"
      let plain = try station.script("box \(options) -- true", wall: wall)
      #expect(plain.status == (holds ? 0 : 125), "\(options): \(plain.error)")
      if holds { continue }
      #expect(plain.error.split(separator: "\n").count == 1)
      #expect(plain.error.contains(name) && plain.error.contains("--allow-unenforced \(name)"), "\(plain.error)")
      let accepted = try station.script("box \(options) --allow-unenforced \(name) -- true", wall: wall)
      #expect(accepted.status == 0, "\(options): \(accepted.error)")
    }
    #expect(try station.close() == [])
  }

  private func verdict(of rule: (name: String, options: String), _ cell: Cell, _ station: Station) throws -> String {
    let explained = try station.script("immure policy explain --wall \(cell.wall) --format json \(rule.options)")
    let walls = try #require(
      try JSONSerialization.jsonObject(with: Data(explained.output.utf8)) as? [[String: Any]], "\(explained.error)")
    let rules = try #require(walls.first?["rules"] as? [[String: Any]])
    return try #require(rules.first { $0["rule"] as? String == rule.name }?["verdict"] as? String)
  }
}
