import CLinux
import Formats
import Linux
import Options
import Policy
import Supervision
import Walls

/// `exec`: a further program in a running box.
enum Exec {
  static func perform(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    do throws(WallError) {
      let record = try session.record(command.operands[0])
      let condition = record.condition(bootID: session.host.bootID)
      guard condition.isLive, record.process != nil else {
        throw WallError(.gone, "sandbox \(record.name) does not run")
      }
      if condition == .paused {
        throw WallError("sandbox \(record.name) is paused: `immure resume \(record.name)` first")
      }
      let sandbox = try session.open(record)
      guard let execution = sandbox.execution else {
        throw WallError(
          "the \(record.wall.rawValue) wall cannot run a further program in a box: there is nothing to enter; start another sandbox"
        )
      }
      return try run(try process(command, record, sandbox), execution, command)
    } catch {
      throw CommandError(error, status: 125)
    }
  }

  private static func process(
    _ command: ParsedCommand, _ record: SandboxRecord, _ sandbox: any Sandbox
  ) throws(WallError) -> ProcessConfiguration {
    var process = ProcessConfiguration()
    process.terminal = command.flag("tty")
    process.arguments = Array(command.operands.dropFirst())
    process.workingDirectory = command.value("workdir") ?? record.workingDirectory
    guard process.workingDirectory.hasPrefix("/") else {
      throw WallError("--workdir \"\(FormatError.presentable(process.workingDirectory))\": give an absolute path")
    }
    var policy = Policy()
    do throws(CommandError) { try RunPolicy.environment(command, &policy) } catch { throw WallError(error.message) }
    process.environment = RunPlan.merge(record.environment, policy.environment.map(\.value))
    if process.terminal, !process.environment.contains(where: { $0.hasPrefix("TERM=") }) {
      process.environment.append("TERM=\(Process.environment("TERM") ?? "xterm")")
    }
    process.user.user = record.user
    process.user.group = record.group
    if let text = command.value("user") { try setUser(text, &process.user, sandbox) }
    process.noNewPrivileges = record.rules.first { $0.name == "processes.new_privileges" }?.value != "allowed"
    let mask = capabilities(record)
    process.capabilities.bounding = mask
    let held = process.user.user == 0 ? mask : 0
    process.capabilities.permitted = held
    process.capabilities.effective = held
    return process
  }

  /// As `run` reads it, from the box's own passwd and group as they are now: who may write those decides what a name means there, as
  /// root inside decides everything inside. A number is that number whatever they say, and no id of theirs that setresuid(2) would take
  /// for "as it is" counts (CVE-2026-30892's class).
  private static func setUser(
    _ text: String, _ user: inout UserConfiguration, _ sandbox: any Sandbox
  ) throws(WallError) {
    let isNumber = !text.isEmpty && text.utf8.allSatisfy { $0 >= 48 && $0 <= 57 || $0 == UInt8(ascii: ":") }
    do throws(CommandError) {
      let accounts: BoxAccounts
      if let files = sandbox.files {
        do throws(WallError) { accounts = try BoxAccounts(runningIn: files) } catch { throw CommandError(error) }
      } else if isNumber {
        accounts = .none
      } else {
        throw CommandError(
          125,
          "--user \"\(FormatError.presentable(text))\": this wall cannot read the sandbox's /etc/passwd: give numbers")
      }
      let ids = try accounts.resolve(text)
      user.user = ids.user
      user.group = ids.group
      user.additionalGroups = ids.groups
    } catch {
      throw WallError(error.message)
    }
  }

  private static func capabilities(_ record: SandboxRecord) -> UInt64 {
    guard let rule = record.rules.first(where: { $0.name == "processes.capabilities" }) else {
      return CapabilityName.dockerDefaultMask
    }
    return UInt64(rule.value.dropFirst(2), radix: 16) ?? 0
  }

  private static func run(
    _ process: ProcessConfiguration, _ execution: any Execution, _ command: ParsedCommand
  ) throws(WallError) -> Int32 {
    let supervisor = try Supervisor(SupervisionOptions())
    let streams: Streams
    if process.terminal {
      guard Terminal.isTerminal(0) else { throw WallError("-t wants a terminal on standard input: leave it out") }
      streams = .terminal(HostWindow.size())
    } else if command.flag("interactive") {
      streams = .descriptors(input: 0, output: 1, error: 2)
    } else {
      do throws(SystemError) {
        streams = .descriptors(input: try File.open("/dev/null", O_RDONLY).release(), output: 1, error: 2)
      } catch {
        throw WallError("standard input", error)
      }
    }
    let program = ExecutedProgram(try execution.execute(process, streams: streams))
    let outcome = try supervisor.run(program, process.terminal ? .terminal() : .inherited())
    if let limit = outcome.ending.limit { Output.complain("killed: \(limit.rawValue) limit of the sandbox") }
    return outcome.code
  }
}
