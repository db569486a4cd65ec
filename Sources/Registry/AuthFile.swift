import CLinux
public import Formats
public import Images
import Linux

/// A file of credentials as `docker login` and `podman login` keep it (config.json, containers-auth.json(5)). Keys that are not ours stay.
public struct AuthFile: Sendable {
  public let path: String
  private var document: JSONObject

  /// The files in the order in which podman and Docker look; the first is the one that is written.
  public static func standardPaths() -> [String] {
    func set(_ name: String) -> String? {
      guard let value = Process.environment(name), !value.isEmpty else { return nil }
      return value
    }
    // Whoever names a file means that one.
    if let named = set("REGISTRY_AUTH_FILE") { return [named] }
    let home = set("HOME") ?? "/root"
    var paths: [String] = []
    if let runtime = set("XDG_RUNTIME_DIR") {
      paths.append(runtime + "/containers/auth.json")
    } else if Process.effectiveUser == 0 {
      paths.append("/run/containers/0/auth.json")
    }
    paths.append((set("XDG_CONFIG_HOME") ?? home + "/.config") + "/containers/auth.json")
    paths.append((set("DOCKER_CONFIG") ?? home + "/.docker") + "/config.json")
    return paths
  }

  /// - Parameter mustExist: else one that is not there is empty.
  public static func read(_ path: String, mustExist: Bool) throws(ImageError) -> AuthFile {
    let bytes: [UInt8]
    do throws(SystemError) { bytes = try File.contents(path, limit: 4 << 20) } catch {
      if !mustExist, error.errno == .noEntry || error.errno == .notDirectory {
        return AuthFile(path: path, document: JSONObject())
      }
      throw ImageError("cannot read the credentials in \(FormatError.presentable(path))", error)
    }
    // An empty file is what `touch` made of it.
    if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x0A }) { return AuthFile(path: path, document: JSONObject()) }
    do throws(FormatError) {
      let root = try JSONNode.parse(bytes, source: path)
      guard case .object(let document) = root.value else { throw root.failure("must be an object") }
      return AuthFile(path: path, document: document)
    } catch { throw ImageError(.usage, "credentials: \(error)") }
  }

  private var root: JSONNode { JSONNode(.object(document), source: path) }

  // MARK: Reading

  /// What the file knows about a repository: of the helper that it names for the registry, else its longest entry of `host/path…` and
  /// `host`, else of the helper that holds all.
  public func credentials(for reference: ImageReference) throws(ImageError) -> Credentials? {
    if let name = try helper(for: reference.registry, everywhere: false) {
      return try CredentialHelper(name: name).get(Self.server(reference.registry)).map { Credentials($0) }
    }
    var place = reference.name
    while true {
      if let found = try entry(place) { return found }
      guard let slash = place.lastIndex(of: "/") else { break }
      place = String(place[..<slash])
    }
    if let name = try helper(for: reference.registry, everywhere: true) {
      return try CredentialHelper(name: name).get(Self.server(reference.registry)).map { Credentials($0) }
    }
    return nil
  }

  /// The helper that the file leaves a registry to: by `credHelpers`, or by `credsStore` where `everywhere`.
  public func helper(for registry: String, everywhere: Bool) throws(ImageError) -> String? {
    do throws(FormatError) {
      for (key, name) in try root.optionalStringMap("credHelpers") ?? [] where Self.normalised(key) == registry {
        return name
      }
      guard everywhere, let name = try root.optionalString("credsStore"), !name.isEmpty else { return nil }
      return name
    } catch { throw ImageError(.usage, "credentials: \(error)") }
  }

  /// Registries that `credHelpers` names.
  public func helpers() throws(ImageError) -> [(registry: String, helper: String)] {
    do throws(FormatError) {
      return try (root.optionalStringMap("credHelpers") ?? []).map { (Self.normalised($0.key), $0.value) }
    } catch { throw ImageError(.usage, "credentials: \(error)") }
  }

  private func entry(_ place: String) throws(ImageError) -> Credentials? {
    do throws(FormatError) {
      for (key, node) in try root.optional("auths")?.members() ?? [] where Self.normalised(key) == place {
        if let token = try node.optionalString("identitytoken"), !token.isEmpty { return .identityToken(token) }
        if let auth = try node.optionalString("auth"), !auth.isEmpty {
          let decoded = Base64.decode(auth).map { String(decoding: $0.filter { $0 != 0 }, as: UTF8.self) }
          guard let decoded, let colon = decoded.firstIndex(of: ":") else {
            // The text itself is a secret.
            throw FormatError(
              "is not the base64 of USER:PASSWORD", keyPath: "auths.\(FormatError.presentable(key)).auth", source: path)
          }
          return .password(user: String(decoded[..<colon]), password: String(decoded[decoded.index(after: colon)...]))
        }
        if let user = try node.optionalString("username"), let password = try node.optionalString("password") {
          return .password(user: user, password: password)
        }
      }
      return nil
    } catch { throw ImageError(.usage, "credentials: \(error)") }
  }

  /// `host[:port][/path…]` of a key; Docker writes `https://index.docker.io/v1/` for Docker Hub.
  static func normalised(_ key: String) -> String {
    var text = key
    for scheme in ["https://", "http://"] where text.hasPrefix(scheme) { text.removeFirst(scheme.count) }
    for version in ["/v1/", "/v2/", "/v1", "/v2", "/"] where text.hasSuffix(version) {
      text.removeLast(version.count)
      break
    }
    return text == "index.docker.io" || text == "registry-1.docker.io" ? ImageReference.defaultRegistry : text
  }

  /// What helpers know a registry as.
  static func server(_ registry: String) -> String {
    registry == ImageReference.defaultRegistry ? "https://index.docker.io/v1/" : registry
  }

  // MARK: Changing

  /// The places that `auths` has an entry for.
  public var places: [String] {
    guard case .object(let entries)? = document["auths"] else { return [] }
    return entries.map { Self.normalised($0.key) }
  }

  /// Puts an entry in place of every one for the same place; what else stands in such an entry stays.
  public mutating func set(_ credentials: Credentials, for place: String) {
    var entries = object("auths")
    let known = entries.map(\.key).filter { Self.normalised($0) == place }
    // Docker reads Docker Hub's under this key only; podman reads both.
    let key =
      known.first
      ?? (place == ImageReference.defaultRegistry && path.hasSuffix("/config.json") ? Self.server(place) : place)
    for other in known.dropFirst() { entries[other] = nil }
    var entry = JSONObject()
    if case .object(let earlier)? = entries[key] { entry = earlier }
    for name in ["auth", "identitytoken", "username", "password"] { entry[name] = nil }
    switch credentials {
    case .password(let user, let password):
      entry["auth"] = .string(Base64.encode(Array((user + ":" + password).utf8)))
    case .identityToken(let token): entry["identitytoken"] = .string(token)
    }
    entries[key] = .object(entry)
    document["auths"] = .object(entries)
  }

  /// - Returns: whether there was an entry.
  public mutating func remove(_ place: String) -> Bool {
    var entries = object("auths")
    let known = entries.map(\.key).filter { Self.normalised($0) == place }
    for key in known { entries[key] = nil }
    if !known.isEmpty { document["auths"] = .object(entries) }
    return !known.isEmpty
  }

  private func object(_ key: String) -> JSONObject {
    guard case .object(let found)? = document[key] else { return JSONObject() }
    return found
  }

  /// Reads the file, changes it and writes it whole, for its owner only (mode 0600), while no other immure does. A reader sees the old file
  /// or the new one. Where the path is a link, what it leads to is replaced.
  public static func change(
    _ path: String, _ body: (inout AuthFile) throws(ImageError) -> Bool
  ) throws(ImageError) {
    let target = try resolved(path)
    let slash = target.lastIndex(of: "/")
    let parent = slash.map { $0 == target.startIndex ? "/" : String(target[..<$0]) } ?? "."
    let name = slash.map { String(target[target.index(after: $0)...]) } ?? target
    let what = "cannot write the credentials to \(FormatError.presentable(path))"
    guard !name.isEmpty else { throw ImageError(.usage, "\"\(FormatError.presentable(path))\" names no file") }
    let folder = try system(what) { () throws(SystemError) in
      try File.makeDirectories(parent, mode: 0o700)
      let folder = try File.open(parent, O_RDONLY | O_DIRECTORY)
      _ = try File.lock(folder.rawValue)
      return folder
    }
    var file = try read(target, mustExist: false)
    guard try body(&file) else { return }
    let bytes = Array((JSONValue.object(file.document).text(indented: true) + "\n").utf8)
    try system(what) { () throws(SystemError) in try replace(name, bytes, in: folder.rawValue) }
  }

  /// By a file that is made anew: one that somebody else has put there in advance would keep his mode.
  private static func replace(_ name: String, _ bytes: [UInt8], in folder: Int32) throws(SystemError) {
    let temporary = ".\(name.prefix(200)).immure-\(Process.id)"
    do throws(SystemError) { try File.remove(temporary, at: folder) } catch  where error.errno == .noEntry {}
    do throws(SystemError) {
      let file = try File.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600, at: folder)
      try File.writeAll(file.rawValue, bytes)
      try checked("fsync", name, systemCall(Int(SYS_fsync), word(file.rawValue)))
      try File.rename(temporary, to: name, from: folder, into: folder)
    } catch {
      // The half-written file is of no use; what is told is why.
      try? File.remove(temporary, at: folder)
      throw error
    }
  }

  private static func resolved(_ path: String) throws(ImageError) -> String {
    do throws(SystemError) {
      let there = try File.open(path, O_PATH)
      return try File.readLink("/proc/self/fd/\(there.rawValue)")
    } catch {
      if error.errno == .noEntry { return path }
      throw ImageError("cannot open \(FormatError.presentable(path))", error)
    }
  }
}
