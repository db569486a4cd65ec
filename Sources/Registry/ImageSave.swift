public import Formats
public import Images
import Linux

/// Images of the store into an archive that Docker, podman and skopeo load, and `immure load` too. Layers' tars are what came, bit for
/// bit, and verified again; compressed they are anew, unless their blobs were kept. The same images give the same archive.
public enum ImageSave {
  public enum Format: String, Sendable, CaseIterable {
    /// `manifest.json` with layers as plain tars (docker/docker, image/tarexport).
    case dockerArchive = "docker-archive"
    /// An OCI image layout in a tar archive.
    case ociArchive = "oci-archive"
    /// An OCI image layout in a folder.
    case ociDirectory = "oci-dir"
  }

  /// What was written.
  public struct Outcome: Sendable, Equatable {
    /// The images' manifests there, in their order.
    public var manifests: [Digest] = []
    /// Which image has another one than it came with, as lines.
    public var lines: [String] = []
  }

  /// Writes images as one archive.
  /// - Parameters:
  ///   - words: names or ids; an image named by its id is saved without a name, as Docker does.
  ///   - path: nil or `-` is standard output, which must be no terminal.
  public static func write(
    _ words: [String], to path: String?, as format: Format, from store: ImageStore, _ progress: any Progress
  ) throws(ImageError) -> Outcome {
    var images: [SavedImage] = []
    for word in words { try add(word, to: &images, store) }
    let isStream = path == nil || path == "-"
    switch format {
    case .ociDirectory:
      guard let path, !isStream else { throw ImageError(.usage, "save: --format oci-dir makes a folder: give -o DIR") }
      var folder = try SaveFolder.begin(path)
      return try OCISave.write(images, into: &folder, progress)
    case .dockerArchive, .ociArchive:
      var archive = SaveArchive(
        isStream ? try SaveTarget.standardOutput() : try SaveTarget.file(path ?? ""))
      if format == .dockerArchive {
        try DockerSave.write(images, into: &archive, progress)
        return Outcome(manifests: images.map(\.parts.image.manifestDigest))
      }
      return try OCISave.write(images, into: &archive, progress)
    }
  }

  private static func add(_ word: String, to images: inout [SavedImage], _ store: ImageStore) throws(ImageError) {
    guard let image = try store.resolve(word) else { throw ImageStore.noSuchImage(word) }
    let index: Int
    if let known = images.firstIndex(where: { $0.parts.image.manifestDigest == image.manifestDigest }) {
      index = known
    } else {
      index = images.count
      // Before anything is read, so that no other command removes a layer meanwhile.
      let lease = try store.lease(image)
      images.append(SavedImage(parts: try store.parts(of: image), store: store, lease: lease))
    }
    // Found by an id, or by the digest of its manifest, it has no name to give.
    guard !word.hasPrefix("sha256:"), case .reference(let reference)? = try? ImageName(word) else { return }
    guard reference.familiar == image.name, reference.digest == nil, !images[index].names.contains(reference) else {
      return
    }
    images[index].names.append(reference)
  }
}

/// One image on its way out, kept from being removed.
struct SavedImage {
  let parts: ImageParts
  /// In the order that they were asked for.
  var names: [ImageReference] = []
  let layers: [KeptLayer]
  private let hold: Hold

  /// A lease in an array.
  private final class Hold: Sendable {
    let lease: ImageLease
    init(_ lease: consuming ImageLease) { self.lease = lease }
  }

  init(parts: ImageParts, store: ImageStore, lease: consuming ImageLease) {
    self.parts = parts
    hold = Hold(lease)
    layers = parts.layers.map {
      KeptLayer(descriptor: $0.descriptor, diffID: $0.diffID, owner: parts.image.name, store: store)
    }
  }
}

/// Docker's form: configurations and layers by digest, and `manifest.json` about them.
enum DockerSave {
  static func write(
    _ images: [SavedImage], into writer: inout some SaveWriter & ~Copyable, _ progress: any Progress
  ) throws(ImageError) {
    var written: Set<Digest> = []
    var manifest: [JSONValue] = []
    for image in images {
      for layer in image.layers where written.insert(layer.diffID).inserted {
        var shown = layer.descriptor
        let size = try layer.tarSize()
        if let size { shown.size = size }
        try writer.add(name(layer), size: size, shown, .tar(layer), progress)
      }
      let configuration = image.parts.image.configurationDigest
      if written.insert(configuration).inserted {
        try writer.add(configuration.hex + ".json", image.parts.configurationBytes)
      }
      manifest.append([
        "Config": .string(configuration.hex + ".json"),
        // Whole names: podman takes short ones for its own.
        "RepoTags": .array(image.names.map { .string($0.canonical) }),
        "Layers": .array(image.layers.map { .string(name($0)) }),
      ])
    }
    try writer.add("manifest.json", JSONValue.array(manifest).bytes())
    try writer.finish()
  }

  private static func name(_ layer: KeptLayer) -> String { layer.diffID.hex + ".tar" }
}

