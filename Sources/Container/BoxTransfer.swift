import CLinux
import Confinement
import Linux
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
