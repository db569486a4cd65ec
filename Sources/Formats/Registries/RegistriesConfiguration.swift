/// Which registries stand behind an image's name (containers-registries.conf(5), version 2): one file, or several merged.
///
/// Keys that are not known are passed over, as every reader of these files does (they are shared with podman and skopeo); `remarks`
/// names each with its line. Version 1 is refused by name.
public struct RegistriesConfiguration: Sendable, Equatable {
  /// For which pulls a mirror is asked (`pull-from-mirror`).
  public enum MirrorUse: String, Sendable, CaseIterable {
    case all
    case digestOnly = "digest-only"
    case tagOnly = "tag-only"
  }

  /// How a short name is looked for where several registries are searched (`short-name-mode`).
  public enum ShortNameMode: String, Sendable, CaseIterable { case enforcing, permissive, disabled }

  /// A place that images are fetched from.
  public struct Location: Sendable, Equatable {
    /// `host[:port][/namespace…]`; empty leaves the name as it is.
    public var text: String
    /// Plain http, and certificates of anybody, are taken.
    public var isInsecure: Bool
    public var use: MirrorUse
  }

  /// One `[[registry]]` table.
  public struct Registry: Sendable, Equatable {
    public var prefix: String
    public var location: Location
    public var isBlocked: Bool
    public var mirrors: [Location]
    /// The file and line of the table, for messages.
    public var place: String
  }

  /// Nil where no file says; an empty list is a word too.
  public var searchRegistries: [String]?
  public var credentialHelpers: [String]?
  public var shortNameMode: ShortNameMode?
  public var registries: [Registry] = []
  /// Short names and what they mean; an empty meaning takes an earlier file's alias away.
  public var aliases: [String: String] = [:]
  /// What was passed over, a line each.
  public var remarks: [String] = []

  public init() {}

  /// Reads one file.
  /// - Throws: `FormatError` with the line and key of what is wrong.
  public init(_ bytes: [UInt8], source: String) throws(FormatError) {
    let root = try TOMLNode.parse(bytes, source: source)
    if let old = try root.optional("registries") {
      throw old.failure("is version 1 of registries.conf, which is not supported: write [[registry]] tables")
    }
    remark(
      root,
      ["unqualified-search-registries", "credential-helpers", "short-name-mode", "registry", "aliases"])
    if let list = try root.optional("unqualified-search-registries") {
      searchRegistries = try list.elements().map { (node) throws(FormatError) in
        let text = try Self.location(node)
        guard !text.contains("/"), Self.isPlace(text) else { throw node.failure("is not a registry: HOST[:PORT] is") }
        return text
      }
    }
    if let list = try root.optional("credential-helpers") {
      credentialHelpers = try list.elements().map { (node) throws(FormatError) in
        let name = try node.string()
        guard CredentialAnswer.isHelper(name) else { throw node.failure("is not the name of a credential helper") }
        return name
      }
    }
    if let mode = try root.optional("short-name-mode"), case let text = try mode.string(), !text.isEmpty {
      guard let known = ShortNameMode(rawValue: text) else {
        throw mode.failure("is not a mode: there are enforcing, permissive and disabled")
      }
      shortNameMode = known
    }
    for node in try root.optionalArray("registry") {
      let registry = try Self.registry(node)
      guard !registries.contains(where: { $0.prefix == registry.prefix }) else {
        throw node.failure("names the prefix \(FormatError.presentable(registry.prefix)) a second time")
      }
      remark(
        node, ["prefix", "location", "insecure", "blocked", "mirror", "mirror-by-digest-only", "pull-from-mirror"])
      for mirror in try node.optionalArray("mirror") { remark(mirror, ["location", "insecure", "pull-from-mirror"]) }
      registries.append(registry)
    }
    for (name, node) in try root.optional("aliases")?.members() ?? [] {
      let value = try node.string()
      guard ImageReference.isShort(name), ImageReference.bare(name) == name, (try? ImageReference(name)) != nil else {
        throw node.failure("is the meaning of \"\(FormatError.presentable(name))\", which is no short name")
      }
      if !value.isEmpty {
        do { _ = try ImageReference(value) } catch { throw node.failure(error.problem) }
        guard !ImageReference.isShort(value), ImageReference.bare(value) == value else {
          throw node.failure("must be a whole name with its registry, without tag and digest")
        }
      }
      aliases[name] = value
    }
  }

