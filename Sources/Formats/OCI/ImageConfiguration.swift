/// How an image is run and what it is made of (image-spec, config.md).
public struct ImageConfiguration: Sendable, Hashable {
  public var platform: Platform
  /// `NAME=value` entries; each has a name and an equals sign.
  public var environment: [String] = []
  public var command: [String] = []
  public var entrypoint: [String] = []
  /// `user`, `uid`, `user:group`, `uid:gid` …; empty means root.
  public var user = ""
  /// Empty means `/`.
  public var workingDirectory = ""
  /// `80/tcp`, `8000-8010/udp`, sorted.
  public var exposedPorts: [String] = []
  /// Absolute paths, sorted.
  public var volumes: [String] = []
  public var labels: [String: String] = [:]
  /// `SIGTERM`, `15`; empty means the default.
  public var stopSignal = ""
  /// The digests of the uncompressed layers, the lowest first.
  public var diffIDs: [Digest] = []
  public var history: [History] = []
  /// RFC 3339 text.
  public var created: String?
  public var author: String?
  /// Fields that change how Docker runs an image and that nothing here acts on (`Healthcheck`, `OnBuild`, `Shell` …).
  public var unsupportedFields: [String] = []

  public struct History: Sendable, Hashable {
    public var created: String?
    public var createdBy: String?
    public var comment: String?
    public var author: String?
    public var isEmptyLayer = false
    public init(created: String? = nil, createdBy: String? = nil, comment: String? = nil) {
      self.created = created
      self.createdBy = createdBy
      self.comment = comment
    }
  }

  public init(platform: Platform) { self.platform = platform }

  public static func parse(
    _ bytes: [UInt8], source: String = "image configuration"
  ) throws(FormatError) -> ImageConfiguration {
    try parse(bytes.span, source: source)
  }

  public static func parse(
    _ bytes: Span<UInt8>, source: String = "image configuration"
  ) throws(FormatError) -> ImageConfiguration {
    guard Int64(bytes.count) <= Descriptor.maximumConfigurationSize else {
      throw FormatError("has \(bytes.count) bytes; 8 MiB is the most a configuration may have", source: source)
    }
    return try ImageConfiguration(try JSONNode.parse(bytes, source: source))
  }

  /// Fields that are not known are ignored, as the specification demands of a reader.
  public init(_ root: JSONNode) throws(FormatError) {
    platform = Platform(
      os: try root.string("os"), architecture: try root.string("architecture"),
      variant: try root.optionalString("variant"))
    created = try root.optionalString("created")
    author = try root.optionalString("author")

    let rootfs = try root.required("rootfs")
    let type = try rootfs.required("type")
    guard try type.string() == "layers" else {
      throw type.failure("is not a kind of root filesystem known here; layers is")
    }
    let identifiers = try rootfs.optionalArray("diff_ids")
    guard identifiers.count <= ImageManifest.maximumLayers else {
      throw rootfs.failure("has \(identifiers.count) layers; \(ImageManifest.maximumLayers) is the most")
    }
    for node in identifiers { diffIDs.append(try node.digest()) }

    for node in try root.optionalArray("history") {
      var entry = History()
      entry.created = try node.optionalString("created")
      entry.createdBy = try node.optionalString("created_by")
      entry.comment = try node.optionalString("comment")
      entry.author = try node.optionalString("author")
      entry.isEmptyLayer = try node.optionalBool("empty_layer") ?? false
      history.append(entry)
    }
    if let config = try root.optional("config") { try readConfig(config) }
  }

