public import Formats
public import Images
import Linux

/// A root file system in a tar file becomes an image of one layer.
public enum RootImport {
  /// - Parameters:
  ///   - path: the file, plain, gzip or zstd; `-` is standard input.
  ///   - configuration: how the image is run; its layers are filled in.
  public static func install(
    _ path: String, as name: ImageName, _ configuration: ImageConfiguration, in store: ImageStore,
    _ progress: any Progress
  ) throws(ImageError) -> Digest {
    let file: FileDescriptor
    do throws(SystemError) {
      file = path == "-" ? try FileDescriptor.duplicate(0) : try File.open(path, 0)
    } catch { throw ImageError("cannot open \"\(FormatError.presentable(path))\"", error) }
    var installation = try LayerInstallation.begin(try store.beginLayer(), of: nil, in: store)
    do throws(ImageError) {
      try LayoutSource.feed(file.rawValue, to: &installation) { _ in }
    } catch { throw ImageError(error.kind, "\(FormatError.presentable(path)): \(error)") }
    let mediaType = installation.mediaType
    let digest: Digest
    let size: Int64
    let summary: LayerSummary
    do throws(ImageError) { (digest, size, summary) = try installation.finish(diffID: nil) } catch {
      throw ImageError(error.kind, "\(FormatError.presentable(path)) is no root file system in a tar archive: \(error)")
    }
    for note in summary.notes { progress.say(note) }

    var configuration = configuration
    configuration.diffIDs = [summary.diffID]
    let configurationBytes = configuration.json.bytes()
    let manifest = ImageManifest(
      configuration: Descriptor(
        mediaType: MediaType.ociConfiguration, digest: Digest.of(configurationBytes),
        size: Int64(configurationBytes.count)),
      layers: [Descriptor(mediaType: mediaType, digest: digest, size: size)])
    let bytes = manifest.json.bytes()
    let plan = try ImagePlan(
      manifestDigest: Digest.of(bytes), manifestBytes: bytes, configurationBytes: configurationBytes, in: store,
      of: name.familiar)
    try plan.name(name, in: store)
    return plan.manifest.configuration.digest
  }
}
