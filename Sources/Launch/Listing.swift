import Formats
import Linux
import Options
import Policy
import Walls

/// The verbs that list: sandboxes, what they use, and their processes.
enum Listing {
  /// Whether JSON was asked for.
  static func wantsJSON(_ command: ParsedCommand) throws(CommandError) -> Bool {
    switch command.value("format") {
    case nil, "table": return false
    case "json": return true
    case .some(let other):
      throw CommandError(
        1, "\(command.verb.name): --format \"\(FormatError.presentable(other))\": there are table and json")
    }
  }

  /// Every readable record with what it means now; damaged ones are said.
  static func records(_ session: Session) throws(CommandError) -> [(record: SandboxRecord, condition: SandboxCondition)]
  {
    do throws(WallError) {
      var found: [(record: SandboxRecord, condition: SandboxCondition)] = []
      for id in try session.store.ids() {
        do throws(WallError) {
          found.append(try session.store.look(id, bootID: session.host.bootID))
        } catch {
          // Gone: removed while this command looked. A folder without a record is named by `prune`, which clears it.
          if error.kind != .gone { Output.complain(error.message) }
        }
      }
      return found
    } catch {
      throw CommandError(error)
    }
  }

  static func ps(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    let json = try wantsJSON(command)
    let rows = try records(session).filter { command.flag("all") || $0.condition.isLive }
      .sorted { $0.record.created > $1.record.created }
    if json {
      let values = rows.map { row in Inspect.value(row.record, row.condition, whole: false) }
      Output.print(JSONValue.array(values).text(indented: true))
    } else if command.flag("quiet") {
      for row in rows { Output.print(row.record.id) }
    } else {
      var table = Table(["ID", "NAME", "WALL", "STATUS", "CREATED", "IMAGE", "COMMAND"])
      for (record, condition) in rows {
        table.add([
          record.id, record.name, record.wall.rawValue, status(record, condition), age(record.created),
          record.image.isEmpty ? "-" : record.image, FormatError.presentable(record.command.joined(separator: " ")),
        ])
      }
      Output.write(1, table.text)
    }
    return 0
  }

  /// "running", "exited (137: memory)", "interrupted (the machine was restarted)".
  static func status(_ record: SandboxRecord, _ condition: SandboxCondition) -> String {
    switch condition {
    case .exited:
      return "exited (\(record.exitCode ?? 0)" + (record.killedBy.map { ": \($0.rawValue)" } ?? "") + ")"
    case .interrupted(let why): return "interrupted (\(why))"
    default: return condition.word
    }
  }

  static func age(_ created: Int64) -> String {
    let seconds = max(0, Clock.realTime().seconds - created)
    switch seconds {
    case ..<120: return "\(seconds) seconds ago"
    case ..<7200: return "\(seconds / 60) minutes ago"
    case ..<172_800: return "\(seconds / 3600) hours ago"
    default: return "\(seconds / 86_400) days ago"
    }
  }

  static func stats(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    let json = try wantsJSON(command)
    guard command.flag("no-stream") || !command.operands.isEmpty || json else {
      // One look at every sandbox; a screen that redraws itself belongs to `top` of the terminal.
      return try usage(
        of: try records(session).filter(\.condition.isLive).map(\.record), areNamed: false, json: json, session)
    }
    var chosen: [SandboxRecord] = []
    do throws(WallError) {
      for word in command.operands { chosen.append(try session.record(word)) }
    } catch {
      throw CommandError(error)
    }
    if command.operands.isEmpty { chosen = try records(session).filter(\.condition.isLive).map(\.record) }
    return try usage(of: chosen, areNamed: !command.operands.isEmpty, json: json, session)
  }

