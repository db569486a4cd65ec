/// What a name or digest at a registry leads to: one image, or an index of images for several platforms.
public enum ImageDocument: Sendable {
  case index(ImageIndex)
  case manifest(ImageManifest)

  /// Reads an index or a manifest of OCI or Docker schema 2.
  ///
  /// The document's own `mediaType`, the one its transport declared and the fields that are there must agree: bytes that
  /// can be read as an index and as a manifest are refused (CVE-2021-41190).
  /// - Parameters:
  ///   - declared: the `Content-Type` or the descriptor's media type, where there is one.
  ///   - source: the document's name in errors.
  public static func parse(
    _ bytes: Span<UInt8>, declared: String? = nil, source: String = "manifest"
  ) throws(FormatError) -> ImageDocument {
    guard Int64(bytes.count) <= Descriptor.maximumManifestSize else {
      throw FormatError("has \(bytes.count) bytes; 4 MiB is the most a manifest may have", source: source)
    }
    let root = try JSONNode.parse(bytes, source: source)
    let version = try root.required("schemaVersion")
    switch try version.int() {
    case 2: break
    case 1: throw version.failure("is Docker's schema 1, which carries no verifiable configuration; not supported")
    default: throw version.failure("is not a schema version known here; 2 is")
    }
    let own = try root.optionalString("mediaType")
    if let own, let declared, own != declared {
      throw try root.required("mediaType").failure(
        "is what the document says it is, but it was served as \(FormatError.presentable(declared))")
    }
    let object = try root.object()
    let hasIndexFields = object["manifests"] != nil
    let hasManifestFields = object["config"] != nil || object["layers"] != nil
    for field in ["fsLayers", "history", "signatures"] where object[field] != nil {
      throw FormatError("is a field of Docker's schema 1 and has no place here", offending: field, source: source)
    }
    guard !(hasIndexFields && hasManifestFields) else {
      throw FormatError(
        "both an index (manifests) and a manifest (config, layers): refused as ambiguous", source: source)
    }
    guard hasIndexFields || hasManifestFields else {
      throw FormatError("neither an index (manifests) nor a manifest (config, layers)", source: source)
    }
    if let type = own ?? declared {
      let kind: MediaType
      do { kind = try MediaType(type) } catch { throw error.from(source) }
      guard kind == (hasIndexFields ? .index : .manifest) else {
        throw FormatError(
          "is not what the fields say: they are those of \(hasIndexFields ? "an index" : "a manifest")",
          offending: type, keyPath: "mediaType", source: source)
      }
    }
    return hasIndexFields ? .index(try ImageIndex(root, type: own)) : .manifest(try ImageManifest(root, type: own))
  }

  public static func parse(
    _ bytes: [UInt8], declared: String? = nil, source: String = "manifest"
  ) throws(FormatError) -> ImageDocument {
    try parse(bytes.span, declared: declared, source: source)
  }
}

/// Images of one name for several platforms (image-spec, image-index.md; Docker's manifest list).
public struct ImageIndex: Sendable, Hashable {
  public var manifests: [Descriptor]
  public var annotations: [String: String]

  /// The most entries that are taken.
  public static let maximumEntries = 1024

  public init(manifests: [Descriptor], annotations: [String: String] = [:]) {
    self.manifests = manifests
    self.annotations = annotations
  }

  init(_ root: JSONNode, type: String?) throws(FormatError) {
    let entries = try root.array("manifests")
    guard entries.count <= Self.maximumEntries else {
      throw FormatError("has \(entries.count) entries; \(Self.maximumEntries) is the most", source: root.source)
    }
    manifests = []
    for entry in entries { manifests.append(try Descriptor(entry, maximum: Descriptor.maximumManifestSize)) }
    annotations = [:]
    for (key, value) in try root.optionalStringMap("annotations") ?? [] { annotations[key] = value }
  }

