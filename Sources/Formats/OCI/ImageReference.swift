/// The name of an image as Docker reads it: `[registry/]repository[:tag][@digest]`
/// (github.com/distribution/reference, `ParseNormalizedNamed`).
///
/// A first component with a dot or a colon, or `localhost`, is a registry; without one the registry is `docker.io`, and
/// a bare repository there lies under `library/`. Without tag and digest the tag is `latest`.
public struct ImageReference: Sendable, Hashable, CustomStringConvertible {
  /// Host with optional port: `docker.io`, `localhost:5000`, `[::1]:5000`.
  public let registry: String
  /// Lowercase path without a leading or trailing slash: `library/python`.
  public let repository: String
  /// Nil only where a digest alone was given.
  public let tag: String?
  public let digest: Digest?

  public static let defaultRegistry = "docker.io"

  /// - Throws: `FormatError` that quotes the text and names the part that is wrong.
  public init(_ text: String) throws(FormatError) {
    func wrong(_ problem: String) -> FormatError { FormatError(problem, offending: text) }
    guard !text.isEmpty else { throw FormatError("the image name is empty") }
    guard text.utf8.count <= 512 else { throw wrong("is too long for an image name") }
    let bytes = Array(text.utf8)
    guard bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw wrong("is not an image name: it holds spaces, control characters or letters outside ASCII")
    }

    var name = bytes[...]
    if let at = name.firstIndex(of: UInt8(ascii: "@")) {
      do { digest = try Digest(String(decoding: name[(at + 1)...], as: UTF8.self)) } catch {
        throw wrong("has no valid digest after the @ (\(error.problem))")
      }
      name = name[..<at]
    } else {
      digest = nil
    }

    var host: ArraySlice<UInt8>?
    if let slash = name.firstIndex(of: UInt8(ascii: "/")) {
      let first = name[..<slash]
      if Self.looksLikeRegistry(first) {
        host = first
        name = name[(slash + 1)...]
      }
    }
    if let host {
      guard Self.isRegistry(host) else { throw wrong("does not begin with a valid registry host") }
      let spelled = String(decoding: host, as: UTF8.self)
      registry = spelled == "index.docker.io" ? Self.defaultRegistry : spelled
    } else {
      registry = Self.defaultRegistry
    }

    // What is left has no port in it, so a colon can only begin the tag.
    if let colon = name.firstIndex(of: UInt8(ascii: ":")) {
      let spelled = name[(colon + 1)...]
      guard Self.isTag(spelled) else {
        throw wrong("has no valid tag after the colon: 1 to 128 letters, digits, _ . - and no . or - first")
      }
      tag = String(decoding: spelled, as: UTF8.self)
      name = name[..<colon]
    } else {
      tag = digest == nil ? "latest" : nil
    }

