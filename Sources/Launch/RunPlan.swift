import CLinux
import Formats
import Linux
import Options
import Policy
import Seccomp
import Walls

/// All that `run` decided before anything is made: the wall, the box's configuration, and what must be said.
struct RunPlan {
  let wall: any Wall
  let choice: WallChoice
  let policy: Policy
  let configuration: RuntimeConfiguration
  let root: RootFilesystem
  let filter: SeccompFilter?
  let image: ImageInUse?
  let workspace: WorkspaceRequest?
  let stopSignal: Int32
  let notes: [String]
  let options: RunOptions
}

/// The options of `run` that are about the command itself and not about rules.
struct RunOptions {
  let id: String
  let name: String
  let removeAtExit: Bool
  let detach: Bool
  let interactive: Bool
  let terminal: Bool
  let quiet: Bool
  let detachKeys: String?

  init(_ command: ParsedCommand) throws(CommandError) {
    do throws(SystemError) { id = try SandboxStore.makeID() } catch { throw CommandError(125, error.description) }
    name = command.value("name") ?? id
    removeAtExit = command.flag("rm")
    detach = command.flag("detach")
    interactive = command.flag("interactive")
    terminal = command.flag("tty")
    quiet = command.flag("quiet")
    detachKeys = command.value("detach-keys")
    if terminal && !detach && !(Terminal.isTerminal(0) && Terminal.isTerminal(1)) {
      throw CommandError(125, "-t wants a terminal on standard input and output: leave it out, or use -d")
    }
  }
}

