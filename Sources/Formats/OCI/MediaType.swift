/// What a blob of an image is, by its media type (image-spec media-types.md; Docker's schema 2).
public enum MediaType: Sendable, Hashable {
  case index, manifest, configuration
  case layer(Compression)

  public enum Compression: Sendable, Hashable { case none, gzip, zstd }

  public static let ociIndex = "application/vnd.oci.image.index.v1+json"
  public static let ociManifest = "application/vnd.oci.image.manifest.v1+json"
  public static let ociConfiguration = "application/vnd.oci.image.config.v1+json"
  public static let ociLayer = "application/vnd.oci.image.layer.v1.tar"
  public static let ociLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip"
  public static let ociLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd"
  public static let dockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json"
  public static let dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
  public static let dockerConfiguration = "application/vnd.docker.container.image.v1+json"
  public static let dockerLayer = "application/vnd.docker.image.rootfs.diff.tar"
  public static let dockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
  public static let dockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd"

  /// What a client says it takes for a name: the `Accept` header's values.
  public static let acceptedManifests = [ociIndex, ociManifest, dockerIndex, dockerManifest]

  /// - Throws: `FormatError` that names what is known and not supported, else quotes the unknown type.
  public init(_ text: String) throws(FormatError) {
    switch text {
    case Self.ociIndex, Self.dockerIndex: self = .index
    case Self.ociManifest, Self.dockerManifest: self = .manifest
    case Self.ociConfiguration, Self.dockerConfiguration: self = .configuration
    case Self.ociLayer, Self.dockerLayer: self = .layer(.none)
    case Self.ociLayerGzip, Self.dockerLayerGzip: self = .layer(.gzip)
    case Self.ociLayerZstd, Self.dockerLayerZstd: self = .layer(.zstd)
    default: throw FormatError(Self.refusal(of: text), offending: text)
    }
  }

  private static func refusal(of text: String) -> String {
    if text.hasPrefix("application/vnd.oci.image.layer.nondistributable.")
      || text.hasPrefix("application/vnd.docker.image.rootfs.foreign.")
    {
      return "is a foreign (non-distributable) layer, which no registry serves; not supported"
    }
    if text.hasPrefix("application/vnd.docker.distribution.manifest.v1+") {
      return "is Docker's schema 1, which carries no verifiable configuration; not supported"
    }
    if text == "application/vnd.docker.plugin.v1+json" { return "is a Docker plugin, not an image" }
    if text == "application/vnd.oci.empty.v1+json" || text == "application/vnd.oci.artifact.manifest.v1+json"
      || text.hasPrefix("application/vnd.cncf.") || text.hasPrefix("application/vnd.dev.") || text.contains("in-toto")
    {
      return "is an artifact, not an image"
    }
    if text.hasSuffix("+encrypted") { return "is encrypted; not supported" }
    return "is not a media type of an image"
  }
}
