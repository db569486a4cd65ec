public import Formats
public import Images

/// An image whose manifest and configuration are known: what is left is layers.
public struct ImagePlan: Sendable {
  public let manifestDigest: Digest
  public let manifest: ImageManifest
  public let configuration: ImageConfiguration
  /// Each layer once, the lowest first, with its diff id.
  public let layers: [(descriptor: Descriptor, diffID: Digest)]

  /// Verifies that manifest and configuration belong together, and keeps both in the store.
  public init(
    manifestDigest: Digest, manifestBytes: [UInt8], configurationBytes: [UInt8], in store: ImageStore, of source: String
  ) throws(ImageError) {
    do throws(FormatError) {
      guard case .manifest(let manifest) = try ImageDocument.parse(manifestBytes, source: source) else {
        throw FormatError("is an index where a manifest should be", source: source)
      }
      self.manifest = manifest
      configuration = try ImageConfiguration.parse(configurationBytes, source: "\(source) configuration")
      guard manifest.layers.count == configuration.diffIDs.count else {
        throw FormatError(
          "has \(manifest.layers.count) layers, but its configuration tells of \(configuration.diffIDs.count)",
          source: source)
      }
    } catch {
      throw ImageError(.damaged, "image \(error)")
    }
    self.manifestDigest = manifestDigest
    var layers: [(descriptor: Descriptor, diffID: Digest)] = []
    for (descriptor, diffID) in zip(manifest.layers, configuration.diffIDs) {
      if let earlier = layers.first(where: { $0.descriptor.digest == descriptor.digest }) {
        guard earlier.diffID == diffID else {
          throw ImageError(.damaged, "image \(source): one layer is given two diff ids: refused")
        }
      } else {
        layers.append((descriptor, diffID))
      }
    }
    self.layers = layers
    try store.keep(configurationBytes, as: manifest.configuration)
    try store.keep(manifestBytes, as: manifestDigest)
  }

  /// Begins a layer that is not here yet. One that is must unpack to what this image's configuration says.
  public func begin(
    _ layer: (descriptor: Descriptor, diffID: Digest), in store: ImageStore, _ progress: any Progress
  ) throws(ImageError) -> LayerInstallation? {
    let incoming = try store.beginLayer(layer.descriptor.digest) {
      progress.say("waiting for another command that fetches layer \(layer.descriptor.digest.short)")
    }
    guard let incoming else {
      if let known = try store.layer(layer.descriptor.digest), known.diffID != layer.diffID {
        throw ImageError(
          .damaged,
          "the layer \(layer.descriptor.digest) unpacks to \(known.diffID), but the image's configuration says \(layer.diffID): refused"
        )
      }
      progress.finish(layer.descriptor, isNew: false)
      return nil
    }
    progress.begin(layer.descriptor)
    return try LayerInstallation.begin(incoming, of: layer.descriptor, in: store)
  }

  /// Lets a name lead to the image, once every layer is here; metadata over them is made before.
  public func name(_ name: ImageName, in store: ImageStore) throws(ImageError) {
    do throws(ImageError) { try MetadataMaking.ensure(ImageStore.stack(manifest), in: store) } catch {
      throw ImageError(error.kind, "image \(name.familiar): \(error)")
    }
    try store.name(
      NamedImage(
        name: name, manifest: manifestDigest, configuration: manifest.configuration.digest,
        platform: configuration.platform, size: manifest.layers.reduce(0) { $0 + $1.size }))
  }
}
