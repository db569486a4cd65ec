public import Formats
public import Images
import Linux

/// What one logs in to: `HOST[:PORT][/NAMESPACE…]`.
public struct RegistryPlace: Sendable {
  public let text: String
  /// A repository there, for the rules that go by names.
  public let reference: ImageReference

  /// - Throws: `FormatError` for what no image's name can begin with.
  public init(_ word: String) throws(FormatError) {
    var text = AuthFile.normalised(word)
    if text.isEmpty { throw FormatError("names no registry", offending: word) }
    let host = String(text.prefix { $0 != "/" })
    let isHost = (try? ImageReference(host + "/x"))?.registry == host
    guard isHost, let reference = try? ImageReference(text + "/x") else {
      throw FormatError("is no registry: HOST[:PORT] is, such as docker.io, quay.io or localhost:5000", offending: word)
    }
    while text.hasSuffix("/") { text.removeLast() }
    self.text = text
    self.reference = reference
  }
}

/// Asks a registry whether it knows who asks.
public enum RegistryLogin {
  /// - Returns: false where it lets everybody in, so that nothing is proved.
  public static func prove(_ endpoint: RegistryEndpoint) async throws(ImageError) -> Bool {
    let connection = try RegistryConnection(endpoint, for: .login)
    do throws(ImageError) {
      let isProved = try await connection.prove()
      await connection.close()
      return isProved
    } catch {
      await connection.close()
      throw error
    }
  }
}

/// Where the credentials of a registry are kept: with the helper that a file or registries.conf names, else in the file.
public struct CredentialKeeper {
  private let path: String
  private let place: RegistryPlace
  private let helpers: [String]

  /// - Parameter helpers: `credential-helpers` of registries.conf.
  public init(_ path: String, _ place: RegistryPlace, _ helpers: [String]?) {
    self.path = path
    self.place = place
    self.helpers = helpers ?? [CredentialBook.files]
  }

  /// The helper, and what it knows the registry as; nil for the file.
  private func helper() throws(ImageError) -> (helper: CredentialHelper, server: String)? {
    let registry = place.reference.registry
    if let first = helpers.first, first != CredentialBook.files { return (CredentialHelper(name: first), registry) }
    let file = try AuthFile.read(path, mustExist: false)
    guard let name = try file.helper(for: registry, everywhere: true) else { return nil }
    return (CredentialHelper(name: name), AuthFile.server(registry))
  }

  /// - Returns: where they are now, for the one who logged in.
  public func keep(_ credentials: Credentials) throws(ImageError) -> String {
    if let (helper, server) = try helper() {
      guard place.text == place.reference.registry else {
        throw ImageError(
          .usage, "\(helper.program) keeps credentials of whole registries: log in to \(place.reference.registry)")
      }
      try helper.store(credentials.answer, for: server)
      return "by \(helper.program)"
    }
    try AuthFile.change(path) { file throws(ImageError) in
      file.set(credentials, for: place.text)
      return true
    }
    return "in \(FormatError.presentable(path))"
  }

  /// - Returns: whether there were any.
  public func forget() throws(ImageError) -> Bool {
    var found = false
    if let (helper, server) = try helper() { found = try helper.erase(server) }
    if try AuthFile.read(path, mustExist: false).places.contains(place.text) {
      try AuthFile.change(path) { file throws(ImageError) in
        found = file.remove(place.text) || found
        return true
      }
    }
    return found
  }

  /// Forgets what the file has or leaves to helpers. - Returns: the places, sorted.
  public static func forgetAll(_ path: String, _ helpers: [String]?) throws(ImageError) -> [String] {
    let file = try AuthFile.read(path, mustExist: false)
    var places = Set(file.places)
    for (registry, _) in try file.helpers() { places.insert(registry) }
    for text in places {
      // A key that is no place is only taken out of the file.
      guard let place = try? RegistryPlace(text) else { continue }
      _ = try CredentialKeeper(path, place, helpers).forget()
    }
    if !file.places.isEmpty {
      try AuthFile.change(path) { file throws(ImageError) in
        for place in file.places { _ = file.remove(place) }
        return true
      }
    }
    return places.sorted()
  }
}
