import Formats
import Linux
import Options
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
        try Workspace.open(named: command.operands[0], in: session.store.root).discard(force: command.flag("force"))
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
      Output.print(json(changes).text(indented: true))
      return 0
    }
    Output.write(1, text(changes))
    return 0
  }

  private static func apply(_ command: ParsedCommand, _ session: Session) throws(WorkspaceError) -> Int32 {
    let name = command.operands[0]
    let report = try Workspace.open(named: name, in: session.store.root)
      .apply(force: command.flag("force"), dryRun: command.flag("dry-run"))
    if report.wasResumed { Output.complain("an earlier apply was cut short: it is finished now") }
    Output.write(1, text(report.changes))
    if report.conflicts.isEmpty { return 0 }
    for conflict in report.conflicts { Output.complain("\(conflict.path.shown) \(conflict.reason)") }
    if !report.isApplied {
      Output.complain(
        "nothing was applied: look at these on the host, then `immure workspace apply --force \(name)` lets the box's version win"
      )
    }
    return 1
  }

  /// "A path" a line: added, modified, deleted, type changed, mode; with what the host would execute marked.
  private static func text(_ changes: WorkspaceChanges) -> String {
    var text = ""
    for change in changes.changes {
      let letter =
        switch change.kind {
        case .added: "A"
        case .modified: "M"
        case .deleted: "D"
        case .typeChanged: "T"
        case .mode: "X"
        }
      let slash = change.fileKind == .folder ? "/" : ""
      let warnings = change.warnings.isEmpty ? "" : "   ! " + change.warnings.joined(separator: ", ")
      text += "\(letter) \(change.path.shown)\(slash)\(warnings)\n"
    }
    for item in changes.dropped { text += "- \(item.path.shown)   dropped: \(item.what.rawValue)\n" }
    return text
  }

  private static func json(_ changes: WorkspaceChanges) -> JSONValue {
    [
      "changes": .array(
        changes.changes.map {
          [
            "path": .string($0.path.text), "kind": .string($0.kind.rawValue), "file": .string($0.fileKind.rawValue),
            "size": JSONValue($0.size), "warnings": .array($0.warnings.map { .string($0) }),
          ]
        }),
      "dropped": .array(
        changes.dropped.map { ["path": .string($0.path.text), "what": .string($0.what.rawValue)] }),
    ]
  }
}
