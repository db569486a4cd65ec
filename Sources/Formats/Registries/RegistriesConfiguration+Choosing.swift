extension RegistriesConfiguration {
  /// A place where an image is asked for.
  public struct Source: Sendable, Equatable {
    /// What it is called there.
    public var reference: ImageReference
    public var isInsecure: Bool
    public var isMirror: Bool
  }

  /// Where to ask for an image, in order: its mirrors, then the place itself ("Remapping and mirroring registries").
  /// - Throws: `FormatError` that names the file and line where the image is blocked, or a rewritten name that is none.
  public func sources(for reference: ImageReference) throws(FormatError) -> [Source] {
    guard let (registry, length) = registry(for: reference) else {
      return [Source(reference: reference, isInsecure: false, isMirror: false)]
    }
    try refuseBlocked(reference, registry)
    var found: [Source] = []
    for mirror in registry.mirrors {
      guard mirror.use == .all || (mirror.use == .digestOnly) == (reference.digest != nil) else { continue }
      found.append(
        Source(
          reference: try rewritten(reference, length, mirror, registry), isInsecure: mirror.isInsecure, isMirror: true))
    }
    let own = try rewritten(reference, length, registry.location, registry)
    found.append(Source(reference: own, isInsecure: registry.location.isInsecure, isMirror: false))
    return found
  }

  /// Where an image is pushed to: under its own name, without mirrors and rewriting, as the manual has it.
  public func destination(of reference: ImageReference) throws(FormatError) -> Source {
    guard let (registry, _) = registry(for: reference) else {
      return Source(reference: reference, isInsecure: false, isMirror: false)
    }
    try refuseBlocked(reference, registry)
    return Source(reference: reference, isInsecure: registry.location.isInsecure, isMirror: false)
  }

  private func refuseBlocked(_ reference: ImageReference, _ registry: Registry) throws(FormatError) {
    guard registry.isBlocked else { return }
    throw FormatError("is blocked by \(registry.place)", offending: reference.familiar)
  }

  /// The table with the longest prefix that the name begins with, and how much of the name that is.
  private func registry(for reference: ImageReference) -> (Registry, Int)? {
    let name = Array(reference.canonical.utf8)
    var best: (registry: Registry, length: Int)?
    for registry in registries {
      guard let length = Self.match(name, Array(registry.prefix.utf8)), length > best?.length ?? 0 else { continue }
      best = (registry, length)
    }
    return best.map { ($0.registry, $0.length) }
  }

  /// How many bytes of a name a prefix covers; nil where it is none ("Choosing a [[registry]] TOML table").
  private static func match(_ name: [UInt8], _ prefix: [UInt8]) -> Int? {
    let ends: [UInt8] = [UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "@")]
    if prefix.starts(with: "*.".utf8) {
      // The host alone, without its port, must end so, and have more before.
      let host = name.prefix { !ends.contains($0) }
      let suffix = prefix.dropFirst()
      guard host.count > suffix.count, host.suffix(suffix.count).elementsEqual(suffix) else { return nil }
      return host.count
    }
    guard name.starts(with: prefix) else { return nil }
    return name.count == prefix.count || ends.contains(name[prefix.count]) ? prefix.count : nil
  }

  private func rewritten(
    _ reference: ImageReference, _ length: Int, _ location: Location, _ registry: Registry
  ) throws(FormatError) -> ImageReference {
    if location.text.isEmpty || location.text == registry.prefix { return reference }
    // A prefix that ends in a tag or digest leaves them to a location that has none.
    let covered = length > reference.name.utf8.count && ImageReference.bare(location.text) == location.text
    let rest = String(
      decoding: Array(reference.canonical.utf8)[(covered ? reference.name.utf8.count : length)...], as: UTF8.self)
    // A registry alone in place of a whole repository would be a repository of Docker Hub's.
    guard !ImageReference.isShort(location.text + rest) else {
      throw FormatError("(to which \(registry.place) leads) has no repository", offending: location.text + rest)
    }
    do { return try ImageReference(location.text + rest) } catch {
      throw FormatError("(to which \(registry.place) leads) \(error.problem)", offending: location.text + rest)
    }
  }

  // MARK: Short names

  /// What a name without a registry may mean, the best first ("Short-Name Aliasing"); one with a registry means itself. Where no file
  /// names registries to search, Docker Hub is meant, as with Docker.
  public func candidates(for text: String) throws(FormatError) -> [ImageReference] {
    let reference = try ImageReference(text)
    guard ImageReference.isShort(text) else { return [reference] }
    let bare = ImageReference.bare(text)
    let suffix = String(text.dropFirst(bare.count))
    if let alias = aliases[bare], !alias.isEmpty { return [try ImageReference(alias + suffix)] }
    guard let searched = searchRegistries else { return [reference] }
    var found: [ImageReference] = []
    for registry in searched { found.append(try ImageReference(registry + "/" + bare + suffix)) }
    return found
  }

  /// What a person is to be asked where there is one: the candidates, where there are several and the mode does not forbid the question
  /// ("short-name-mode"); nil where nothing is to be asked.
  public func question(about text: String) throws(FormatError) -> [ImageReference]? {
    guard shortNameMode != .disabled else { return nil }
    let found = try candidates(for: text)
    return found.count > 1 ? found : nil
  }

  /// The text of a file of aliases as podman writes it, for names that were looked at (`init`).
  public static func file(ofAliases aliases: [String: String]) -> String {
    "[aliases]\n" + aliases.sorted { $0.key < $1.key }.map { "  \"\($0.key)\" = \"\($0.value)\"\n" }.joined()
  }

  /// The candidates that may be fetched, in order.
  /// - Throws: `FormatError` where there is none, or several and `enforcing` wants it to be said which.
  public func meanings(of text: String) throws(FormatError) -> [ImageReference] {
    let found = try candidates(for: text)
    if found.isEmpty {
      throw FormatError(
        "has no registry, and registries.conf lets none be searched (unqualified-search-registries): give the whole name",
        offending: text)
    }
    if found.count > 1, shortNameMode == .enforcing {
      throw FormatError(
        "may mean several images, and registries.conf wants it to be said (short-name-mode): give one of "
          + found.map(\.canonical).joined(separator: ", "), offending: text)
    }
    return found
  }
}

extension ImageReference {
  /// Whether a text that is an image's name leaves its registry out: `python`, `me/app`.
  public static func isShort(_ text: String) -> Bool {
    guard let slash = text.firstIndex(of: "/") else { return true }
    let first = text[..<slash]
    return !(first.contains(".") || first.contains(":") || first == "localhost" || first.contains { $0.isUppercase })
  }

  /// A name's text without tag and digest.
  public static func bare(_ text: String) -> String {
    let end = text.firstIndex(of: "@") ?? text.endIndex
    guard let colon = text[..<end].lastIndex(of: ":"), !text[colon..<end].contains("/") else {
      return String(text[..<end])
    }
    return String(text[..<colon])
  }
}