/// An OCI image layout (image-spec, image-layout.md).
enum OCISave {
  private static let blobs = "blobs/sha256"

  static func write(
    _ images: [SavedImage], into writer: inout some SaveWriter & ~Copyable, _ progress: any Progress
  ) throws(ImageError) -> ImageSave.Outcome {
    try writer.add("oci-layout", JSONValue(sorted: ["imageLayoutVersion": "1.0.0"]).bytes())
    try writer.add(folder: "blobs")
    try writer.add(folder: blobs)
    var index = ImageIndex(manifests: [])
    var written: Set<Digest> = []
    var outcome = ImageSave.Outcome()
    // What layers that were not kept as they came are now.
    var packed: [Digest: Descriptor] = [:]
    let tags = images.flatMap { $0.names.compactMap(\.tag) }
    for image in images {
      for layer in image.layers where packed[layer.descriptor.digest] == nil {
        let (descriptor, bytes): (Descriptor, KeptBytes)
        if let blob = try layer.blob() {
          (descriptor, bytes) = (layer.descriptor, blob)
        } else {
          (descriptor, bytes) = try layer.packed()
        }
        packed[layer.descriptor.digest] = descriptor
        if written.insert(descriptor.digest).inserted {
          try writer.add(blobs + "/" + descriptor.digest.hex, size: descriptor.size, descriptor, bytes, progress)
        }
      }
      let bytes = try manifest(of: image.parts, packed)
      let descriptor = Descriptor(
        mediaType: MediaType.ociManifest, digest: Digest.of(bytes), size: Int64(bytes.count),
        platform: image.parts.image.configuration.platform)
      outcome.manifests.append(descriptor.digest)
      if image.layers.contains(where: { packed[$0.descriptor.digest] != $0.descriptor }) {
        outcome.lines.append(
          "\(image.parts.image.name): its layers are compressed anew: the manifest is \(descriptor.digest), it came as \(image.parts.image.manifestDigest); --keep-blobs of pull, load and import keeps digests"
        )
      }
      for (digest, content) in [
        (image.parts.image.configurationDigest, image.parts.configurationBytes), (descriptor.digest, bytes),
      ] where written.insert(digest).inserted {
        try writer.add(blobs + "/" + digest.hex, content)
      }
      if image.names.isEmpty { index.manifests.append(descriptor) }
      for name in image.names {
        var named = descriptor
        // Docker and buildkit write a tag and the whole name beside it; two images of one tag are told apart by the whole.
        let tag = name.tag ?? "latest"
        named.annotations["org.opencontainers.image.ref.name"] =
          tags.filter { $0 == tag }.count == 1 ? tag : name.canonical
        named.annotations["io.containerd.image.name"] = name.canonical
        index.manifests.append(named)
      }
    }
    try writer.add("index.json", index.json.bytes())
    try writer.finish()
    return outcome
  }

  /// The manifest as it was fetched, or one that names the layers as they are now; one of Docker's own form is put into OCI's words, which
  /// a layout's readers demand. The configuration, and so the image's id, stays what it is.
  private static func manifest(
    of parts: ImageParts, _ packed: [Digest: Descriptor]
  ) throws(ImageError) -> [UInt8] {
    let layers = parts.manifest.layers.map { packed[$0.digest] ?? $0 }
    let types = [parts.manifest.configuration.mediaType] + parts.manifest.layers.map(\.mediaType)
    do throws(FormatError) {
      let own = try JSONNode.parse(parts.manifestBytes, source: "manifest").optionalString("mediaType")
      if (own ?? MediaType.ociManifest) == MediaType.ociManifest, layers == parts.manifest.layers,
        !types.contains(where: { oci($0) != $0 })
      {
        return parts.manifestBytes
      }
    } catch { throw ImageError("the image store is damaged", error) }
    var manifest = parts.manifest
    manifest.layers = layers
    manifest.configuration.mediaType = oci(manifest.configuration.mediaType)
    for index in manifest.layers.indices { manifest.layers[index].mediaType = oci(manifest.layers[index].mediaType) }
    return manifest.json.bytes()
  }

  private static func oci(_ type: String) -> String {
    switch type {
    case MediaType.dockerConfiguration: MediaType.ociConfiguration
    case MediaType.dockerLayer: MediaType.ociLayer
    case MediaType.dockerLayerGzip: MediaType.ociLayerGzip
    case MediaType.dockerLayerZstd: MediaType.ociLayerZstd
    default: type
    }
  }
}

extension SaveWriter where Self: ~Copyable {
  /// Adds a layer, and tells how far it is.
  mutating func add(
    _ path: String, size: Int64?, _ shown: Descriptor, _ bytes: KeptBytes, _ progress: any Progress
  ) throws(ImageError) {
    progress.begin(shown)
    try add(path, size: size) { (give) throws(ImageError) in
      var count: Int64 = 0
      try bytes.pass { (chunk) throws(ImageError) in
        try give(chunk)
        count += Int64(chunk.count)
        progress.advance(shown, to: min(count, shown.size))
      }
    }
    progress.finish(shown, isNew: true)
  }
}
