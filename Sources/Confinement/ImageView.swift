import CLinux
package import Linux
import Trees
package import Walls

/// An image's files as a box sees them before it writes anything: the same layers, with the same owners, in a mount that is attached
/// nowhere and that only its maker has.
package final class ImageView {
  private let trees = HostTrees()
  private let layers: [Int]
  /// Whether the box has a user namespace, and so the marks of one.
  private let hasUserNamespace: Bool
  /// Whether this process opens the layers, as root, or the child that has entered the box's user namespace.
  private let isOpen: Bool
  package private(set) var descriptor: Int32 = -1

  /// - Parameters:
  ///   - root: of an image.
  ///   - userNamespace: the box's, through which owners are translated; nil where it has the host's.
  package init(of root: RootFilesystem, userNamespace: Int32?, isRoot: Bool) throws(WallError) {
    hasUserNamespace = userNamespace != nil
    let owners: HostTrees.Owners = isRoot && userNamespace != nil ? .translated : .asTheyAre
    var indices: [Int] = []
    switch root {
    case .layers(let paths, _):
      for (index, path) in paths.enumerated() where !paths[..<index].contains(path) {
        indices.append(
          trees.add(HostTrees.Request(path: path, what: "image layer", recursive: false, owners: owners)))
      }
    case .image(let image, _):
      var request = HostTrees.Request(path: image.metadata, what: "image layer", recursive: false, owners: owners)
      request.kept = image.mount
      indices.append(trees.add(request))
    case .directory, .host: throw WallError("its files began as no image")
    }
    layers = indices
    isOpen = isRoot
    if isRoot {
      try trees.open()
      try trees.finish(userNamespace: userNamespace)
    }
  }

  deinit { if descriptor >= 0 { _ = FileDescriptor(owning: descriptor) } }

  /// In a child of its own that is in the box's user namespace: makes the mount, in a mount namespace that the child leaves afterwards.
  package func make() throws(SystemError) {
    try Namespaces.unshare(Namespaces.mount)
    try Mount.makeAllPrivate()
    if !isOpen {
      do throws(WallError) {
        try trees.open()
        try trees.finish(userNamespace: nil)
      } catch { throw SystemError("open_tree", error.message, .accessDenied) }
    }
    let lower = layers.map { trees.descriptors[$0] }
    if lower.count == 1 {
      descriptor = try FileDescriptor.duplicate(lower[0]).release()
      return
    }
    do throws(SystemError) {
      for layer in lower { try OverlayMount.stage(layer) }
      let overlay = OverlayMount(
        lower: lower, userAttributes: hasUserNamespace, attributes: [.readOnly, .noSetUserID, .noDevices])
      descriptor = try overlay.make().release()
    } catch  where OverlayMount.isRefused(error) {
      let memory = try RootAssembly.memory(UInt64(Int64.max))
      try LayerMerge(
        lower, into: memory.descriptor.rawValue, userAttributes: hasUserNamespace, leavesUnreadableOut: true
      ).run()
      descriptor = memory.release()
    }
  }
}
