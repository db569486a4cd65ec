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

  init(_ answer: CredentialAnswer) {
    self =
      answer.user == CredentialAnswer.tokenUser
      ? .identityToken(answer.secret) : .password(user: answer.user, password: answer.secret)
  }

  /// As a helper keeps them.
  var answer: CredentialAnswer {
    switch self {
    case .password(let user, let password): CredentialAnswer(user: user, secret: password)
    case .identityToken(let token): CredentialAnswer(user: CredentialAnswer.tokenUser, secret: token)
    }
  }

  /// What a Basic `Authorization` header holds.
  var basic: String? {
    guard case .password(let user, let password) = self else { return nil }
    return "Basic " + Base64.encode(Array((user + ":" + password).utf8))
  }

  /// The user, where one is known.
  public var user: String? {
    guard case .password(let user, _) = self else { return nil }
    return user
  }
}

/// Where credentials are looked for: those given, else the helpers that registries.conf names, else the files of `docker login` and
/// `podman login` (containers-auth.json(5)) and the helpers that those name.
public struct CredentialBook: Sendable {
  /// `--creds`.
  public var given: Credentials?
  /// `--authfile`, which must be there.
  public var file: String?
  /// `credential-helpers` of registries.conf.
  public var helpers: [String]

  /// The word among `credential-helpers` that means the files.
  public static let files = "containers-auth.json"

  public init(given: Credentials? = nil, file: String? = nil, helpers: [String]? = nil) {
    self.given = given
    self.file = file
    self.helpers = helpers ?? [Self.files]
  }

  /// What is known about a repository.
  public func find(for reference: ImageReference) throws(ImageError) -> Credentials? {
    if let given { return given }
    for helper in helpers {
      if helper == Self.files {
        if let found = try findInFiles(for: reference) { return found }
      } else if let answer = try CredentialHelper(name: helper).get(reference.registry) {
        return Credentials(answer)
      }
    }
    return nil
  }

  private func findInFiles(for reference: ImageReference) throws(ImageError) -> Credentials? {
    for path in file.map({ [$0] }) ?? AuthFile.standardPaths().filter({ File.exists($0) }) {
      if let found = try AuthFile.read(path, mustExist: true).credentials(for: reference) { return found }
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
