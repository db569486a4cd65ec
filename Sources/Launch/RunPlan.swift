import CLinux
import Formats
import Linux
import Options
import Policy
import Walls

/// All that `run` decided before anything is made: the wall, the box's configuration, and what must be said.
struct RunPlan {
  let wall: any Wall
  let choice: WallChoice
  let policy: Policy
  let configuration: RuntimeConfiguration
  let root: RootFilesystem
  let filter: RunFilter
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
    _ = try Logs.detachKeys(detachKeys)
    if let hostname = command.value("hostname"), !SandboxStore.isValid(name: hostname) || hostname.utf8.contains(95) {
      throw CommandError(
        125,
        "--hostname \"\(FormatError.presentable(hostname))\": use 1 to 64 of letters, digits, . and - (hostname(7))")
    }
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
    CodeMappings.releaseOwn()
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
      readOnly: command.flag("read-only"), mounts: try RunFiles.mounts(command, policy), hasImage: image != nil)
    var configuration = box.make()
    configuration.devices = try RunFiles.devices(policy)

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
      filter: try RunFilter.make(policy, wall: choice.wall, platform: image?.configuration.platform), image: image,
      workspace: workspace, stopSignal: stop,
      notes: choice.notes + (image?.notes ?? []), options: options)
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
}
