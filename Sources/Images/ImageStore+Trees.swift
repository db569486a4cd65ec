import CLinux
public import Formats
public import Linux

/// A tree that is being made of a layer's image; the lock keeps other commands from making the same one.
public struct IncomingTree: ~Copyable, Sendable {
  public let digest: Digest
  let entry: String
  let lock: StoreLock
  /// The empty folder to fill.
  public let tree: FileDescriptor
  /// For another process that writes there: to be held as long as it lives.
  public var lockDescriptor: Int32 { lock.descriptor.rawValue }
}

/// Layers as folders, for machines and users that cannot mount images: made of the layers' images at their first use, once.
extension ImageStore {
  /// The folders of an image's layers, the topmost first. Those that are not there yet are made by `immure-front`, through its confined
  /// reader and the directory writer.
  ///
  /// The caller holds a lease.
  public func unpacked(_ image: Image) throws(ImageError) -> [String] {
    if !image.layerPaths.allSatisfy({ File.exists($0) }) { try MakingProgram.run("image-trees", self, image) }
    return image.layerPaths
  }

  /// The layers of an image that are no trees yet, the lowest first.
  public func layersWithoutTree(_ manifest: Digest) throws(ImageError) -> [Digest] {
    guard let manifest = try self.manifest(manifest) else { return [] }
    return Self.stack(manifest).filter { !File.exists(treePath(ofLayer: $0)) }
  }

  /// Begins a layer's tree, or finds it done: where another command makes it, waits for that.
  public func beginTree(_ digest: Digest) throws(ImageError) -> IncomingTree? {
    let name = "tree-" + digest.hex
    guard let lock = try lock(name) else { throw ImageError("cannot lock the layer \(digest)") }
    if File.exists(treePath(ofLayer: digest)) {
      lock.end()
      return nil
    }
    let entry = name + "." + String(Clock.monotonicNanoseconds(), radix: 36)
    let path = incoming + "/" + entry
    let tree = try system("cannot unpack in the image store") { () throws(SystemError) in
      try File.makeDirectory(path, mode: 0o700)
      try File.makeDirectory(path + "/diff", mode: 0o755)
      return try File.open(path + "/diff", O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }
    return IncomingTree(digest: digest, entry: entry, lock: lock, tree: tree)
  }

  /// Gives a finished tree its place, once all of it is on the disk.
  public func commit(_ tree: consuming IncomingTree, notes: [String]) throws(ImageError) {
    let path = incoming + "/" + tree.entry
    let layer = layers + "/" + tree.digest.hex
    try system("cannot keep the layer \(tree.digest.short)") { () throws(SystemError) in
      let open = try File.open(path, O_RDONLY | O_DIRECTORY)
      let record: JSONValue = ["notes": .array(notes.map { .string($0) })]
      try File.replaceAtomically("tree.json", record.bytes(), at: open.rawValue)
      try File.syncFileSystem(of: open.rawValue)
      // The folder around it: `diff` itself may belong to another id, which could not be moved.
      try File.rename(path, to: layer + "/tree")
      let parent = try File.open(layer, O_RDONLY | O_DIRECTORY)
      try File.sync(parent.rawValue)
    }
    tree.lock.end()
  }

  /// Where a layer's tree is or will be: an earlier version stored it beside the blob.
  func treePath(ofLayer digest: Digest) -> String {
    let layer = layers + "/" + digest.hex
    return File.exists(layer + "/diff") ? layer + "/diff" : layer + "/tree/diff"
  }

  /// What could not be kept of a layer when its tree was made.
  func treeNotes(_ digest: Digest) throws(ImageError) -> [String] {
    let path = layers + "/" + digest.hex + "/tree/tree.json"
    guard File.exists(path) else { return [] }
    let bytes = try system("cannot read the image store") { () throws(SystemError) in try File.contents(path) }
    do throws(FormatError) { return try JSONNode.parse(bytes, source: path).strings("notes") } catch {
      throw ImageError("the image store is damaged", error)
    }
  }
}
