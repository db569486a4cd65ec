import CLinux
public import Formats
public import Linux

/// Metadata over an image's layers that is being made.
public struct IncomingMetadata: ~Copyable, Sendable {
  let path: String
  let lock: StoreLock
  /// An empty file.
  public let file: FileDescriptor
}

/// One EROFS image of metadata for each list of layers, whose files lie in the layers' images behind it. Nothing else is ever mounted:
/// a layer's own image was written by a process that a stranger may have taken over.
extension ImageStore {
  /// An image's layers, the lowest first. One that it has twice counts where it is uppermost: all that it does below is done again there.
  public static func stack(_ manifest: ImageManifest) -> [Digest] {
    var layers: [Digest] = []
    for layer in manifest.layers.reversed() where !layers.contains(layer.digest) { layers.append(layer.digest) }
    return layers.reversed()
  }

  static func mergedName(_ stack: [Digest]) -> String {
    Digest.of(Array(stack.map(\.hex).joined(separator: "\n").utf8)).hex + ".erofs"
  }

  func mergedPath(_ stack: [Digest]) -> String { merged + "/" + Self.mergedName(stack) }

  /// Whether metadata over these layers is here.
  public func hasMetadata(_ stack: [Digest]) -> Bool { File.exists(mergedPath(stack)) }

  public func openMetadata(_ stack: [Digest]) throws(ImageError) -> FileDescriptor {
    try system("cannot read the image store") { () throws(SystemError) in
      try File.open(mergedPath(stack), O_RDONLY | O_NOFOLLOW)
    }
  }

  /// Whether all of these layers have images; those of an earlier version are trees.
  public func haveImages(_ stack: [Digest]) -> Bool {
    stack.allSatisfy { File.exists(layers + "/" + $0.hex + "/" + Self.imageName) }
  }

  public func beginMetadata() throws(ImageError) -> IncomingMetadata {
    let name = "metadata-\(Process.id)-\(String(Clock.monotonicNanoseconds(), radix: 36))"
    guard let lock = try lock(name) else { throw ImageError("cannot lock the image store") }
    let path = incoming + "/" + name
    let file = try system("cannot write the image store") { () throws(SystemError) in
      try File.open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
    }
    return IncomingMetadata(path: path, lock: lock, file: file)
  }

  /// Gives finished metadata its name; two commands that made the same made equal bytes.
  public func commit(_ metadata: consuming IncomingMetadata, over stack: [Digest]) throws(ImageError) {
    try system("cannot keep the image's metadata") { () throws(SystemError) in
      try File.sync(metadata.file.rawValue)
      try File.rename(metadata.path, to: mergedPath(stack))
      let parent = try File.open(merged, O_RDONLY | O_DIRECTORY)
      try File.sync(parent.rawValue)
    }
    metadata.lock.end()
  }

  /// The image's manifest, for one who makes what is missing of it.
  public func stack(of manifest: Digest) throws(ImageError) -> [Digest] {
    guard let manifest = try self.manifest(manifest) else {
      throw ImageError(.notFound, "the image \(manifest) was removed by another command: try again")
    }
    return Self.stack(manifest)
  }
}
