public import Formats
public import Images
import Linux

/// Images from a folder in OCI image layout into the store.
public enum LayoutSource {
  /// Takes one image of the layout into the store under a name, or without one for a caller that holds `ImageStore.beginAdding`.
  public static func install(
    _ layout: LayoutDirectory, tag: String?, platform: Platform, as name: ImageName?, in store: ImageStore,
    _ progress: any Progress
  ) throws(ImageError) -> ImagePlan {
    let (digest, bytes) = try layout.manifest(tag: tag, platform: platform)
    return try install(layout, digest, bytes, as: name, in: store, progress)
  }

  static func install(
    _ layout: LayoutDirectory, _ digest: Digest, _ bytes: [UInt8], as name: ImageName?, in store: ImageStore,
    _ progress: any Progress
  ) throws(ImageError) -> ImagePlan {
    let manifest: ImageManifest
    do throws(FormatError) {
      guard case .manifest(let parsed) = try ImageDocument.parse(bytes, source: layout.path) else {
        throw FormatError("is an index where a manifest should be", source: layout.path)
      }
      manifest = parsed
    } catch { throw ImageError(.damaged, "image \(error)") }
    let configuration = try layout.blob(manifest.configuration)
    let plan = try ImagePlan(
      manifestDigest: digest, manifestBytes: bytes, configurationBytes: configuration, in: store, of: layout.path)
    for layer in plan.layers {
      guard var installation = try plan.begin(layer, in: store, progress) else { continue }
      let file = try layout.open(layer.descriptor)
      try feed(file.rawValue, to: &installation) { progress.advance(layer.descriptor, to: $0) }
      _ = try installation.finish(diffID: layer.diffID)
      progress.finish(layer.descriptor, isNew: true)
    }
    if let name { try plan.name(name, in: store) }
    return plan
  }

  /// Passes a file's bytes on to its end.
  static func feed(
    _ descriptor: Int32, to installation: inout LayerInstallation, _ advance: (Int64) -> Void
  ) throws(ImageError) {
    var buffer = [UInt8](repeating: 0, count: 256 << 10)
    while true {
      let count: Int
      do throws(SystemError) {
        var span = buffer.mutableSpan
        count = try File.read(descriptor, into: &span)
      } catch { throw ImageError("cannot read the layer", error) }
      if count == 0 { return }
      try installation.feed(buffer.span.extracting(0..<count))
      advance(installation.count)
    }
  }
}
