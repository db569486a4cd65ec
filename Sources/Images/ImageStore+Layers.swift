import CLinux
public import Formats
public import Linux

/// A file of a layer: what its bytes must be.
public struct StoredFile: Sendable, Equatable {
  public var digest: Digest
  public var size: Int64
  /// Where the digest begins; the bytes before come last. The first block of a layer's image is known only when all others are written, and the
  /// digest is computed while they are.
  public var start: Int64

  public init(digest: Digest, size: Int64, start: Int64 = 0) {
    self.digest = digest
    self.size = size
    self.start = start
  }

  init?(_ node: JSONNode?) throws(FormatError) {
    guard let node else { return nil }
    digest = try node.required("digest").digest()
    size = try node.integer("size")
    start = try node.optionalInteger("start") ?? 0
  }

  var json: JSONValue {
    var members = JSONObject()
    members["digest"] = .string(digest.description)
    members["size"] = .integer(size)
    if start != 0 { members["start"] = .integer(start) }
    return .object(members)
  }
}

/// What is known about a layer (`layer.json`).
public struct LayerSummary: Sendable, Equatable {
  /// The digest of the uncompressed tar, and its bytes; 0 where they were not counted.
  public var diffID: Digest
  public var tarSize: Int64 = 0
  /// What is in it: files' bytes and entries.
  public var bytes: Int64
  public var entries: Int64
  /// What could not be kept as the archive had it, as lines ("attribute trusted.x not kept on 1 file").
  public var notes: [String]
  /// The blob as it was fetched: its bytes and what it is. Nil in a layer that an earlier version stored.
  public var blobSize: Int64?
  public var mediaType: String?
  /// `layer.erofs` and `layer.headers`. Nil in a layer that an earlier version stored, which is a tree.
  public var image: StoredFile?
  public var headers: StoredFile?

  public init(diffID: Digest, bytes: Int64, entries: Int64, notes: [String]) {
    self.diffID = diffID
    self.bytes = bytes
    self.entries = entries
    self.notes = notes
  }

  package init(_ node: JSONNode) throws(FormatError) {
    diffID = try node.required("diffID").digest()
    tarSize = try node.optionalInteger("tarSize") ?? 0
    bytes = try node.integer("bytes")
    entries = try node.integer("entries")
    notes = try node.strings("notes")
    blobSize = try node.optionalInteger("blobSize")
    mediaType = try node.optionalString("mediaType")
    image = try StoredFile(try node.optional("image"))
    headers = try StoredFile(try node.optional("headers"))
  }

  package var json: JSONValue {
    var members = JSONObject()
    members["diffID"] = .string(diffID.description)
    members["tarSize"] = .integer(tarSize)
    members["bytes"] = .integer(bytes)
    members["entries"] = .integer(entries)
    members["notes"] = .array(notes.map { .string($0) })
    if let blobSize { members["blobSize"] = .integer(blobSize) }
    if let mediaType { members["mediaType"] = .string(mediaType) }
    if let image { members["image"] = image.json }
    if let headers { members["headers"] = headers.json }
    return .object(members)
  }
}

/// A layer that is being made; the lock keeps other commands from making the same one and from clearing it away.
public struct IncomingLayer: ~Copyable, Sendable {
  /// The digest of the blob; nil where that is known at its end only.
  public let digest: Digest?
  let entry: String
  let lock: StoreLock
  /// Empty files for the layer's EROFS image and for the headers of its tar.
  public let image: FileDescriptor
  public let headers: FileDescriptor
  /// An empty file for the blob as it comes, where it is to be kept; open as long as the value lives.
  public let blob: Int32?
  let blobFile: FileDescriptor?
}

/// A folder in `incoming` for other things in the making.
public struct IncomingFolder: ~Copyable, Sendable {
  public let path: String
  let lock: StoreLock
  /// For another process that writes there: to be held as long as it lives.
  public var lockDescriptor: Int32 { lock.descriptor.rawValue }
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

  /// Whether a layer is here and can be handed on: as an EROFS image, or as a tree with its blob, as an earlier version stored it; with its
  /// blob in any case where blobs are kept.
  public func isWhole(_ digest: Digest) throws(ImageError) -> Bool {
    guard let known = try layer(digest) else { return false }
    return !keepsBlobs && known.image != nil || File.exists(blobPath(ofLayer: digest))
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
    func make(_ name: String) throws(ImageError) -> FileDescriptor {
      try system("cannot make a layer in the image store") { () throws(SystemError) in
        try File.open(folder + "/" + name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
      }
    }
    try system("cannot make a layer in the image store") { () throws(SystemError) in
      try File.makeDirectory(folder, mode: 0o700)
    }
    let image = try make(Self.imageName)
    let headers = try make(Self.headersName)
    guard keepsBlobs else {
      return IncomingLayer(
        digest: digest, entry: entry, lock: lock, image: image, headers: headers, blob: nil, blobFile: nil)
    }
    let file = try make("blob")
    return IncomingLayer(
      digest: digest, entry: entry, lock: lock, image: image, headers: headers, blob: file.rawValue,
      blobFile: consume file)
  }

  /// Makes a finished layer part of the store: all of it is on the disk before its name is.
  /// - Parameter digest: of the blob as it was fetched, which the caller has verified.
  public func commit(
    _ layer: consuming IncomingLayer, as digest: Digest, _ record: LayerSummary
  ) throws(ImageError) {
    let folder = incoming + "/" + layer.entry
    try system("cannot keep the layer \(digest.short)") { () throws(SystemError) in
      let open = try File.open(folder, O_RDONLY | O_DIRECTORY)
      try File.replaceAtomically("layer.json", record.json.bytes(), at: open.rawValue, sync: true)
      try File.sync(layer.image.rawValue)
      try File.sync(layer.headers.rawValue)
      if let blob = layer.blob { try File.sync(blob) }
      try File.sync(open.rawValue)
      let name = layers + "/" + digest.hex
      do throws(SystemError) {
        try File.rename(folder, to: name)
      } catch  where error.errno == .notEmpty || error.errno == .exists {
        try complete(name, from: folder)
      }
      for each in [name, layers] {
        let parent = try File.open(each, O_RDONLY | O_DIRECTORY)
        try File.sync(parent.rawValue)
      }
    }
    layer.lock.end()
  }

  /// Another command imported the same bytes first, or an earlier version stored less of them: what is missing is added, what is there
  /// stays, for sandboxes may have mounted it. What is left of this copy is cleared by the next command.
  private func complete(_ name: String, from folder: String) throws(SystemError) {
    if File.exists(folder + "/blob"), !File.exists(name + "/blob") {
      try File.rename(folder + "/blob", to: name + "/blob")
    }
    guard !File.exists(name + "/" + Self.imageName) else { return }
    // The record last: killed before, the layer is what it was, and the next one begins anew.
    for file in [Self.headersName, Self.imageName, "layer.json"] {
      try File.rename(folder + "/" + file, to: name + "/" + file)
    }
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