  private mutating func readConfig(_ config: JSONNode) throws(FormatError) {
    for node in try config.optionalArray("Env") {
      let entry = try node.plainString()
      guard let first = entry.utf8.first, first != UInt8(ascii: "="), entry.utf8.contains(UInt8(ascii: "=")) else {
        throw node.failure("is not NAME=value")
      }
      environment.append(entry)
    }
    for node in try config.optionalArray("Cmd") { command.append(try node.plainString()) }
    for node in try config.optionalArray("Entrypoint") { entrypoint.append(try node.plainString()) }
    user = try config.optional("User")?.plainString() ?? ""
    workingDirectory = try config.optional("WorkingDir")?.plainString() ?? ""
    stopSignal = try config.optional("StopSignal")?.plainString() ?? ""
    for (port, node) in try config.optional("ExposedPorts")?.members() ?? [] {
      guard Self.isPort(port) else { throw node.failure("is not a port; 80/tcp and 8000-8010/udp are").naming(port) }
      exposedPorts.append(port)
    }
    exposedPorts.sort()
    for (path, node) in try config.optional("Volumes")?.members() ?? [] {
      guard path.hasPrefix("/"), !path.utf8.contains(0) else {
        throw node.failure("is not an absolute path").naming(path)
      }
      volumes.append(path)
    }
    volumes.sort()
    for (key, value) in try config.optionalStringMap("Labels") ?? [] { labels[key] = value }
    for field in ["Healthcheck", "OnBuild", "Shell", "ArgsEscaped"] {
      if let node = try config.optional(field), node.value != false, node.value != [] {
        unsupportedFields.append(field)
      }
    }
  }

  private static func isPort(_ text: String) -> Bool {
    let halves = text.split(separator: "/", omittingEmptySubsequences: false)
    guard halves.count == 1 || halves.count == 2 && ["tcp", "udp", "sctp"].contains(halves[1]) else { return false }
    let bounds = halves[0].split(separator: "-", omittingEmptySubsequences: false)
    guard (1...2).contains(bounds.count) else { return false }
    let numbers = bounds.compactMap { UInt16($0) }
    return numbers.count == bounds.count && numbers.allSatisfy { $0 > 0 } && numbers[0] <= numbers[numbers.count - 1]
      && bounds.allSatisfy { $0.utf8.first != UInt8(ascii: "+") }
  }

  /// The configuration as JSON: known fields only, always in one order, so that equal values are equal bytes.
  public var json: JSONValue {
    var config = JSONObject()
    if !user.isEmpty { config["User"] = .string(user) }
    if !exposedPorts.isEmpty { config["ExposedPorts"] = Self.set(exposedPorts) }
    if !environment.isEmpty { config["Env"] = .array(environment.map { .string($0) }) }
    if !entrypoint.isEmpty { config["Entrypoint"] = .array(entrypoint.map { .string($0) }) }
    if !command.isEmpty { config["Cmd"] = .array(command.map { .string($0) }) }
    if !volumes.isEmpty { config["Volumes"] = Self.set(volumes) }
    if !workingDirectory.isEmpty { config["WorkingDir"] = .string(workingDirectory) }
    if !labels.isEmpty { config["Labels"] = JSONValue(sorted: labels) }
    if !stopSignal.isEmpty { config["StopSignal"] = .string(stopSignal) }

    var object = JSONObject()
    if let created { object["created"] = .string(created) }
    if let author { object["author"] = .string(author) }
    object["architecture"] = .string(platform.architecture)
    object["os"] = .string(platform.os)
    if let variant = platform.variant { object["variant"] = .string(variant) }
    object["config"] = .object(config)
    object["rootfs"] = ["type": "layers", "diff_ids": .array(diffIDs.map { .string($0.description) })]
    if !history.isEmpty {
      object["history"] = .array(
        history.map { entry in
          var fields = JSONObject()
          if let created = entry.created { fields["created"] = .string(created) }
          if let createdBy = entry.createdBy { fields["created_by"] = .string(createdBy) }
          if let comment = entry.comment { fields["comment"] = .string(comment) }
          if let author = entry.author { fields["author"] = .string(author) }
          if entry.isEmptyLayer { fields["empty_layer"] = true }
          return .object(fields)
        })
    }
    return .object(object)
  }

  private static func set(_ keys: [String]) -> JSONValue {
    // A hostile image may have a million of them: no search per key.
    let sorted = Set(keys).sorted()
    return .object(JSONObject(unique: sorted.map { JSONObject.Member(key: $0, value: .object(JSONObject())) }))
  }
}

extension JSONNode {
  /// A string without NUL: one that the kernel can be given.
  func plainString() throws(FormatError) -> String {
    let text = try string()
    if text.utf8.contains(0) { throw failure("holds a NUL character") }
    return text
  }
}

extension FormatError {
  /// The same error about another text: a key, where the value is beside the point.
  func naming(_ text: String) -> FormatError {
    FormatError(problem, offending: text, at: place, keyPath: keyPath, source: source)
  }
}
