import CLinux
import Formats
import Linux
import Options
import Policy
import Walls

/// The policy that a command line asks for: the built-in one, or a file's, and the options over it.
enum RunPolicy {
  static func make(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Policy {
    do throws(PolicyError) {
      var policy = try base(command.value("policy"), session)
      let surroundings = OptionSurroundings(
        folder: (try? CurrentFolder.path()) ?? "/", variable: { Process.environment($0) })
      // A published port asks for the user-mode network, and so does --allow-private, unless another one is named.
      if command.value("network") == nil, !command.all("publish").isEmpty || command.flag("allow-private") {
        if case .user = policy.network.value {
        } else {
          try policy.apply(.network, "user", spelled: command.flag("allow-private") ? "--allow-private" : "--publish")
        }
      }
      for option in order {
        let name = String(option.rawValue.dropFirst(2))
        if option == .allowPrivate {
          if command.flag(name) { try policy.apply(option, "") }
        } else {
          for text in command.all(name) { try policy.apply(option, text, surroundings: surroundings) }
        }
      }
      try policy.applyCapabilities(adding: command.all("cap-add"), dropping: command.all("cap-drop"))
      return policy
    } catch {
      throw CommandError(125, error.description)
    }
  }

  /// The network's mode comes before its ports; the rest as listed.
  private static let order: [PolicyOption] =
    [.network] + PolicyOption.allCases.filter { $0 != .network && $0 != .environment }

  /// The environment that -e and --env-file add; later ones win.
  static func environment(_ command: ParsedCommand, _ policy: inout Policy) throws(CommandError) {
    let surroundings = OptionSurroundings(variable: { Process.environment($0) })
    do throws(PolicyError) {
      for path in command.all("env-file") {
        let bytes: [UInt8]
        do throws(SystemError) { bytes = try File.contents(path, limit: 1 << 20) } catch {
          throw PolicyError("cannot be read: \(error.errno)", offending: path, subject: "--env-file", origin: .builtIn)
        }
        try policy.applyEnvironmentFile(bytes, path: path, surroundings: surroundings)
      }
      for text in command.all("env") { try policy.apply(.environment, text, surroundings: surroundings) }
    } catch {
      throw CommandError(125, error.description)
    }
  }

  /// "untrusted" is built in; another bare name is a policy that ships; anything with a slash or .toml is a file.
  private static func base(_ word: String?, _ session: Session) throws(PolicyError) -> Policy {
    let untrusted = Policy.untrusted(memoryBytesOfHost: session.host.memoryBytes)
    guard let word, word != "untrusted" else { return untrusted }
    let isFile = word.contains("/") || word.hasSuffix(".toml")
    let candidates = isFile ? [word] : shippedFolders().map { $0 + "/" + word + ".toml" }
    for path in candidates {
      let bytes: [UInt8]
      do throws(SystemError) { bytes = try File.contents(path, limit: PolicyFile.largest) } catch {
        if error.errno == .noEntry { continue }
        throw PolicyError(
          "cannot be read: \(error.errno)", offending: path, subject: "--policy", origin: .option("--policy"))
      }
      return try PolicyFile.read(bytes, path: path, folder: folder(of: path), over: untrusted)
    }
    throw PolicyError(
      isFile ? "is not there" : "is no policy that ships with immure: name a file (./\(word).toml)", offending: word,
      subject: "--policy", origin: .option("--policy"))
  }

  /// The folder a policy lies in, absolute: a seccomp profile's relative path starts there.
  private static func folder(of path: String) -> String? {
    let folder = File.parent(of: path) ?? (path.hasPrefix("/") ? "/" : ".")
    // Where it cannot be told, PolicyFile refuses a relative path.
    guard let opened = try? File.open(folder, O_PATH | O_DIRECTORY) else { return nil }
    return try? File.readLink("/proc/self/fd/\(opened.rawValue)")
  }

  /// share/immure/policies beside the installed command, or policies/ above a build folder.
  private static func shippedFolders() -> [String] {
    guard let own = try? File.readLink("/proc/self/exe"), let folder = File.parent(of: own) else { return [] }
    let above = File.parent(of: folder) ?? "/"
    var folders = [above + "/share/immure/policies", folder + "/policies"]
    var root = above
    for _ in 0..<2 { root = File.parent(of: root) ?? "/" }
    folders.append(root + "/policies")
    return folders
  }
}

/// The folder the caller stands in.
enum CurrentFolder {
  static func path() throws(SystemError) -> String {
    try File.readLink("/proc/self/cwd")
  }
}