extension RunPlan {
  static func make(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> RunPlan {
    let options = try RunOptions(command)
    var policy = try RunPolicy.make(command, session)
    if let word = command.value("wall") { _ = try session.wall(named: word) }

    let image: ImageInUse?
    let words: [String]
    if command.afterSeparator {
      guard command.operands.first != nil else { throw CommandError(125, "run: a command is missing after --") }
      image = nil
      words = command.operands
    } else {
      image = try ImageUse.need(command.operands[0], command, session)
      words = Array(command.operands.dropFirst())
    }

    let root = try rootFilesystem(image, command, policy)
    var process = ProcessConfiguration()
    process.terminal = options.terminal
    let accounts = BoxAccounts(BoxFiles(root: root))
    try fill(&process, words, image, command, accounts)
    let inherited = environment(image, process.terminal, home: try home(image, command, accounts))
    try RunPolicy.environment(command, &policy)
    process.environment = merge(inherited, policy.environment.map(\.value))

    var workspace: WorkspaceRequest?
    if let text = command.value("workspace") { workspace = try WorkspaceRequest(text) }
    if let workspace, command.value("workdir") == nil, image == nil { process.workingDirectory = workspace.destination }

    let box = BoxConfiguration(
      policy: policy, process: process, hostname: command.value("hostname") ?? hostname(options),
      readOnly: command.flag("read-only"), mounts: try mounts(command, policy), hasImage: image != nil)
    let configuration = box.make()

    let choice = try choose(command, policy, session)
    let wall = try session.wall(choice.wall)
    var stop: Int32 = SIGTERM
    if let word = command.value("stop-signal") ?? image.map(\.configuration.stopSignal), !word.isEmpty {
      guard let number = SignalName.number(word) else {
        throw CommandError(125, "stop signal \"\(FormatError.presentable(word))\" is no signal (SIGTERM, TERM or 15)")
      }
      stop = number
    }
    return RunPlan(
      wall: wall, choice: choice, policy: policy, configuration: configuration, root: root,
      filter: try filter(policy, wall: choice.wall), image: image, workspace: workspace, stopSignal: stop,
      notes: choice.notes, options: options)
  }

  /// The wall that is taken, or the line that says why none is.
  static func choose(_ command: ParsedCommand, _ policy: Policy, _ session: Session) throws(CommandError) -> WallChoice
  {
    let requested = try command.value("wall").map { word throws(CommandError) in try session.wall(named: word).name }
    do throws(WallRefusal) {
      return try WallChoice.choose(
        for: policy, order: WallList.all.map(\.name), requested: requested, allowed: command.all("allow-unenforced")
      ) { name in
        guard let wall = WallList.all.first(where: { $0.name == name }) else { return WallCandidate() }
        return candidate(wall, policy, session)
      }
    } catch {
      throw CommandError(125, error.description)
    }
  }

  static func candidate(_ wall: any Wall, _ policy: Policy, _ session: Session) -> WallCandidate {
    if case .missing(let lacks) = wall.availability(on: session.host) {
      return WallCandidate(lacks: lacks.map { "\($0.what): \($0.remedy)" })
    }
    return WallCandidate(judged: policy.rules.map { ($0, RuleKeeping.enforcement(of: $0, by: wall, on: session.host)) })
  }

  private static func rootFilesystem(_ image: ImageInUse?, _ command: ParsedCommand, _ policy: Policy)
    throws(CommandError) -> RootFilesystem
  {
    let readOnly = command.flag("read-only")
    let scratch: Scratch = readOnly ? .none : .memory(limit: policy.limits.scratch?.value ?? UInt64(Int64.max))
    if let image { return image.root(scratch) }
    let folder = try? CurrentFolder.path()
    let homes = Set([Process.environment("HOME") ?? "/root", "/root", "/home", "/"])
    return .host(
      HostRoot.standard(workingDirectory: folder.flatMap { homes.contains($0) ? nil : $0 }), scratch: scratch)
  }

  private static func fill(
    _ process: inout ProcessConfiguration, _ words: [String], _ image: ImageInUse?, _ command: ParsedCommand,
    _ accounts: BoxAccounts
  ) throws(CommandError) {
    if let image {
      let configuration = image.configuration
      let entry = command.value("entrypoint").map { $0.isEmpty ? [] : [$0] } ?? configuration.entrypoint
      // An entrypoint of the user's own drops the image's default command, as in Docker.
      let rest = words.isEmpty && command.value("entrypoint") == nil ? configuration.command : words
      process.arguments = entry + rest
      if process.arguments.isEmpty {
        throw CommandError(125, "run: image \(image.name) names no command: give one after it")
      }
      process.workingDirectory = configuration.workingDirectory.isEmpty ? "/" : configuration.workingDirectory
    } else {
      process.arguments = words
      let folder = (try? CurrentFolder.path()) ?? "/"
      process.workingDirectory = Process.environment("HOME") == folder || folder == "/root" ? "/" : folder
    }
    if let directory = command.value("workdir") {
      guard directory.hasPrefix("/") else {
        throw CommandError(125, "--workdir \"\(FormatError.presentable(directory))\": give an absolute path")
      }
      process.workingDirectory = directory
    }
    let ids = try accounts.resolve(command.value("user") ?? image?.configuration.user ?? "")
    process.user.user = ids.user
    process.user.group = ids.group
    process.user.additionalGroups = ids.groups
  }

  private static func home(_ image: ImageInUse?, _ command: ParsedCommand, _ accounts: BoxAccounts)
    throws(CommandError) -> String
  {
    // The host's homes are hidden: the box's root has an empty /root of its own.
    try accounts.resolve(command.value("user") ?? image?.configuration.user ?? "").home
  }

  private static func environment(_ image: ImageInUse?, _ terminal: Bool, home: String) -> [String] {
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    var environment = [path, "HOME=\(home)"]
    if image == nil {
      environment.append("LANG=\(Process.environment("LANG") ?? "C.UTF-8")")
      if let term = Process.environment("TERM") { environment.append("TERM=\(term)") }
    } else if terminal {
      environment.append("TERM=\(Process.environment("TERM") ?? "xterm")")
    }
    return merge(environment, image?.configuration.environment ?? [])
  }

  /// Later values win, in the place of the earlier ones.
  static func merge(_ base: [String], _ more: [String]) -> [String] {
    var merged = base
    for variable in more {
      let name = variable.prefix { $0 != "=" }
      if let index = merged.firstIndex(where: { $0.prefix { $0 != "=" } == name }) {
        merged[index] = variable
      } else {
        merged.append(variable)
      }
    }
    return merged
  }

  private static func hostname(_ options: RunOptions) -> String {
    SandboxStore.isValid(name: options.name) && !options.name.contains("_") ? options.name : options.id
  }

  private static func mounts(_ command: ParsedCommand, _ policy: Policy) throws(CommandError) -> [MountConfiguration] {
    var mounts: [MountConfiguration] = []
    for file in policy.files where file.value.access != .hidden {
      let rule = file.value
      if !rule.sockets, let status = try? File.status(rule.path), File.kind(status) == S_IFSOCK {
        throw CommandError(
          125, "\(file.origin.description): \(rule.path) is a socket of the host's: add :sockets if you mean it")
      }
      guard File.exists(rule.path) else {
        throw CommandError(125, "\(file.origin.description): \(rule.path) is not there on the host")
      }
      mounts.append(
        MountConfiguration(
          destination: rule.destination, type: "bind", source: rule.path,
          options: ["rbind", rule.access == .read ? "ro" : "rw", "nosuid", "nodev"]))
    }
    for text in command.all("tmpfs") {
      let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
      guard let destination = parts.first, destination.hasPrefix("/") else {
        throw CommandError(125, "--tmpfs \"\(FormatError.presentable(text))\": give an absolute path")
      }
      var options = ["nosuid", "nodev", "mode=1777"]
      for option in parts.count > 1 ? parts[1].split(separator: ",").map(String.init) : [] {
        if option.hasPrefix("size="), let size = Quantity.parseBytes(String(option.dropFirst(5))) {
          options.append("size=\(size)")
        } else if option.hasPrefix("mode=") || ["ro", "rw", "noexec", "exec"].contains(option) {
          options.append(option)
        } else {
          throw CommandError(
            125, "--tmpfs \"\(FormatError.presentable(text))\": there are size=, mode=, ro, rw, noexec and exec")
        }
      }
      if !options.contains(where: { $0.hasPrefix("size=") }), let scratch = policy.limits.scratch {
        options.append("size=\(scratch.value)")
      }
      mounts.append(MountConfiguration(destination: destination, type: "tmpfs", source: "tmpfs", options: options))
    }
    return mounts
  }

  /// The seccomp program of the policy's profile; nil where it is "unconfined".
  private static func filter(_ policy: Policy, wall: WallName) throws(CommandError) -> SeccompFilter? {
    let mask = policy.processes.capabilities?.value ?? CapabilityName.dockerDefaultMask
    let profile: SeccompProfile
    do {
      switch policy.processes.seccomp.value {
      case "unconfined": return nil
      case "default":
        profile = SeccompProfile(
          DefaultProfile(
            wall == .jail ? .jail : .container, capabilities: mask,
            denyNetwork: wall == .jail && policy.network.value == .none))
      case let path:
        let json = try JSONNode.parse(try File.contents(path, limit: 4 << 20), source: path)
        profile = SeccompProfile(try ProfileRules(json: json, ProfileContext(capabilities: mask)))
      }
      let program = try profile.compile()
      return SeccompFilter(
        instructions: program.instructions.map {
          UInt64($0.code) | UInt64($0.jt) << 16 | UInt64($0.jf) << 24 | UInt64($0.k) << 32
        }, flags: program.flags.rawValue)
    } catch {
      throw CommandError(125, "seccomp profile \(policy.processes.seccomp.value): \(error)")
    }
  }
}
