/// The variables that a run needs, as far as that shows: which ones a program reads leaves no trace, only the files that it then uses.
struct EnvironmentNeeds {
  private(set) var given: [(name: String, value: String, why: String)] = []
  private(set) var possible: [String] = []
  private(set) var secrets: [String] = []

  /// What `run` sets itself, and what belongs to a session and not to a program.
  private static let ignored: Set<String> = [
    "TERM", "_", "SHLVL", "PWD", "OLDPWD", "LOGNAME", "USER", "SHELL", "MAIL", "HOSTNAME", "LS_COLORS", "COLORTERM",
    "DISPLAY", "WAYLAND_DISPLAY", "WINDOWID", "TMUX", "TMUX_PANE", "STY", "EDITOR", "PAGER", "LESS", "LESSOPEN",
    "LESSCLOSE", "HISTFILE", "INVOCATION_ID", "JOURNAL_STREAM", "DEBIAN_FRONTEND", "TERM_PROGRAM", "VTE_VERSION",
  ]
  private static let ignoredPrefixes = ["XDG_", "SSH_", "DBUS_", "SUDO_", "SYSTEMD_", "GPG_", "BASH_FUNC_"]
  private static let folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]

  init(_ facts: TraceFacts) {
    // Programs and files that were really used.
    let used = facts.paths.filter { !$0.value.uses.isDisjoint(with: [.read, .changed, .created, .listed, .executed]) }
    let ran = Set(used.filter { $0.value.uses.contains(.executed) }.keys.map(PathText.parent))
    for entry in facts.environment {
      let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2, !parts[0].isEmpty, !parts[0].utf8.contains(where: { $0 <= 32 || $0 >= 127 }) else {
        continue
      }
      let (name, value) = (parts[0], parts[1])
      if SecretPlace.isSecret(variable: name) {
        if !Self.ignoredPrefixes.contains(where: name.hasPrefix) { secrets.append(name) }
      } else if name == "PATH" {
        let own = value.split(separator: ":").map(String.init).filter { ran.contains($0) && !Self.folders.contains($0) }
        if !own.isEmpty { given.append((name, value, "programs in \(Quoted.list(own)) were run")) }
      } else if Self.ignored.contains(name) || Self.ignoredPrefixes.contains(where: name.hasPrefix) {
        continue
      } else if name == "LANG" || name.hasPrefix("LC_") || name == "TZ" {
        given.append((name, value, "changes what programs print"))
      } else if let path = Self.evidence(value, used) {
        given.append((name, value, "\(Quoted.text(path)) lies in it"))
      } else if name != "HOME" {
        possible.append(name)
      }
    }
  }

  /// A file that was used, in a folder that the value names; folders that hold everything prove nothing.
  private static func evidence(_ value: String, _ used: [String: PathFact]) -> String? {
    for folder in value.split(separator: ":").prefix(16).map(String.init)
    where folder.hasPrefix("/") && PathText.depth(folder) >= (folder.hasPrefix("/root") ? 1 : 2)
      && !folders.contains(folder)
    {
      let plain = folder.hasSuffix("/") ? String(folder.dropLast()) : folder
      if let path = used.keys.filter({ PathText.isIn($0, plain) }).min() { return path }
    }
    return nil
  }

  func write(to text: inout PolicyDraft.Writer) {
    text.line("[environment]")
    for variable in given {
      text.line("\(Self.key(variable.name)) = \(Quoted.text(variable.value))  # \(variable.why)")
    }
    if !possible.isEmpty {
      text.say("Set here and maybe read (nothing shows it): \(possible.sorted().prefix(40).joined(separator: ", "))")
    }
    if !secrets.isEmpty {
      text.say("Set here, and by the name a secret: \(secrets.sorted().prefix(40).joined(separator: ", "))")
    }
  }

  private static func key(_ name: String) -> String {
    let isBare = name.utf8.allSatisfy {
      (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 95 || $0 == 45
    }
    return isBare ? name : Quoted.text(name)
  }
}
