import Formats
import Linux
import Options
import Trees
import Walls
import Workspace

/// `workspace list|diff|apply|discard`.
enum Workspaces {
  static func perform(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    do throws(WorkspaceError) {
      switch command.verb.name {
      case "workspace list": return try list(json: command.value("format") == "json", session)
      case "workspace diff": return try diff(command, session)
      case "workspace apply": return try apply(command, session)
      default:
        let workspace = try Workspace.open(named: command.operands[0], in: session.store.root)
        try refuseRunning(workspace, session)
        try workspace.discard(force: command.flag("force"))
        return 0
      }
    } catch {
      throw CommandError(1, error.message)
    }
  }

  private static func list(json: Bool, _ session: Session) throws(WorkspaceError) -> Int32 {
    let workspaces = try Workspace.list(in: session.store.root)
    if json {
      let values: [JSONValue] = workspaces.map {
        [
          "name": .string($0.name), "folder": .string($0.record.folder), "sandbox": .string($0.record.sandbox),
          "created": .string(Timestamp.rfc3339(seconds: $0.record.created)),
        ]
      }
      Output.print(JSONValue.array(values).text(indented: true))
    } else {
      var table = Table(["NAME", "FOLDER", "CREATED"])
      for workspace in workspaces {
        table.add([
          workspace.name, FormatError.presentable(workspace.record.folder), Listing.age(workspace.record.created),
        ])
      }
      Output.write(1, table.text)
    }
    return 0
  }

  private static func diff(_ command: ParsedCommand, _ session: Session) throws(WorkspaceError) -> Int32 {
    let workspace = try Workspace.open(named: command.operands[0], in: session.store.root)
    let changes = try workspace.changes()
    if command.value("format") == "json" {
      Output.print(String(decoding: workspace.json(changes), as: UTF8.self))
    } else {
      Output.write(1, try workspace.describe(changes, lines: true))
    }
    return 0
  }

  private static func apply(_ command: ParsedCommand, _ session: Session) throws(WorkspaceError) -> Int32 {
    let name = command.operands[0]
    let workspace = try Workspace.open(named: name, in: session.store.root)
    if !command.flag("dry-run") { try refuseRunning(workspace, session) }
    let report = try workspace.apply(force: command.flag("force"), dryRun: command.flag("dry-run"))
    if report.wasResumed { Output.complain("an earlier apply was cut short: it is finished now") }
    Output.write(1, try workspace.describe(report.changes, lines: false))
    if report.conflicts.isEmpty { return 0 }
    for conflict in report.conflicts { Output.complain("\(conflict.path.shown) \(conflict.reason)") }
    if !report.isApplied {
      Output.complain(
        "nothing was applied: look at these on the host, then `immure workspace apply --force \(name)` lets the box's version win"
      )
    }
    return 1
  }

  /// A box that still runs may still change what is there.
  private static func refuseRunning(_ workspace: Workspace, _ session: Session) throws(WorkspaceError) {
    guard let record = try? session.store.load(workspace.record.sandbox),
      record.condition(bootID: session.host.bootID).isLive
    else { return }
    throw WorkspaceError(
      "workspace: sandbox \(record.name) still runs and may change \"\(workspace.name)\": `immure stop \(record.name)` first"
    )
  }
}
