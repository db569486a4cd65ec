public import Formats
public import Images
import Linux

/// An image made of another and one layer more.
public enum CommittedImage {
  /// - Parameters:
  ///   - changes: lines as of a Dockerfile.
  ///   - step: what its history says of it; whether it has a layer is filled in.
  ///   - layer: where the layer's tar comes from, uncompressed. One without members adds no layer.
  ///   - confirm: called at its end, before anything is kept; throws where the tar is not to be trusted to be whole.
  public static func make(
    of base: Image, as name: ImageReference, changes: [String], step: ImageConfiguration.History, layer: Int32,
    in store: ImageStore, _ progress: any Progress, confirm: () throws -> Void
  ) throws -> Digest {
    let lease = try store.lease(base)
    let parts = try store.parts(of: base)
    var configuration = base.configuration
    do throws(FormatError) { try configuration.apply(changes: changes) } catch {
      throw ImageError(.usage, "commit: --change \(error)")
    }
    var step = step
    var layers = parts.manifest.layers
    for index in layers.indices { layers[index].mediaType = inOCIsWords(layers[index].mediaType) }

    let installed = try install(layer, in: store, confirm)
    fillHistory(&configuration, from: base)
    if let (descriptor, diffID, notes) = installed {
      for note in notes { progress.say(note) }
      layers.append(descriptor)
      configuration.diffIDs.append(diffID)
    } else {
      step.isEmptyLayer = true
    }
    configuration.history.append(step)
    configuration.created = step.created
    if let author = step.author { configuration.author = author }

    let bytes: [UInt8]
    do throws(FormatError) {
      let document = try JSONNode.parse(parts.configurationBytes, source: "configuration").value
      bytes = configuration.json(over: document).bytes()
      // What was changed must be something that this and other readers take.
      _ = try ImageConfiguration.parse(bytes, source: "the changed configuration")
    } catch { throw ImageError(.usage, "commit: \(error)") }
    let manifest = ImageManifest(
      configuration: Descriptor(
        mediaType: MediaType.ociConfiguration, digest: Digest.of(bytes), size: Int64(bytes.count)),
      layers: layers)
    let manifestBytes = manifest.json.bytes()
    let plan = try ImagePlan(
      manifestDigest: Digest.of(manifestBytes), manifestBytes: manifestBytes, configurationBytes: bytes, in: store,
      of: name.familiar)
    try plan.name(.reference(name), in: store)
    _ = consume lease
    return manifest.configuration.digest
  }

  private static func install(
    _ input: Int32, in store: ImageStore, _ confirm: () throws -> Void
  ) throws -> (Descriptor, diffID: Digest, notes: [String])? {
    // Two blocks of zeros are the end of a tar, and alone a tar of nothing.
    var start: [UInt8] = []
    while start.count < 1024 {
      let more = try File.read(input, atMost: 1024 - start.count)
      if more.isEmpty { break }
      start += more
    }
    if start.allSatisfy({ $0 == 0 }) {
      try confirm()
      return nil
    }
    var installation = try LayerInstallation.begin(try store.beginLayer(), of: nil, in: store)
    try installation.feed(start.span)
    try LayoutSource.feed(input, to: &installation) { _ in }
    try confirm()
    let (digest, size, summary) = try installation.finish(diffID: nil)
    return (
      Descriptor(mediaType: MediaType.ociLayer, digest: digest, size: size), summary.diffID, summary.notes
    )
  }

  /// A history tells of each layer or of none: where the base's told of too few, the new step would stand for another's layer.
  private static func fillHistory(_ configuration: inout ImageConfiguration, from base: Image) {
    let told = configuration.history.count { !$0.isEmptyLayer }
    for _ in 0..<max(0, base.configuration.diffIDs.count - told) {
      configuration.history.append(ImageConfiguration.History(created: base.configuration.created))
    }
  }

  private static func inOCIsWords(_ type: String) -> String {
    switch type {
    case MediaType.dockerLayer: MediaType.ociLayer
    case MediaType.dockerLayerGzip: MediaType.ociLayerGzip
    case MediaType.dockerLayerZstd: MediaType.ociLayerZstd
    default: type
    }
  }
}
