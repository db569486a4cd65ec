/// What a credential helper says (docker/docker-credential-helpers, "Development"): programs `docker-credential-NAME` that are
/// given a word (`get`, `store`, `erase`, `list`) and read and write on their standard streams.
public struct CredentialAnswer: Sendable, Equatable {
  public var user: String
  public var secret: String

  /// The user's name that says the secret is an identity token.
  public static let tokenUser = "<token>"
  /// The most that a helper may say: 64 KiB.
  public static let maximumSize = 64 << 10

  public init(user: String, secret: String) {
    self.user = user
    self.secret = secret
  }

  /// Reads the answer to `get`. No message holds any of it.
  public init(_ bytes: [UInt8], source: String) throws(FormatError) {
    let root: JSONNode
    do { root = try JSONNode.parse(bytes, source: source) } catch {
      throw FormatError("answers with something that is no JSON", source: source)
    }
    guard let user = try? root.string("Username"), let secret = try? root.string("Secret") else {
      throw FormatError("answers without Username and Secret", source: source)
    }
    guard Self.isFit(user), Self.isFit(secret), !user.isEmpty, !secret.isEmpty else {
      throw FormatError("answers with an empty name or secret, or with control characters in one", source: source)
    }
    self.user = user
    self.secret = secret
  }

  /// The answer to `list`: registries and users, sorted.
  public static func list(_ bytes: [UInt8], source: String) throws(FormatError) -> [(server: String, user: String)] {
    var found: [(server: String, user: String)] = []
    for (server, node) in try JSONNode.parse(bytes, source: source).members() {
      found.append((server, try node.string()))
    }
    return found.sorted { $0.server.utf8.lexicographicallyPrecedes($1.server.utf8) }
  }

  /// Whether what a helper that failed said means that it has no such credentials: an answer, not a failure.
  public static func isAbsence(_ bytes: [UInt8]) -> Bool {
    let text = String(decoding: bytes, as: UTF8.self)
    return ["credentials not found", "no credentials server URL", "no credentials username"].contains {
      text.contains($0)
    }
  }

  /// Whether a name may be put behind `docker-credential-`: it must lead to no other folder.
  public static func isHelper(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 64
      && name.utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || [0x2D, 0x2E, 0x5F].contains(byte)
      }
  }

  /// What `store` is given.
  public func storing(_ server: String) -> [UInt8] {
    JSONValue.object([("ServerURL", .string(server)), ("Username", .string(user)), ("Secret", .string(secret))].object)
      .bytes()
  }

  /// Neither a name nor a secret can carry what a header or a line ends with.
  private static func isFit(_ text: String) -> Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }
}

extension [(String, JSONValue)] {
  fileprivate var object: JSONObject {
    var object = JSONObject()
    for (key, value) in self { object[key] = value }
    return object
  }
}
