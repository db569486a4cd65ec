import CLinux
import Confinement
import Linux
import Walls

/// What programs of the host's see that join the sentry's mount namespace, as podman does to copy files and to list processes: the container's
/// folder with the host's owners, and a procfs of the sandbox. The sentry itself, in its empty root, has no way to it.
enum JoinersRoot {
  /// The tree's number; nil where the sandbox has no folder of the host's as its root.
  static func request(_ bundle: Bundle, _ trees: HostTrees) -> Int? {
    guard !bundle.usesInit, case .directory(let path, _) = bundle.root else { return nil }
    return trees.add(HostTrees.Request(root: path))
  }

  /// Over the root of the namespace.
  static func attach(_ tree: Int32) throws(SystemError) {
    let root = try File.open("/", File.directoryOnly)
    try Mount.attach(tree, onto: root.rawValue)
    do throws(SystemError) {
      let place = try File.open("proc", O_PATH | O_DIRECTORY, at: tree, resolve: [.inRoot, .noMagicLinks, .noSymlinks])
      let processes = try FileSystemContext("proc").mount([.noSetUserID, .noDevices, .noExecute, .readOnly])
      try processes.attach(onto: place.rawValue)
    } catch  where [.noEntry, .notDirectory, .loop].contains(error.errno) {
      // An image without a folder for it has none.
    }
  }
}
