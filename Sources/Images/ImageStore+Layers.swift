import CLinux
public import Formats
public import Linux

/// What is known about an unpacked layer (`layer.json`).
public struct LayerSummary: Sendable, Equatable {
  /// The digest of the uncompressed tar.
  public var diffID: Digest
  /// What was written: files' bytes and entries.
  public var bytes: Int64
  public var entries: Int64
  /// What could not be kept as the archive had it, as lines ("owners dropped").
  public var notes: [String]

  public init(diffID: Digest, bytes: Int64, entries: Int64, notes: [String]) {
    self.diffID = diffID
    self.bytes = bytes
    self.entries = entries
    self.notes = notes
  }

  package init(_ node: JSONNode) throws(FormatError) {
    diffID = try node.required("diffID").digest()
    bytes = try node.integer("bytes")
    entries = try node.integer("entries")
    notes = try node.strings("notes")
  }

  package var json: JSONValue {
    [
      "diffID": .string(diffID.description), "bytes": .integer(bytes), "entries": .integer(entries),
      "notes": .array(notes.map { .string($0) }),
    ]
  }
}

/// A layer that is being made; the lock keeps other commands from making the same one and from clearing it away.
public struct IncomingLayer: ~Copyable, Sendable {
  /// The digest of the blob; nil where that is known at its end only.
  public let digest: Digest?
  let entry: String
  let lock: StoreLock
  /// The empty tree to fill.
  public let tree: FileDescriptor
  /// An empty file for the blob as it comes, from which the layer is handed on (`ImageStore.openLayer`).
  public let blob: FileDescriptor
}

/// A folder in `incoming` for other things in the making.
public struct IncomingFolder: ~Copyable, Sendable {
  public let path: String
  let lock: StoreLock
}

extension ImageStore {
  /// What is known about a layer that is here, or nil.
  public func layer(_ digest: Digest) throws(ImageError) -> LayerSummary? {
    let path = layers + "/" + digest.hex + "/layer.json"
    let bytes: [UInt8]
    do throws(SystemError) { bytes = try File.contents(path) } catch {
      if error.errno == .noEntry { return nil }
      throw ImageError("cannot read the image store", error)
    }
    do throws(FormatError) { return try LayerSummary(try JSONNode.parse(bytes, source: path)) } catch {
      throw ImageError("the image store is damaged", error)
    }
  }

  /// Whether a layer is here with the blob that it was made of. Stores of earlier versions kept the tree only.
  public func isWhole(_ digest: Digest) throws(ImageError) -> Bool {
    try layer(digest) != nil && File.exists(blobPath(ofLayer: digest))
  }

  /// Begins a layer, or finds it done: where another command makes the same one, waits for it.
  /// - Returns: nil where the layer is here already (`isWhole`).
  public func beginLayer(_ digest: Digest, waiting: () -> Void = {}) throws(ImageError) -> IncomingLayer? {
    if try isWhole(digest) { return nil }
    let name = "layer-" + digest.hex
    let lock: StoreLock
    if let free = try self.lock(name, wait: false) {
      lock = free
    } else {
      waiting()
      guard let later = try self.lock(name) else { throw ImageError("cannot lock the layer \(digest)") }
      lock = later
    }
    if try isWhole(digest) {
      lock.end()
      return nil
    }
    return try makeLayer(digest, name, lock)
  }

  /// Begins a layer whose digest will be known at its end.
  public func beginLayer() throws(ImageError) -> IncomingLayer {
    let name = "import-\(Process.id)-" + String(Clock.monotonicNanoseconds(), radix: 36)
    guard let lock = try lock(name) else { throw ImageError("cannot lock the image store") }
    return try makeLayer(nil, name, lock)
  }

  private func makeLayer(
    _ digest: Digest?, _ name: String, _ lock: consuming StoreLock
  ) throws(ImageError) -> IncomingLayer {
    let entry = name + "." + String(Clock.monotonicNanoseconds(), radix: 36)
    let folder = incoming + "/" + entry
    let what = "cannot make a layer in the image store"
    let tree = try system(what) { () throws(SystemError) in
      try File.makeDirectory(folder, mode: 0o700)
      try File.makeDirectory(folder + "/diff", mode: 0o755)
      return try File.open(folder + "/diff", O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }
    let blob = try system(what) { () throws(SystemError) in
      try File.open(folder + "/blob", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
    }
    return IncomingLayer(digest: digest, entry: entry, lock: lock, tree: tree, blob: blob)
  }

  /// Makes a finished layer part of the store: all of it is on the disk before its name is.
  /// - Parameter digest: of the blob as it was fetched, which the caller has verified.
  public func commit(
    _ layer: consuming IncomingLayer, as digest: Digest, _ record: LayerSummary
  ) throws(ImageError) {
    let folder = incoming + "/" + layer.entry
    try system("cannot keep the layer \(digest.short)") { () throws(SystemError) in
      let open = try File.open(folder, O_RDONLY | O_DIRECTORY)
      try File.replaceAtomically("layer.json", record.json.bytes(), at: open.rawValue)
      try File.syncFileSystem(of: open.rawValue)
      do throws(SystemError) {
        try File.rename(folder, to: layers + "/" + digest.hex)
      } catch  where error.errno == .notEmpty || error.errno == .exists {
        // Another command imported the same bytes first, or an earlier version did without keeping them: the tree stays, which
        // sandboxes may have mounted. What is left of this copy is cleared by the next command.
        if !File.exists(blobPath(ofLayer: digest)) {
          try File.rename(folder + "/blob", to: blobPath(ofLayer: digest))
        }
        return
      }
      let parent = try File.open(layers, O_RDONLY | O_DIRECTORY)
      try File.sync(parent.rawValue)
    }
    layer.lock.end()
  }

  /// Gives an unfinished layer up: its tree goes at the next command that clears the store.
  public func abandon(_ layer: consuming IncomingLayer) {
    // The lock ends with the value; the entry stays for `clearLeftovers`, which may need other rights than are held here.
    _ = consume layer
  }

  /// A private folder in the store, cleared by the next command after this one ends.
  public func beginFolder(_ kind: String) throws(ImageError) -> IncomingFolder {
    let name = "\(kind)-\(Process.id)-\(String(Clock.monotonicNanoseconds(), radix: 36))"
    guard let lock = try lock(name) else { throw ImageError("cannot lock the image store") }
    let path = incoming + "/" + name
    try system("cannot write the image store") { () throws(SystemError) in
      try File.makeDirectory(path, mode: 0o700)
    }
    return IncomingFolder(path: path, lock: lock)
  }

  /// Held while content is added that no name leads to yet, so that nobody collects it as garbage.
  public func beginAdding() throws(ImageError) -> Adding {
    try prepare()
    guard let lock = try storeLock(exclusive: false, wait: true) else {
      throw ImageError("cannot lock the image store")
    }
    return Adding(lock: lock)
  }
}

/// See `ImageStore.beginAdding`.
public struct Adding: ~Copyable, Sendable {
  let lock: StoreLock
}