    if name.contains(where: { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }) {
      throw wrong("is not an image name: the repository must be lowercase")
    }
    guard Self.isRepository(name) else {
      throw wrong(
        "is not an image name: a repository is made of a-z, 0-9, and single . _ or - between them, parted by /")
    }
    // With a tag or a digest it is a name there too.
    if bytes.count == 64, bytes.allSatisfy({ $0.hexDigit != nil }) {
      throw wrong("looks like an image's id, which cannot be a name")
    }
    let path = String(decoding: name, as: UTF8.self)
    repository = registry == Self.defaultRegistry && !name.contains(UInt8(ascii: "/")) ? "library/" + path : path
    guard registry.utf8.count + 1 + repository.utf8.count <= 255 else {
      throw wrong("is too long for an image name: registry and repository have 255 characters at most")
    }
  }

  private init(registry: String, repository: String, tag: String?, digest: Digest?) {
    self.registry = registry
    self.repository = repository
    self.tag = tag
    self.digest = digest
  }

  /// The same repository by digest alone: how content is asked for once it is known.
  public func at(_ digest: Digest) -> ImageReference {
    ImageReference(registry: registry, repository: repository, tag: nil, digest: digest)
  }

  /// Registry and repository without tag and digest: `docker.io/library/python`.
  public var name: String { registry + "/" + repository }

  /// Everything spelled out: `docker.io/library/python:3.12`.
  public var canonical: String { name + suffix }

  /// As a person writes it: `python:3.12`; the default registry and `library/` left out, but for a repository there whose first part would be
  /// taken for a registry.
  public var familiar: String {
    guard registry == Self.defaultRegistry else { return canonical }
    if let slash = repository.utf8.firstIndex(of: UInt8(ascii: "/")), Self.looksLikeRegistry(repository.utf8[..<slash])
    {
      return canonical
    }
    let prefix = "library/"
    let rest = repository.dropFirst(prefix.count)
    let isOfficial = repository.hasPrefix(prefix) && !rest.contains("/")
    return (isOfficial ? String(rest) : repository) + suffix
  }

  public var description: String { familiar }

  private var suffix: String { (tag.map { ":" + $0 } ?? "") + (digest.map { "@\($0)" } ?? "") }

  // MARK: Grammar

  /// What a first part before a slash is taken for.
  private static func looksLikeRegistry(_ first: some Collection<UInt8>) -> Bool {
    first.contains { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") || isUpper($0) }
      || first.elementsEqual("localhost".utf8)
  }
  private static func isAlphanumeric(_ byte: UInt8) -> Bool { isLower(byte) || isUpper(byte) || isDigit(byte) }
  private static func isLower(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
  private static func isUpper(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  /// Host names of letters, digits, inner hyphens and dots, or an IPv6 address in brackets; a port of 1 to 65535.
  private static func isRegistry(_ text: ArraySlice<UInt8>) -> Bool {
    var host = text
    if host.first == UInt8(ascii: "[") {
      guard let end = host.firstIndex(of: UInt8(ascii: "]")) else { return false }
      let address = host[(host.startIndex + 1)..<end]
      guard !address.isEmpty, address.allSatisfy({ $0.hexDigit != nil || $0 == UInt8(ascii: ":") }) else {
        return false
      }
      let rest = host[(end + 1)...]
      return rest.isEmpty || rest.first == UInt8(ascii: ":") && isPort(rest.dropFirst())
    }
    if let colon = host.firstIndex(of: UInt8(ascii: ":")) {
      guard isPort(host[(colon + 1)...]) else { return false }
      host = host[..<colon]
    }
    return host.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
      guard let first = label.first, let last = label.last else { return false }
      return isAlphanumeric(first) && isAlphanumeric(last)
        && label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }
  }

  private static func isPort(_ digits: ArraySlice<UInt8>) -> Bool {
    guard (1...5).contains(digits.count), digits.allSatisfy(isDigit) else { return false }
    return (1...65535).contains(digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) })
  }

  private static func isTag(_ tag: ArraySlice<UInt8>) -> Bool {
    guard let first = tag.first, tag.count <= 128, isAlphanumeric(first) || first == UInt8(ascii: "_") else {
      return false
    }
    return tag.allSatisfy {
      isAlphanumeric($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
    }
  }

  /// Components of `[a-z0-9]+` joined by one `.`, one or two `_`, or any number of `-`.
  private static func isRepository(_ path: ArraySlice<UInt8>) -> Bool {
    path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { component in
      guard let last = component.last, isLower(last) || isDigit(last) else { return false }
      var separator: [UInt8] = []
      var isFirst = true
      for byte in component {
        if isLower(byte) || isDigit(byte) {
          if !separator.isEmpty {
            let isAllowed =
              separator == [UInt8(ascii: ".")] || separator == [UInt8(ascii: "_")]
              || separator == [UInt8(ascii: "_"), UInt8(ascii: "_")]
              || separator.allSatisfy { $0 == UInt8(ascii: "-") }
            guard isAllowed, !isFirst else { return false }
            separator = []
          }
          isFirst = false
        } else if byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") {
          if isFirst { return false }
          separator.append(byte)
        } else {
          return false
        }
      }
      return true
    }
  }
}
