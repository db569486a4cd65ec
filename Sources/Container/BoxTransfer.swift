import CLinux
import Confinement
import Linux
import Trees
import Walls

extension ContainerSandbox {
  /// Files into and out of the box, seen from inside: a child of this command joins the box's user and mount namespaces, and no
  /// other, so that it works on a paused box too and nothing inside can look at it.
  var transfer: TransferAgent {
    TransferAgent(what: "sandbox \(id)", owner: .root(setGroups: setGroups)) {
      [process, namespaces] () throws(SystemError) in
      guard let pidfd = try process.open() else { throw SystemError("pidfd_open", "", .noProcess) }
      let kinds = namespaces & (Namespaces.user | Namespaces.mount)
      if kinds & Namespaces.mount != 0 { return try Namespaces.join(kinds, of: pidfd.rawValue) }
      // Without mounts of its own the box is where its first process's root is.
      let root = try File.open("/proc/\(process.pid)/root", O_PATH | O_DIRECTORY)
      guard process.isAlive else { throw SystemError("pidfd_open", "", .noProcess) }
      if kinds != 0 { try Namespaces.join(kinds, of: pidfd.rawValue) }
      try Identity.changeRoot(to: root.rawValue)
    }
  }
}

/// The box's root as `export`, `diff` and `commit` read it: by the same child, which for the latter two has the image's files open beside
/// it, seen through the same ids.
struct BoxRootReading: RootReading {
  let sandbox: ContainerSandbox

  func export(to output: Int32) throws(WallError) -> any TransferWork {
    try sandbox.transfer.pack(.archive, to: output)
  }

  func changes(since root: RootFilesystem, as form: RootForm, to output: Int32) throws(WallError) -> any TransferWork {
    let what = "sandbox \(sandbox.id)"
    let hasUser = sandbox.namespaces & Namespaces.user != 0
    guard sandbox.namespaces & Namespaces.mount != 0 else {
      throw WallError("\(what) has no mounts of its own: its files are not told from the host's")
    }
    let view: ImageView
    do throws(SystemError) {
      let namespace =
        hasUser ? OwnedDescriptor(try File.open("/proc/\(sandbox.process.pid)/ns/user", O_RDONLY)) : nil
      guard sandbox.process.isAlive else { throw SystemError("pidfd_open", "", .noProcess) }
      do throws(WallError) {
        view = try ImageView(of: root, userNamespace: namespace?.rawValue, isRoot: Process.effectiveUser == 0)
      } catch { throw SystemError("image", error.message, .invalid) }
    } catch {
      throw error.errno == .noProcess ? WallError(.gone, "\(what) has ended") : WallError(what, error)
    }
    let agent = TransferAgent(what: what, owner: .root(setGroups: sandbox.setGroups), image: view) {
      [process = sandbox.process] () throws(SystemError) in
      guard let pidfd = try process.open() else { throw SystemError("pidfd_open", "", .noProcess) }
      if hasUser { try Namespaces.join(Namespaces.user, of: pidfd.rawValue) }
      try view.make()
      try Namespaces.join(Namespaces.mount, of: pidfd.rawValue)
    }
    return try agent.pack(form, to: output)
  }
}
