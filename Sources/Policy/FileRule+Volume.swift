extension FileRule {
  /// Where a host keeps the sockets of its services, and those of its users' sessions.
  static let socketFolders = ["/run", "/var/run"]

  /// Whether an absolute path shows services' sockets by its name alone: /run, in it, or a folder that holds it. A wall asks again
  /// with the path that links led to, and whether it is a socket itself.
  public static func reachesHostSockets(_ path: String) -> Bool {
    socketFolders.contains { HostPath.isIn(path, $0) || HostPath.isIn($0, path) }
  }

  /// `SRC:DST[:ro|rw|sockets,…]` of `-v` and `--volume`; `SRC` alone appears at its own path. `sockets` says that the box may talk to
  /// the host's services through it, which is refused otherwise.
  /// - Parameter folder: what a relative SRC starts from.
  public static func volume(_ text: String, option: String = "--volume", relativeTo folder: String)
    throws(PolicyError) -> Setting<FileRule>
  {
    let subject = Subject(option: option)
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    if parts.count > 3 || parts.contains("") {
      throw subject.failure("is not SRC:DST[:ro]; a path with a colon fits only in a policy file", text)
    }
    let isPath = parts[0].hasPrefix("/") || parts[0].hasPrefix(".")
    if !isPath {
      throw subject.failure("names a volume, which is not supported: write a path of the host (./…)", text)
    }
    let source = try HostPath.parse(parts[0], from: folder, subject)
    let destination = try HostPath.parseDestination(parts.count > 1 ? parts[1] : source, subject)
    var rule = FileRule(.write, source, at: destination)
    if parts.count == 3 {
      for word in parts[2].split(separator: ",", omittingEmptySubsequences: false) {
        switch word {
        case "ro": rule.access = .read
        case "rw": rule.access = .write
        case "sockets": rule.sockets = true
        case "z", "Z", "U", "O", "nocopy", "shared", "rshared", "slave", "rslave", "private", "rprivate", "consistent",
          "cached", "delegated", "idmap", "noexec", "nodev", "nosuid", "exec", "dev", "suid":
          throw subject.failure("asks for \"\(word)\", which is not supported: ro, rw or sockets", text)
        default:
          throw subject.failure("has an unknown word after the second colon: ro, rw or sockets", text)
        }
      }
    }
    try rule.refuseSockets(subject)
    return subject.setting(rule)
  }

  func refuseSockets(_ subject: Subject) throws(PolicyError) {
    if access == .hidden || sockets || !FileRule.reachesHostSockets(path) { return }
    let remedy =
      if case .option = subject.origin { "add :sockets" } else {
        "write { path = …, sockets = true }"
      }
    throw subject.failure(
      "would let the box talk to the host's services through their sockets: \(remedy) if you mean it", path)
  }
}
