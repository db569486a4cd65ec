/// A pointer to content: type, digest and size (image-spec, descriptor.md).
public struct Descriptor: Sendable, Hashable {
  public var mediaType: String
  public var digest: Digest
  /// Bytes; 0 to 1 TiB.
  public var size: Int64
  public var annotations: [String: String]
  /// Only in an index.
  public var platform: Platform?
  /// The kind of artifact where the index says it is one.
  public var artifactType: String?

  /// The largest blob that a descriptor may announce: 1 TiB.
  public static let maximumSize: Int64 = 1 << 40
  /// The largest manifest, index: 4 MiB, the least that registries must take (distribution-spec, "Pushing Manifests").
  public static let maximumManifestSize: Int64 = 4 << 20
  /// The largest image configuration: 8 MiB.
  public static let maximumConfigurationSize: Int64 = 8 << 20

  public init(
    mediaType: String, digest: Digest, size: Int64, annotations: [String: String] = [:], platform: Platform? = nil
  ) {
    self.mediaType = mediaType
    self.digest = digest
    self.size = size
    self.annotations = annotations
    self.platform = platform
  }

  /// - Parameter maximum: the largest size taken for this use.
  public init(_ node: JSONNode, maximum: Int64 = Descriptor.maximumSize) throws(FormatError) {
    mediaType = try node.string("mediaType")
    digest = try node.required("digest").digest()
    let sizeNode = try node.required("size")
    size = try sizeNode.integer()
    guard (0...maximum).contains(size) else { throw sizeNode.failure("is not a size between 0 and \(maximum) bytes") }
    annotations = [:]
    for (key, value) in try node.optionalStringMap("annotations") ?? [] { annotations[key] = value }
    platform = try node.optional("platform").map { (node) throws(FormatError) in
      Platform(
        os: try node.string("os"), architecture: try node.string("architecture"),
        variant: try node.optionalString("variant"))
    }
    artifactType = try node.optionalString("artifactType")
  }

  public var json: JSONValue {
    var object = JSONObject()
    object["mediaType"] = .string(mediaType)
    object["digest"] = .string(digest.description)
    object["size"] = .integer(size)
    if !annotations.isEmpty { object["annotations"] = JSONValue(sorted: annotations) }
    if let platform {
      var fields = JSONObject()
      fields["architecture"] = .string(platform.architecture)
      fields["os"] = .string(platform.os)
      if let variant = platform.variant { fields["variant"] = .string(variant) }
      object["platform"] = .object(fields)
    }
    return .object(object)
  }
}

extension JSONNode {
  /// A string that is a digest; the error says where.
  public func digest() throws(FormatError) -> Digest {
    let text = try string()
    do { return try Digest(text) } catch { throw failure(error.problem) }
  }
}

extension JSONValue {
  /// An object of strings in the order of its keys, so that equal maps are equal bytes.
  public init(sorted map: [String: String]) {
    let keys = map.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    self = .object(JSONObject(unique: keys.map { JSONObject.Member(key: $0, value: .string(map[$0] ?? "")) }))
  }
}
