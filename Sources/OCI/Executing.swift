import CLinux
import Formats
import Linux
import Options
import Policy
import Supervision
import Walls

/// `exec`: a further program in a container. Nothing of the container is trusted: no name is looked up in its files, and no program of
/// its is run but the one asked for.
enum Executing {
  /// runc's exit status where the program was not run.
  static let failed: Int32 = 255

  static func exec(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) -> Int32 {
    do throws(RuntimeFailure) { return try perform(command, session) } catch {
      throw RuntimeFailure(error.message, status: failed)
    }
  }

  private static func perform(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) -> Int32 {
    try OwnProtection.apply()
    for name in ["apparmor", "process-label", "cgroup"] {
      if let value = command.value(name), !value.isEmpty {
        throw RuntimeFailure("exec --\(name) \(FormatError.presentable(value)) is not supported")
      }
    }
    var options = ExecutionOptions()
    options.preservedDescriptors = try PreservedDescriptors.numbers(command)
    let container = try RuntimeContainer.require(command.operands[0], session)
    switch try container.status() {
    case .created, .running: break
    case .paused where command.flag("ignore-paused"): break
    case .paused: throw RuntimeFailure("cannot exec in a paused container (use --ignore-paused to override)")
    case let status: throw RuntimeFailure("cannot exec in a \(status.rawValue) container")
    }
    let configuration = try RuntimeBundle.read(try container.configurationText(), source: "config.json")
    let process = try ExecutedConfiguration.make(command, configuration)
    options.personality = configuration.personality
    options.listener = try container.listener(configuration)
    let isDetached = command.flag("detach")
    let socket = command.value("console-socket").flatMap { $0.isEmpty ? nil : $0 }
    if process.terminal && isDetached && socket == nil {
      throw RuntimeFailure("cannot allocate tty if immure-oci will detach without setting console socket")
    }
    if socket != nil && !process.terminal {
      throw RuntimeFailure("cannot use console socket if immure-oci will not detach or allocate tty")
    }
    let isShown = process.terminal && socket == nil
    if isShown && !Terminal.isTerminal(0) { throw RuntimeFailure("the input device is not a TTY: leave --tty out") }
    guard let execution = try container.open().execution else {
      throw RuntimeFailure("the \(container.record.wall.rawValue) wall cannot run a further program in a container")
    }
    options.endsWithCommand = !isDetached
    let supervisor = isDetached ? nil : try Running.supervisor()
    let program = try start(process, execution, options)
    do throws(RuntimeFailure) {
      if let socket, let terminal = program.terminal { try ConsoleSocket.send(terminal, to: socket) }
      if let path = command.value("pid-file"), !path.isEmpty { try PidFile.write(program.process.pid, to: path) }
    } catch {
      // Nobody would know of it.
      try? program.signal(SIGKILL)
      throw error
    }
    guard let supervisor else { return 0 }
    do throws(WallError) {
      let outcome = try supervisor.run(ExecutedProgram(program), isShown ? .terminal() : .inherited())
      return outcome.ending.status.code
    } catch {
      throw RuntimeFailure(error)
    }
  }

  private static func start(
    _ process: ProcessConfiguration, _ execution: any Execution, _ options: ExecutionOptions
  ) throws(RuntimeFailure) -> any BoxProcess {
    let streams: Streams =
      process.terminal ? .terminal(WindowSize(process)) : .descriptors(input: 0, output: 1, error: 2)
    do throws(WallError) { return try execution.execute(process, streams: streams, options) } catch {
      throw RuntimeFailure("exec failed: unable to start container process: " + error.message)
    }
  }
}