  /// The best entry for a platform: an image (not an attestation or another artifact) with the nearest variant, the
  /// first of equals.
  /// - Throws: `FormatError` that lists the platforms there are.
  public func manifest(for wanted: Platform) throws(FormatError) -> Descriptor {
    var best: (distance: Int, descriptor: Descriptor)?
    for descriptor in images {
      // An index in the wild may leave the platform out where there is one entry only.
      let offered = descriptor.platform ?? (images.count == 1 ? wanted : nil)
      guard let offered, let distance = wanted.distance(to: offered) else { continue }
      if best.map({ distance < $0.distance }) ?? true { best = (distance, descriptor) }
    }
    if let best { return best.descriptor }
    let there = images.compactMap { $0.platform.map { FormatError.presentable($0.description) } }
    let list = there.isEmpty ? "no image at all" : there.prefix(12).joined(separator: ", ")
    throw FormatError("is not a platform this image has; it has " + list, offending: wanted.description)
  }

  private var images: [Descriptor] {
    manifests.filter { descriptor in
      descriptor.artifactType == nil && descriptor.platform?.os != "unknown"
        && (descriptor.mediaType == MediaType.ociManifest || descriptor.mediaType == MediaType.dockerManifest
          || descriptor.mediaType == MediaType.ociIndex || descriptor.mediaType == MediaType.dockerIndex)
    }
  }

  /// As an OCI image index.
  public var json: JSONValue {
    var object = JSONObject()
    object["schemaVersion"] = 2
    object["mediaType"] = .string(MediaType.ociIndex)
    object["manifests"] = .array(manifests.map(\.json))
    if !annotations.isEmpty { object["annotations"] = JSONValue(sorted: annotations) }
    return .object(object)
  }
}

/// One image: its configuration and its layers, the lowest first (image-spec, manifest.md; Docker's schema 2).
public struct ImageManifest: Sendable, Hashable {
  public var configuration: Descriptor
  public var layers: [Descriptor]
  public var annotations: [String: String]

  /// The most layers that are taken; Docker itself stops at 127.
  public static let maximumLayers = 512

  public init(configuration: Descriptor, layers: [Descriptor], annotations: [String: String] = [:]) {
    self.configuration = configuration
    self.layers = layers
    self.annotations = annotations
  }

  init(_ root: JSONNode, type: String?) throws(FormatError) {
    let configurationNode = try root.required("config")
    configuration = try Descriptor(configurationNode, maximum: Descriptor.maximumConfigurationSize)
    if let artifact = try root.optionalString("artifactType") {
      throw FormatError(
        "is an artifact, not an image", offending: artifact, keyPath: "artifactType", source: root.source)
    }
    try Self.check(configuration.mediaType, in: configurationNode) { $0 == .configuration }
    let nodes = try root.array("layers")
    guard nodes.count <= Self.maximumLayers else {
      throw FormatError("has \(nodes.count) layers; \(Self.maximumLayers) is the most", source: root.source)
    }
    layers = []
    for node in nodes {
      let layer = try Descriptor(node)
      try Self.check(layer.mediaType, in: node) { if case .layer = $0 { true } else { false } }
      layers.append(layer)
    }
    annotations = [:]
    for (key, value) in try root.optionalStringMap("annotations") ?? [] { annotations[key] = value }
  }

  private static func check(
    _ mediaType: String, in node: JSONNode, _ fits: (MediaType) -> Bool
  ) throws(FormatError) {
    let node = try node.required("mediaType")
    let type: MediaType
    do { type = try MediaType(mediaType) } catch { throw node.failure(error.problem) }
    guard fits(type) else { throw node.failure("has no place here") }
  }

  /// As an OCI image manifest.
  public var json: JSONValue {
    var object = JSONObject()
    object["schemaVersion"] = 2
    object["mediaType"] = .string(MediaType.ociManifest)
    object["config"] = configuration.json
    object["layers"] = .array(layers.map(\.json))
    if !annotations.isEmpty { object["annotations"] = JSONValue(sorted: annotations) }
    return .object(object)
  }
}
