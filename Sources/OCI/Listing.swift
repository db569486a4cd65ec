import CLinux
import Formats
import Linux
import Options
import Walls

/// `state` and `list`.
enum Listing {
  static func state(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) {
    let container = try RuntimeContainer.require(command.operands[0], session)
    Output.print(container.state(try container.status()), indented: true)
  }

  static func list(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) {
    let ids: [String]
    do throws(WallError) { ids = try session.store.ids() } catch { throw RuntimeFailure(error) }
    var states: [JSONValue] = []
    for id in ids {
      // One that is deleted just now, or was half made when its command was killed, is none.
      guard let record = try? session.store.load(id) else { continue }
      let container = RuntimeContainer(
        id: record.details[RuntimeContainer.Detail.id] ?? id, record: record, session: session)
      states.append(container.state(try container.status()))
    }
    if command.flag("quiet") {
      for state in states { Output.write(text(state, "id") + "\n") }
      return
    }
    switch command.value("format") ?? "table" {
    case "json": Output.print(states.isEmpty ? .null : .array(states))
    case "table": Output.write(table(states))
    case let other: throw RuntimeFailure("invalid format option: \"\(FormatError.presentable(other))\": table or json")
    }
  }

  private static func text(_ state: JSONValue, _ key: String) -> String {
    switch state[key] {
    case .string(let text): text
    case .integer(let number): "\(number)"
    default: ""
    }
  }

  private static func table(_ states: [JSONValue]) -> String {
    let keys = ["id", "pid", "status", "bundle", "created", "owner"]
    return TextTable.make([keys.map { $0.uppercased() }] + states.map { state in keys.map { text(state, $0) } })
  }
}

/// Columns as wide as their longest word.
enum TextTable {
  static func make(_ rows: [[String]]) -> String {
    var widths: [Int] = []
    for row in rows {
      for (column, word) in row.enumerated() {
        if column == widths.count { widths.append(0) }
        widths[column] = max(widths[column], word.utf8.count)
      }
    }
    var text = ""
    for row in rows {
      for (column, word) in row.enumerated() {
        let isLast = column == row.count - 1
        text += isLast ? word : word + String(repeating: " ", count: widths[column] - word.utf8.count + 2)
      }
      text += "\n"
    }
    return text
  }
}