/// The program that `exec` is asked for: a file's, or the container's own with the command line's words over it.
enum ExecutedConfiguration {
  static func make(_ command: ParsedCommand, _ configuration: RuntimeConfiguration) throws(RuntimeFailure)
    -> ProcessConfiguration
  {
    var process: ProcessConfiguration
    if let path = command.value("process"), !path.isEmpty {
      if command.operands.count > 1 {
        throw RuntimeFailure(
          "exec: --process names the program already: leave \"\(FormatError.presentable(command.operands[1]))\" out")
      }
      process = try read(path)
    } else {
      process = configuration.process
      process.arguments = Array(command.operands.dropFirst())
      process.terminal = false
      process.consoleSize = nil
      if process.arguments.isEmpty { throw RuntimeFailure("exec: process args cannot be empty") }
      try overlay(command, &process)
    }
    if command.flag("tty") { process.terminal = true }
    process.capabilities.leaveOutWhatCannotBeAmbient()
    return process
  }

  private static func read(_ path: String) throws(RuntimeFailure) -> ProcessConfiguration {
    let text: [UInt8]
    do throws(SystemError) { text = try File.contents(path, limit: 16 << 20) } catch {
      throw RuntimeFailure("exec: process file \(path): \(error.errno)")
    }
    do throws(FormatError) {
      // Fields that the specification does not know are not minded (config.md, "Extensibility").
      var ignored: [String] = []
      return try ProcessConfiguration.read(text, source: path, ignored: &ignored)
    } catch {
      throw RuntimeFailure("\(error)")
    }
  }

  private static func overlay(_ command: ParsedCommand, _ process: inout ProcessConfiguration) throws(RuntimeFailure) {
    if let folder = command.value("cwd") {
      guard folder.hasPrefix("/") else {
        throw RuntimeFailure("exec: --cwd \"\(FormatError.presentable(folder))\": give an absolute path")
      }
      process.workingDirectory = folder
    }
    process.environment += command.all("env")
    if command.flag("no-new-privs") { process.noNewPrivileges = true }
    for name in command.all("cap") {
      guard let number = CapabilityName.number(name) else {
        throw RuntimeFailure("exec: --cap \"\(FormatError.presentable(name))\": there is no such capability")
      }
      let bit = UInt64(1) << UInt64(number)
      process.capabilities.bounding |= bit
      process.capabilities.permitted |= bit
      process.capabilities.effective |= bit
    }
    if let user = command.value("user") {
      let parts = user.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
      process.user.user = try number(parts[0], "--user")
      if parts.count > 1 { process.user.group = try number(parts[1], "--user") }
    }
    for group in command.all("additional-gids") {
      process.user.additionalGroups.append(try number(group, "--additional-gids"))
    }
  }

  /// Numbers only: a name would have to be looked up in the container's own files (CVE-2026-30892's class).
  private static func number(_ text: String, _ option: String) throws(RuntimeFailure) -> UInt32 {
    guard let number = UInt32(text), number < UInt32.max, text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else {
      throw RuntimeFailure("exec: \(option) \"\(FormatError.presentable(text))\": give a number")
    }
    return number
  }
}

extension RuntimeContainer {
  /// The configuration it was made of.
  func configurationText() throws(RuntimeFailure) -> [UInt8] {
    do throws(SystemError) { return try File.contents(directory + "/config.json", limit: 16 << 20) } catch {
      throw RuntimeFailure("the configuration of container \(id)", error)
    }
  }

  /// Whom a further program's own listener goes to; nil where the configuration names nobody.
  func listener(_ configuration: RuntimeConfiguration) throws(RuntimeFailure) -> ExecutionListener? {
    do throws(FormatError) {
      guard let node = configuration.seccompNode, let path = try node.optionalString("listenerPath") else { return nil }
      let state = HookState(
        version: configuration.ociVersion, id: id, bundle: bundle, annotations: configuration.annotations)
      return ExecutionListener(
        SeccompListener(path: path, metadata: try node.optionalString("listenerMetadata")), state: state,
        boxPid: record.process?.pid ?? 0)
    } catch {
      throw RuntimeFailure("\(error)")
    }
  }
}
