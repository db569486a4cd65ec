import Formats
import Linux
import Walls

/// `--workspace DIR[:apply]`.
struct WorkspaceRequest {
  let folder: String
  let applies: Bool
  /// Where it appears inside.
  var destination: String { folder }

  init(_ text: String) throws(CommandError) {
    throw CommandError(125, "--workspace: not built yet")
  }
  func prepare(name: String, _ session: Session) throws(CommandError) -> MountConfiguration {
    throw CommandError(125, "--workspace: not built yet")
  }
  func abandon(name: String, _ session: Session) {}
  func finish(name: String, code: Int32, quiet: Bool, _ session: Session) {}
}
