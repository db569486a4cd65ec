import Formats
import Images
import Linux

/// What `immure` starts this program for where a part of an image that it is about to use is not there: metadata over the layers, or
/// layers as trees. It holds a lease of the image meanwhile. What goes wrong is one line on standard output.
public enum MissingParts {
  /// The words it is started with.
  public static let metadata = "image-metadata"
  public static let trees = "image-trees"

  /// Does its work and ends the process. - Parameter words: which of the two, the store's folder, the digest of the manifest.
  public static func run(_ words: [String]) -> Never {
    guard words.count == 3, words[1].hasSuffix("/images") else { Process.exit(2) }
    let store = ImageStore(root: String(words[1].dropLast("/images".utf8.count)))
    do {
      // A worker that ends early is an error to read, not a reason to die.
      try SignalSet.ignore(13)
      let stack = try store.stack(of: try Digest(hex: words[2]))
      if words[0] == trees { try makeTrees(stack, in: store) } else { try MetadataMaking.ensure(stack, in: store) }
      Process.exit(0)
    } catch {
      // Where nobody reads it there is nobody to tell.
      try? File.writeAll(1, "\(error)\n")
      Process.exit(1)
    }
  }

  /// Makes the trees of layers that have none.
  static func makeTrees(_ stack: [Digest], in store: ImageStore) throws(ImageError) {
    for layer in stack {
      guard let tree = try store.beginTree(layer) else { continue }
      let processes = try startTree(layer, tree, store)
      let (outcome, status) = try processes.wait()
      switch outcome {
      case .failed(_, _) where status != .exited(0) && status != .exited(1):
        throw ImageError(
          .damaged, "layer \(layer.short): the worker that reads its image was ended by its confinement (\(status))")
      case .failed(let isDamaged, let message):
        throw ImageError(isDamaged ? .damaged : .failed, "layer \(layer.short): \(message)")
      case .done(let contents): try store.commit(tree, notes: contents.notes)
      }
    }
  }

  private static func startTree(
    _ layer: Digest, _ tree: borrowing IncomingTree, _ store: ImageStore
  ) throws(ImageError) -> UnpackingProcesses {
    let image = try store.openImage(ofLayer: layer)
    return try system("cannot start the processes that unpack layers") { () throws(SystemError) in
      try UnpackingProcesses.start(
        TreeReader.role, input: image.rawValue, tree: tree.tree.rawValue, lock: tree.lockDescriptor,
        limit: LayerInstallation.defaultLimit, isPlain: false)
    }
  }
}
