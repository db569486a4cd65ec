public import Formats
public import Images
import Linux

/// Who asks a registry.
public enum Credentials: Sendable, Equatable {
  case password(user: String, password: String)
  /// A refresh token for a token server (`identitytoken`).
  case identityToken(String)

  /// From `USER:PASSWORD`.
  public init(_ text: String) throws(ImageError) {
    guard let colon = text.firstIndex(of: ":"), colon != text.startIndex else {
      throw ImageError(.usage, "--creds is not USER:PASSWORD")
    }
    self = .password(user: String(text[..<colon]), password: String(text[text.index(after: colon)...]))
  }

  /// What a Basic `Authorization` header holds.
  var basic: String? {
    guard case .password(let user, let password) = self else { return nil }
    return "Basic " + Base64.encode(Array((user + ":" + password).utf8))
  }
}

/// Credentials as `docker login` and `podman login` keep them (config.json, containers-auth.json(5)).
public struct CredentialFile: Sendable {
  private var entries: [(key: String, credentials: Credentials)] = []
  /// Registries whose credentials lie with a helper program, which is not run here.
  private var helpers: [String: String] = [:]
  private var defaultHelper: String?

  public init(_ bytes: [UInt8], source: String) throws(FormatError) {
    let root = try JSONNode.parse(bytes, source: source)
    for (key, node) in try root.optional("auths")?.members() ?? [] {
      if let token = try node.optionalString("identitytoken"), !token.isEmpty {
        entries.append((Self.normalised(key), .identityToken(token)))
      } else if let auth = try node.optionalString("auth"), !auth.isEmpty {
        let decoded = Base64.decode(auth).map { String(decoding: $0.filter { $0 != 0 }, as: UTF8.self) }
        guard let decoded, let colon = decoded.firstIndex(of: ":") else {
          throw FormatError("is not the base64 of USER:PASSWORD", keyPath: "auths.\(key).auth", source: source)
        }
        entries.append(
          (
            Self.normalised(key),
            .password(user: String(decoded[..<colon]), password: String(decoded[decoded.index(after: colon)...]))
          ))
      } else if let user = try node.optionalString("username"), let password = try node.optionalString("password") {
        entries.append((Self.normalised(key), .password(user: user, password: password)))
      }
    }
    for (key, value) in try root.optionalStringMap("credHelpers") ?? [] { helpers[Self.normalised(key)] = value }
    defaultHelper = try root.optionalString("credsStore")
  }

  /// The entry for a repository: the longest of `host/path…` and `host` that is there.
  public func credentials(for reference: ImageReference) -> Credentials? {
    var place = reference.name
    while true {
      if let entry = entries.first(where: { $0.key == place }) { return entry.credentials }
      guard let slash = place.lastIndex(of: "/") else { return nil }
      place = String(place[..<slash])
    }
  }

  /// The helper that holds the registry's credentials.
  public func helper(for reference: ImageReference) -> String? { helpers[reference.registry] ?? defaultHelper }

  /// Docker writes `https://index.docker.io/v1/` for Docker Hub.
  private static func normalised(_ key: String) -> String {
    var text = key
    for scheme in ["https://", "http://"] where text.hasPrefix(scheme) { text.removeFirst(scheme.count) }
    for version in ["/v1/", "/v2/", "/v1", "/v2", "/"] where text.hasSuffix(version) {
      text.removeLast(version.count)
      break
    }
    return text == "index.docker.io" || text == "registry-1.docker.io" ? ImageReference.defaultRegistry : text
  }

  /// The files that hold credentials, in the order podman and Docker look; only those that are there.
  static func standardFiles() -> [String] {
    var files: [String] = []
    if let set = Process.environment("REGISTRY_AUTH_FILE") { files.append(set) }
    if let runtime = Process.environment("XDG_RUNTIME_DIR") { files.append(runtime + "/containers/auth.json") }
    let home = Process.environment("HOME") ?? "/root"
    files.append((Process.environment("XDG_CONFIG_HOME") ?? home + "/.config") + "/containers/auth.json")
    files.append((Process.environment("DOCKER_CONFIG") ?? home + "/.docker") + "/config.json")
    return files.filter { File.exists($0) }
  }

  /// What is known about a repository: from the file named, which must be there, or the first standard one that tells.
  public static func find(
    for reference: ImageReference, file: String?, say: (String) -> Void
  ) throws(ImageError) -> Credentials? {
    for path in file.map({ [$0] }) ?? standardFiles() {
      let bytes: [UInt8]
      do throws(SystemError) { bytes = try File.contents(path, limit: 4 << 20) } catch {
        throw ImageError("cannot read the credentials in \(FormatError.presentable(path))", error)
      }
      let parsed: CredentialFile
      do throws(FormatError) { parsed = try CredentialFile(bytes, source: path) } catch {
        throw ImageError(.usage, "credentials: \(error)")
      }
      if let found = parsed.credentials(for: reference) { return found }
      if let helper = parsed.helper(for: reference) {
        say(
          "\(path) leaves the credentials for \(reference.registry) to docker-credential-\(FormatError.presentable(helper)), which is not run here: going on without (use --creds)"
        )
      }
    }
    return nil
  }
}

/// Base 64 (RFC 4648, section 4).
enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let word = group.enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << UInt32(16 - 8 * $1.offset) }
      for place in 0..<4 {
        text.append(place <= group.count ? alphabet[Int(word >> UInt32(18 - 6 * place)) & 63] : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Nil for what is no base 64.
  static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var word: UInt32 = 0
    var bits = 0
    for byte in text.utf8 {
      if byte == UInt8(ascii: "=") || byte == 0x0A || byte == 0x0D { continue }
      guard let value = alphabet.firstIndex(of: byte) else { return nil }
      word = word << 6 | UInt32(value)
      bits += 6
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
      }
    }
    return bytes
  }
}
