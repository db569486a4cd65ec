public import Formats
public import Images
import Linux

/// Verifies every digest in the store: names, documents, layers' images and headers, kept blobs, and the metadata over layers, which is made
/// once more and compared.
public struct ImageCheck: Sendable {
  /// Something that is not what it should be.
  public struct Problem: Sendable, Equatable {
    /// "name", "document", "layer" or "metadata".
    public let kind: String
    /// What it is called: a digest, or a name's file.
    public let subject: String
    public let what: String
    /// The images that need it, as a person writes them.
    public var images: [String]

    public var json: JSONValue {
      [
        "kind": .string(kind), "subject": .string(subject), "problem": .string(what),
        "images": .array(images.map { .string($0) }),
      ]
    }
  }

  public private(set) var images = 0
  public private(set) var layers = 0
  /// Layers that an earlier version stored as trees: nothing says what their bytes were.
  public private(set) var trees = 0
  /// Bytes that were read.
  public private(set) var bytes: Int64 = 0
  public private(set) var problems: [Problem] = []

  private var users: [Digest: [String]] = [:]

  /// Looks at all of it. Only damage is a problem; what cannot be read for other reasons throws.
  public init(_ store: ImageStore) throws(ImageError) {
    let adding = try store.beginAdding()
    var stacks: [[Digest]: [String]] = [:]
    var seen: Set<Digest> = []
    for (file, name) in try store.namesForCheck() {
      switch name {
      case .failure(let error): problems.append(Problem(kind: "name", subject: file, what: error.message, images: []))
      case .success(let image):
        images += 1
        try check(image, &stacks, &seen, in: store)
      }
    }
    // An image without a name that somebody looks into is needed too.
    for view in try store.allViews() where !seen.contains(view.manifest) {
      let stack = try store.stack(of: view.manifest)
      stacks[stack, default: []].append(view.name)
      for layer in stack { users[layer, default: []].append(view.name) }
    }
    for digest in try store.layersForCheck() { try check(digest, in: store) }
    for (stack, names) in stacks.sorted(by: { $0.value[0] < $1.value[0] }) { try check(stack, names, in: store) }
    _ = consume adding
  }

  private mutating func check(
    _ image: NamedImage, _ stacks: inout [[Digest]: [String]], _ seen: inout Set<Digest>, in store: ImageStore
  ) throws(ImageError) {
    for digest in [image.manifest, image.configuration] {
      let isNew = seen.insert(digest).inserted
      guard let content = try store.blob(digest) else {
        add("document", digest, "is missing", image.familiar)
        continue
      }
      if isNew { bytes += Int64(content.count) }
      if Digest.of(content) != digest { add("document", digest, "is not what its digest says", image.familiar) }
    }
    guard let content = try store.blob(image.manifest), Digest.of(content) == image.manifest else { return }
    let manifest: ImageManifest
    do throws(FormatError) {
      guard case .manifest(let parsed) = try ImageDocument.parse(content) else { return }
      manifest = parsed
    } catch {
      return add("document", image.manifest, "\(error)", image.familiar)
    }
    if manifest.configuration.digest != image.configuration {
      add("name", image.manifest, "has another configuration than the name says", image.familiar)
    }
    let stack = ImageStore.stack(manifest)
    stacks[stack, default: []].append(image.familiar)
    for layer in stack {
      users[layer, default: []].append(image.familiar)
      if try record(of: layer, in: store) == nil { add("layer", layer, "is missing", image.familiar) }
    }
  }

  /// What is known about a layer; nil where nothing is, which includes a record that makes no sense.
  private func record(of layer: Digest, in store: ImageStore) throws(ImageError) -> LayerSummary? {
    do throws(ImageError) { return try store.layer(layer) } catch {
      if error.kind == .damaged { return nil }
      throw error
    }
  }

  private mutating func add(_ kind: String, _ digest: Digest, _ what: String, _ image: String?) {
    if let index = problems.firstIndex(where: { $0.subject == digest.description && $0.what == what }) {
      if let image, !problems[index].images.contains(image) { problems[index].images.append(image) }
      return
    }
    problems.append(Problem(kind: kind, subject: digest.description, what: what, images: image.map { [$0] } ?? []))
  }

  private mutating func check(_ layer: Digest, in store: ImageStore) throws(ImageError) {
    let names = users[layer] ?? []
    func problem(_ what: String) {
      problems.append(Problem(kind: "layer", subject: layer.description, what: what, images: names))
    }
    guard let record = try record(of: layer, in: store) else {
      if names.isEmpty { problem("has no record that can be read") }
      return
    }
    layers += 1
    let hasBlob: Bool
    if let blob = try store.openBlob(ofLayer: layer) {
      hasBlob = true
      if try read(blob).digest != layer { problem("its blob is not what its digest says") }
    } else {
      hasBlob = false
    }
    guard let image = record.image, let headers = record.headers else {
      if !hasBlob { trees += 1 }
      return
    }
    for (expected, what, open) in [
      (image, "its image", store.openImage(ofLayer:)), (headers, "the headers of its tar", store.openHeaders(ofLayer:)),
    ] {
      let file: FileDescriptor
      do throws(ImageError) { file = try open(layer) } catch {
        problem("\(what) cannot be read")
        continue
      }
      if try read(file, start: expected.start) != expected { problem("\(what) is not what was stored") }
    }
  }

  private mutating func check(
    _ stack: [Digest], _ names: [String], in store: ImageStore
  ) throws(ImageError) {
    // One that is missing is made at the next use; over damaged layers there is nothing to compare.
    let damaged = Set(problems.map(\.subject))
    guard store.hasMetadata(stack), store.haveImages(stack) else { return }
    guard !stack.contains(where: { damaged.contains($0.description) }) else { return }
    let stored = try read(try store.openMetadata(stack))
    let made = try store.openTemporary()
    try MetadataMaking.make(stack, into: made.rawValue, in: store)
    if try StoredFile.reading(made.rawValue) != stored {
      problems.append(
        Problem(
          kind: "metadata", subject: stored.digest.description, what: "is not what its layers make", images: names))
    }
  }

  private mutating func read(
    _ file: borrowing FileDescriptor, start: Int64 = 0
  ) throws(ImageError) -> StoredFile {
    let stored = try StoredFile.reading(file.rawValue, start: start)
    bytes += stored.size
    return stored
  }
}
