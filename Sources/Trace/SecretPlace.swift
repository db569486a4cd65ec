/// Paths and variables in which people keep what opens other doors. A policy never grants one silently.
public enum SecretPlace {
  /// Within a home folder: the folder or file, and everything below it.
  private static let inHome = [
    ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".git-credentials", ".npmrc", ".pypirc",
    ".pgpass",
    ".my.cnf", ".password-store", ".config/gcloud", ".config/gh", ".config/hub", ".config/op", ".config/rclone",
    ".config/containers", ".local/share/keyrings", ".mozilla", ".config/google-chrome", ".config/chromium",
    ".thunderbird", ".electrum", ".bitcoin", ".bash_history", ".zsh_history", ".python_history", ".vault-token",
    ".terraform.d", ".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".m2/settings.xml",
  ]
  /// Anywhere, by the last name.
  private static let names = [
    ".env", ".netrc", ".git-credentials", ".npmrc", ".pypirc", ".pgpass", ".htpasswd", "id_rsa", "id_dsa", "id_ecdsa",
    "id_ed25519", "credentials.json", "secrets.toml", "secrets.yaml", "secrets.yml", "service-account.json",
    "kubeconfig", "docker.sock",
  ]
  private static let endings = [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", "_key", ".ppk", ".ovpn"]
  private static let publicFolders = ["/usr", "/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/ca-certificates"]
  private static let folders = [
    "/run/secrets", "/var/run/secrets", "/etc/ssl/private", "/var/lib/private", "/etc/wireguard",
  ]

  /// - Parameters:
  ///   - home: the user's, besides /root and those in /home.
  ///   - patterns: absolute, with "*" for any run of characters but "/": what a box never shows of the host's root.
  public static func holds(_ path: String, home: String?, patterns: [String]) -> Bool {
    if folders.contains(where: { PathText.isIn(path, $0) }) { return true }
    if patterns.contains(where: { PathText.matches(path, $0) }) { return true }
    if homes(of: path, home: home).contains(where: { home in inHome.contains { PathText.isIn(path, home + "/" + $0) } })
    {
      return true
    }
    let last = PathText.name(path)
    if names.contains(last) || last.hasPrefix(".env.") || endings.contains(where: last.hasSuffix) {
      // Lists of authorities are public, wherever they lie.
      let isPublic = ["cacert", "ca-bundle", "ca-cert", "ca_bundle", "root_ca"].contains {
        last.lowercased().contains($0)
      }
      return !isPublic && !publicFolders.contains { PathText.isIn(path, $0) }
    }
    return false
  }

  /// Whether a whole folder may be given: it holds no place for secrets that people have, whether this run saw one or not.
  static func isPlain(_ folder: String, home: String?) -> Bool {
    !homes(of: folder, home: home).contains { home in
      inHome.contains { PathText.isIn(home + "/" + $0, folder) }
    }
  }

  /// NAME alone tells: its value is not looked at.
  public static func isSecret(variable name: String) -> Bool {
    let upper = name.uppercased()
    return [
      "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "APIKEY", "API_KEY", "PRIVATE", "_KEY", "_PAT", "AUTH",
      "COOKIE",
    ]
    .contains { upper.contains($0) }
  }

  /// The home folders that a path could lie in.
  private static func homes(of path: String, home: String?) -> [String] {
    var homes = ["/root"]
    if let home, home != "/" { homes.append(home) }
    let parts = path.split(separator: "/")
    if parts.count >= 2, parts[0] == "home" { homes.append("/home/" + parts[1]) }
    return homes
  }
}

/// Absolute paths as text.
enum PathText {
  static func isIn(_ path: String, _ folder: String) -> Bool {
    folder == "/" || path == folder || path.hasPrefix(folder + "/")
  }

  /// Whether the path or a folder above it is among these.
  static func isIn(_ path: String, anyOf folders: [String: some Any]) -> Bool {
    if folders.isEmpty { return false }
    var place = path
    while true {
      if folders[place] != nil { return true }
      if place == "/" { return false }
      place = parent(place)
    }
  }

  /// The folder of so many names above a path, or the path itself.
  static func ancestor(_ path: String, depth: Int) -> String? {
    let names = path.split(separator: "/")
    return names.count < depth ? nil : "/" + names.prefix(depth).joined(separator: "/")
  }

  static func name(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? "" }

  /// "/" for a path directly below it, and for itself.
  static func parent(_ path: String) -> String {
    let parts = path.split(separator: "/").dropLast()
    return "/" + parts.joined(separator: "/")
  }

  static func depth(_ path: String) -> Int { path.split(separator: "/").count }

  /// Whether a pattern's names match a path's first ones, name by name.
  static func matches(_ path: String, _ pattern: String) -> Bool {
    let names = path.split(separator: "/")
    let wanted = pattern.split(separator: "/")
    return names.count >= wanted.count
      && zip(names, wanted).allSatisfy { matches(Array($0.utf8)[...], Array($1.utf8)[...]) }
  }

  private static func matches(_ name: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
    guard let first = pattern.first else { return name.isEmpty }
    if first == UInt8(ascii: "*") {
      return name.indices.contains { matches(name[$0...], pattern.dropFirst()) }
        || matches(name[name.endIndex...], pattern.dropFirst())
    }
    return name.first == first && matches(name.dropFirst(), pattern.dropFirst())
  }
}
