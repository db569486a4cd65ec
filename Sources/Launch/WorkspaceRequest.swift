import Formats
import Linux
import Walls
import Workspace

/// `--workspace DIR[:apply]`: a host folder through a private overlay, at its own path inside.
struct WorkspaceRequest {
  let folder: String
  /// Whether the changes are applied when the program ends with 0.
  let applies: Bool
  var destination: String { folder }

  init(_ text: String) throws(CommandError) {
    applies = text.hasSuffix(":apply")
    let path = applies ? String(text.dropLast(6)) : text
    do throws(SystemError) {
      let opened = try File.open(path.isEmpty ? "." : path, File.directoryOnly)
      folder = try File.readLink("/proc/self/fd/\(opened.rawValue)")
    } catch {
      throw CommandError(125, "--workspace \"\(FormatError.presentable(path))\": \(error.errno)")
    }
    if folder == "/" { throw CommandError(125, "--workspace /: choose a folder beneath it") }
  }

  /// Makes the overlay's folders; the mount goes into the box's configuration.
  func prepare(name: String, id: String, _ session: Session) throws(CommandError) -> MountConfiguration {
    do throws(WorkspaceError) {
      return try Workspace.create(named: name, folder: folder, in: session.store.root, sandbox: id).mount(
        at: destination)
    } catch {
      throw CommandError(125, error.message)
    }
  }

  /// The box was not raised: nothing can have been changed.
  func abandon(name: String, _ session: Session) {
    // It was made a moment ago and holds nothing; the error that stopped the run is the one to tell.
    try? Workspace.open(named: name, in: session.store.root).discard()
  }

  /// After the program's end: applies the changes where that was asked for and it ended with 0; else says how to see them.
  func finish(name: String, code: Int32, quiet: Bool, _ session: Session) {
    do throws(WorkspaceError) {
      let workspace = try Workspace.open(named: name, in: session.store.root)
      let changes = try workspace.changes()
      if changes.isEmpty { return try workspace.discard() }
      if applies && code == 0 {
        let report = try workspace.apply()
        if report.isApplied { return }
        Output.complain(
          "\(report.conflicts.count) files changed on the host meanwhile: nothing was applied; see `immure workspace apply --dry-run \(name)`"
        )
      } else if !quiet && session.isTerminal {
        Output.complain(
          "\(changes.changes.count) changes in the workspace: `immure workspace diff \(name)`, then apply or discard")
      }
    } catch {
      Output.complain(error.message)
    }
  }
}