  private mutating func remark(_ node: TOMLNode, _ known: [String]) {
    guard let members = try? node.members() else { return }
    for (key, value) in members where !known.contains(key) {
      remarks.append(value.failure("is the value of a key that is not known here: passed over").description)
    }
  }

  /// A later file over this one (containers-registries.conf.d(5)): lists and modes are replaced, tables by their prefix, aliases by name.
  public mutating func merge(_ later: RegistriesConfiguration) {
    searchRegistries = later.searchRegistries ?? searchRegistries
    credentialHelpers = later.credentialHelpers ?? credentialHelpers
    shortNameMode = later.shortNameMode ?? shortNameMode
    for registry in later.registries {
      registries.removeAll { $0.prefix == registry.prefix }
      registries.append(registry)
    }
    aliases.merge(later.aliases) { $1 }
    remarks += later.remarks
  }

  // MARK: Tables

  private static func registry(_ node: TOMLNode) throws(FormatError) -> Registry {
    let locationNode = try node.optional("location")
    let location = try locationNode.map { (node) throws(FormatError) in try Self.location(node) } ?? ""
    let prefixNode = try node.optional("prefix")
    var prefix = try prefixNode.map { (node) throws(FormatError) in try Self.location(node) } ?? ""
    if prefix.isEmpty { prefix = location }
    guard !prefix.isEmpty else { throw node.failure("has neither a prefix nor a location") }
    let isWild = prefix.hasPrefix("*.")
    guard isPlace(isWild ? "x" + prefix.dropFirst() : prefix),
      !isWild || !prefix.contains(where: { "/:@".contains($0) })
    else {
      throw (prefixNode ?? locationNode ?? node).failure("is not HOST[:PORT][/NAMESPACE…], nor *.HOST")
    }
    guard location.isEmpty ? isWild : isPlace(location) else {
      throw (locationNode ?? node).failure(
        location.isEmpty
          ? "has no location, which only a prefix that begins with *. may lack" : "is not HOST[:PORT][/NAMESPACE…]")
    }
    if let use = try node.optional("pull-from-mirror"), try !use.string().isEmpty {
      throw use.failure("stands in [[registry]], but has its place in [[registry.mirror]]")
    }
    let byDigest = try node.optionalBool("mirror-by-digest-only") ?? false
    var mirrors: [Location] = []
    for mirror in try node.optionalArray("mirror") {
      let place = try mirror.required("location")
      let text = try Self.location(place)
      guard isPlace(text) else { throw place.failure("is not HOST[:PORT][/NAMESPACE…]") }
      var use = byDigest ? MirrorUse.digestOnly : .all
      if let own = try mirror.optional("pull-from-mirror"), case let word = try own.string(), !word.isEmpty {
        guard let known = MirrorUse(rawValue: word) else {
          throw own.failure("is none of all, digest-only and tag-only")
        }
        guard !byDigest else {
          throw own.failure("contradicts mirror-by-digest-only of its registry: give one of them")
        }
        use = known
      }
      mirrors.append(Location(text: text, isInsecure: try mirror.optionalBool("insecure") ?? false, use: use))
    }
    return Registry(
      prefix: prefix,
      location: Location(text: location, isInsecure: try node.optionalBool("insecure") ?? false, use: .all),
      isBlocked: try node.optionalBool("blocked") ?? false, mirrors: mirrors, place: "\(node.source):\(node.line)")
  }

  /// A prefix's or location's text without a slash at its end; URLs are refused.
  private static func location(_ node: TOMLNode) throws(FormatError) -> String {
    var text = try node.string()
    if text.hasPrefix("http://") || text.hasPrefix("https://") {
      throw node.failure("is a URL where HOST[:PORT][/NAMESPACE…] should be")
    }
    while text.hasSuffix("/") { text.removeLast() }
    return text
  }

  /// Whether a name of an image can begin like this; a whole one with tag or digest can too.
  private static func isPlace(_ text: String) -> Bool {
    let host = text.prefix { $0 != "/" }
    guard let reference = try? ImageReference(host.count == text.count ? text + "/x" : text) else { return false }
    // What has neither dot nor port would be a repository of Docker Hub's.
    return reference.registry == host || host == "index.docker.io"
  }
}
