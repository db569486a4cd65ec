import Formats

/// The policy of a run as TOML (docs/policy.md), every rule with its reason. What it did is granted in the least words that the policy
/// has for it; secrets, services' sockets and whole homes stand in it as comments, for a person to decide.
public struct PolicyDraft: Sendable {
  /// UTF-8 text that `PolicyFile` accepts, whatever the program's paths and names were.
  public let text: String
  /// What a person should look at first.
  public let warnings: [String]

  /// - Parameters:
  ///   - profile: the seccomp profile's path as the policy should name it; nil for the default one.
  ///   - notes: what is to be said besides, such as of the profile.
  public init(_ facts: TraceFacts, _ places: ShownPlaces, profile: String?, notes: [String] = []) {
    let files = FileNeeds(facts, places)
    let network = NetworkNeeds(facts)
    var text = Writer()
    text.say("Written by `immure trace` from one run of: \(Quoted.list(facts.command))")
    text.say(
      "It took \(facts.milliseconds) ms and ended with status \(facts.status). Another run may need more: read this before you trust it."
    )
    for note in facts.notes + notes { text.say("Note: " + note) }
    text.blank()
    if network.usesLoopback && network.mode == .none {
      text.say("It speaks to itself over loopback, which a jail cannot keep apart from this machine's.")
      text.line("at_least = \"container\"")
    }
    if !files.devices.isEmpty { text.list("devices", files.devices) }
    text.blank()
    Self.write(files, network, to: &text)
    Self.write(network, to: &text)
    Self.writeProcesses(facts, profile, to: &text)
    Self.writeLimits(facts, to: &text)
    EnvironmentNeeds(facts).write(to: &text)
    self.text = text.text
    var warnings: [String] = []
    for line in files.read + files.write + files.hidden where line.why.hasPrefix("SECRET") {
      if let path = line.path {
        warnings.append("\(Quoted.text(path)) looks like a secret: the policy does not give it")
      }
    }
    for service in network.services {
      warnings.append("it spoke to \(Quoted.text(service)), a service of this machine: the policy does not give it")
    }
    if network.mode == .host { warnings.append("it needs this machine's own network: the policy gives it whole") }
    for line in files.read + files.write + files.devices where line.isLeftOut && line.why.hasSuffix("unasked") {
      if let path = line.path {
        warnings.append("\(Quoted.text(path)) is too much to give: it stands in the policy as a comment")
      }
    }
    self.warnings = warnings
  }

  private static func write(_ files: FileNeeds, _ network: NetworkNeeds, to text: inout Writer) {
    text.line("[files]")
    if !files.shown.isEmpty {
      text.say("Shown without a rule, where there is no image: \(FileNeeds.some(files.shown))")
    }
    if !files.lost.isEmpty {
      text.say("Made in the box's own /tmp and its like, and gone with the box: \(FileNeeds.some(files.lost))")
    }
    text.list("read", files.read)
    var write = files.write
    for service in network.services {
      let isPath = service.hasPrefix("/")
      write.append(
        FileNeeds.Line(
          path: nil,
          why: isPath
            ? "it spoke to a service of this machine; to give it: { path = \(Quoted.text(service)), sockets = true },"
            : "it spoke to the abstract socket \(Quoted.text(service)), which only network = \"host\" reaches"))
    }
    text.list("write", write)
    text.list("hidden", files.hidden)
    text.blank()
  }

  private static func write(_ network: NetworkNeeds, to text: inout Writer) {
    text.line("[network]")
    for reason in network.reasons { text.say(reason) }
    if network.reasons.isEmpty && !network.usesLoopback { text.say("It connected to nothing and listened nowhere.") }
    switch network.mode {
    case .none: text.line("mode = \"none\"")
    case .host: text.line("mode = \"host\"")
    case .user:
      text.line("mode = \"user\"")
      if !network.ports.isEmpty { text.line("ports = " + Quoted.list(network.ports)) }
      if network.allowsPrivate { text.line("allow_private = true") }
    }
    text.blank()
  }

  private static func writeProcesses(_ facts: TraceFacts, _ profile: String?, to text: inout Writer) {
    text.line("[processes]")
    text.line("new_privileges = false")
    text.line("others = \"hidden\"")
    for (capability, calls) in facts.privileges.sorted(by: { $0.key < $1.key }) {
      text.say("\(calls.sorted().joined(separator: ", ")) succeeded, by \(capability) on this machine: not given")
    }
    if let profile {
      text.say("\(facts.calls.count) system calls, and no other.")
      text.line("seccomp = \(Quoted.text(profile))")
    } else {
      text.line("seccomp = \"default\"")
    }
    text.blank()
  }

  private static func writeLimits(_ facts: TraceFacts, to text: inout Writer) {
    func up(_ value: UInt64, least: UInt64) -> UInt64 {
      var power = least
      while power < value, power < 1 << 40 { power *= 2 }
      return power
    }
    let mebibytes = (facts.peakMemoryBytes + (1 << 20) - 1) >> 20
    let memory = (mebibytes * 2 + 64 + 31) / 32 * 32
    text.line("[limits]")
    text.say("Twice what was seen, and room to start:")
    text.line("memory = \"\(memory)m\"  # \(mebibytes) MiB at once, pages that processes share counted for each")
    text.line(
      "pids = \(up(UInt64(facts.peakTasks) * 2, least: 16))  # \(facts.peakTasks) processes and threads at once")
    text.line(
      "open_files = \(up(UInt64(facts.peakDescriptors) * 2, least: 256))  # \(facts.peakDescriptors) in one process")
    text.line("core_size = 0")
    text.blank()
  }

  /// Lines of TOML.
  struct Writer {
    private(set) var text = ""
    mutating func line(_ line: String) { text += line + "\n" }
    mutating func blank() { if !text.hasSuffix("\n\n") { text += "\n" } }
    /// A remark; what is a stranger's in it is quoted already.
    mutating func say(_ remark: String) { text += "# " + remark + "\n" }

    mutating func list(_ key: String, _ lines: [FileNeeds.Line]) {
      if lines.isEmpty { return }
      if !lines.contains(where: { $0.path != nil && !$0.isLeftOut }) {
        say("\(key) = []")
        for entry in lines { say("  " + Self.entry(entry)) }
        return
      }
      line("\(key) = [")
      for entry in lines { line("  " + (entry.isLeftOut || entry.path == nil ? "# " : "") + Self.entry(entry)) }
      line("]")
    }

    private static func entry(_ line: FileNeeds.Line) -> String {
      guard let path = line.path else { return line.why }
      // A colon divides host and box in a plain string.
      let value = path.utf8.contains(UInt8(ascii: ":")) ? "{ path = \(Quoted.text(path)) }" : Quoted.text(path)
      return "\(value),  # \(line.why)"
    }
  }
}
