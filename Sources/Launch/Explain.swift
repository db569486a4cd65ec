import Formats
import Linux
import Options
import Policy
import Walls

/// `policy explain` and `doctor`: what this machine holds, and what it lacks.
enum Explain {
  static func policy(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    let json = try Listing.wantsJSON(command)
    let policy = try RunPolicy.make(command, session)
    let walls =
      try command.value("wall").map { word throws(CommandError) in [try session.wall(named: word)] } ?? WallList.all
    if command.flag("calls") { return try calls(walls, policy, json: json) }
    var writer = JSONWriter(indented: true)
    writer.beginArray()
    for wall in walls {
      let candidate = RunPlan.candidate(wall, policy, session)
      let explanation = PolicyExplanation(wall: wall.name, candidate.judged, calls: wall.callCounts(under: policy))
      if json {
        explanation.write(to: &writer)
      } else if !candidate.lacks.isEmpty {
        Output.print("\(wall.name.rawValue): cannot be raised here: \(candidate.lacks.joined(separator: "; "))\n")
      } else {
        Output.print("\(wall.name.rawValue):")
        Output.print(explanation.text())
      }
    }
    writer.endArray()
    if json {
      Output.print(String(decoding: writer.bytes, as: UTF8.self))
    } else if command.value("wall") == nil {
      // What `run` would do with this policy.
      do throws(CommandError) {
        let choice = try RunPlan.choose(command, policy, session)
        Output.print("`immure run` takes the wall \(choice.wall.rawValue)")
      } catch {
        Output.print("`immure run` refuses: \(error.message)")
      }
    }
    return 0
  }

  /// `--calls`: every system call behind the walls that have a kernel of their own.
  private static func calls(_ walls: [any Wall], _ policy: Policy, json: Bool) throws(CommandError) -> Int32 {
    let own = walls.compactMap { wall in wall.calls(under: policy).map { (wall.name.rawValue, $0) } }
    if own.isEmpty {
      throw CommandError(
        1, "policy explain: --calls: the host's kernel answers every call of the wall \(walls[0].name.rawValue)")
    }
    if json {
      let values = own.map { name, calls -> JSONValue in
        ["wall": .string(name), "system_calls": .array(calls.map(value))]
      }
      Output.print(JSONValue.array(values).text(indented: true))
      return 0
    }
    for (name, calls) in own {
      Output.print("\(name):")
      var table = Table(["NUMBER", "CALL", "ANSWER", "BY", "OTHERWISE THAN LINUX"])
      for call in calls {
        table.add([
          "\(call.number)", call.name, call.error.map { "\(call.answer) (\($0))" } ?? call.answer,
          call.servers.joined(separator: ", "), call.difference.isEmpty ? "-" : call.difference,
        ])
      }
      Output.write(1, table.text)
    }
    return 0
  }

  private static func value(_ call: CallEntry) -> JSONValue {
    [
      "number": JSONValue(UInt64(UInt32(bitPattern: call.number))), "name": .string(call.name),
      "answer": .string(call.answer),
      "errno": call.error.map { .string($0) } ?? .null, "by": .array(call.servers.map { .string($0) }),
      "difference": .string(call.difference),
    ]
  }

  static func doctor(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    let json = try Listing.wantsJSON(command)
    var walls: [JSONValue] = []
    var text = "Walls\n"
    for wall in WallList.all {
      switch wall.availability(on: session.host) {
      case .ready(let notes):
        walls.append([
          "wall": .string(wall.name.rawValue), "ready": true, "notes": .array(notes.map { .string($0) }), "lacks": [],
        ])
        text += "  \(wall.name.rawValue): ready\n"
        for note in notes { text += "      \(note)\n" }
      case .missing(let lacks):
        walls.append([
          "wall": .string(wall.name.rawValue), "ready": false, "notes": [],
          "lacks": .array(lacks.map { ["what": .string($0.what), "remedy": .string($0.remedy)] }),
        ])
        text += "  \(wall.name.rawValue): cannot be raised\n"
        for lack in lacks { text += "      \(lack.what)\n        -> \(lack.remedy)\n" }
      }
    }
    for name in WallName.allCases where !WallList.all.contains(where: { $0.name == name }) {
      walls.append([
        "wall": .string(name.rawValue), "ready": false, "notes": [],
        "lacks": [["what": "not built yet", "remedy": "use another wall"]],
      ])
      text += "  \(name.rawValue): not built yet\n"
    }
    let facts = Doctor.facts(session)
    text += "\nThis machine\n"
    for fact in facts {
      text += "  \(fact.name): \(fact.found)\n"
      if let remedy = fact.remedy { text += "      -> \(remedy)\n" }
    }
    if json {
      let value: JSONValue = [
        "walls": .array(walls),
        "facts": .array(
          facts.map {
            ["name": .string($0.name), "found": .string($0.found), "remedy": $0.remedy.map { .string($0) } ?? .null]
          }),
      ]
      Output.print(value.text(indented: true))
    } else {
      Output.write(1, text)
    }
    return 0
  }
}