  /// One that was not named and has ended since it was listed is left out.
  private static func usage(
    of records: [SandboxRecord], areNamed: Bool, json: Bool, _ session: Session
  ) throws(CommandError) -> Int32 {
    var table = Table(["ID", "NAME", "WALL", "MEMORY", "PEAK", "CPU", "PROCESSES"])
    var values: [JSONValue] = []
    var status: Int32 = 0
    for record in records {
      do throws(WallError) {
        guard record.condition(bootID: session.host.bootID).isLive else {
          throw WallError(.gone, "sandbox \(record.name) does not run")
        }
        guard let measurement = try session.open(record).measurement else {
          throw WallError("the \(record.wall.rawValue) wall cannot measure sandbox \(record.name) here")
        }
        let usage = try measurement.measure()
        func number(_ value: UInt64?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
        values.append([
          "id": .string(record.id), "name": .string(record.name), "wall": .string(record.wall.rawValue),
          "memoryBytes": number(usage.memoryBytes), "memoryPeakBytes": number(usage.memoryPeakBytes),
          "cpuMicroseconds": number(usage.cpuMicroseconds), "processes": number(usage.processes),
        ])
        func size(_ bytes: UInt64?) -> String {
          bytes.map { Quantity.thousandths(($0 * 1000) >> 20) + " MiB" } ?? "-"
        }
        table.add([
          record.id, record.name, record.wall.rawValue, size(usage.memoryBytes), size(usage.memoryPeakBytes),
          usage.cpuMicroseconds.map { Quantity.thousandths($0 / 1000) + " s" } ?? "-",
          usage.processes.map { "\($0)" } ?? "-",
        ])
      } catch  where error.kind == .gone && !areNamed {
      } catch {
        Output.complain(error.message)
        status = 1
      }
    }
    if json { Output.print(JSONValue.array(values).text(indented: true)) } else { Output.write(1, table.text) }
    return status
  }

  static func top(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    let json = try wantsJSON(command)
    var table = Table(["PID", "PARENT", "STATE", "COMMAND"])
    var values: [JSONValue] = []
    do throws(WallError) {
      let record = try session.record(command.operands[0])
      guard record.condition(bootID: session.host.bootID).isLive else {
        throw WallError(.gone, "sandbox \(record.name) does not run")
      }
      guard let listing = try session.open(record).listing else {
        throw WallError("the \(record.wall.rawValue) wall cannot list the processes of sandbox \(record.name)")
      }
      for pid in try listing.processes() {
        // A process that ended since is no longer there to list.
        guard let fields = ProcessFields(pid: pid) else { continue }
        table.add(["\(pid)", "\(fields.parent)", fields.state, FormatError.presentable(fields.command)])
        values.append([
          "pid": .integer(Int64(pid)), "parent": .integer(Int64(fields.parent)), "state": .string(fields.state),
          "command": .string(fields.command),
        ])
      }
    } catch {
      throw CommandError(error)
    }
    if json { Output.print(JSONValue.array(values).text(indented: true)) } else { Output.write(1, table.text) }
    return 0
  }
}

/// What /proc tells about one process (proc(5)).
struct ProcessFields {
  let parent: Int32
  let state: String
  let command: String

  init?(pid: Int32) {
    guard let stat = try? File.text("/proc/\(pid)/stat"), let close = stat.lastIndex(of: ")"),
      let open = stat.firstIndex(of: "(")
    else { return nil }
    let fields = stat[stat.index(after: close)...].split(separator: " ")
    guard fields.count > 1, let parent = Int32(fields[1]) else { return nil }
    self.parent = parent
    state = String(fields[0])
    let line = (try? File.text("/proc/\(pid)/cmdline")) ?? ""
    let words = line.split(separator: "\0").joined(separator: " ")
    command = words.isEmpty ? "[" + stat[stat.index(after: open)..<close] + "]" : words
  }
}

/// Aligned columns.
struct Table {
  private var rows: [[String]]
  init(_ header: [String]) { rows = [header] }
  mutating func add(_ row: [String]) { rows.append(row) }

  var text: String {
    let columns = rows[0].count
    let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
    var text = ""
    for row in rows {
      var line = ""
      for (column, cell) in row.enumerated() {
        line += cell
        if column + 1 < columns { line += String(repeating: " ", count: widths[column] - cell.count + 2) }
      }
      text += line + "\n"
    }
    return text
  }
}
