import Formats
import Linux
import OCI
import Options
import Policy
import Trees
import Walls

/// The hot verbs of `immure`. Every other verb is handed to `immure-front`, as git does.
public enum Launch {
  /// Runs the command line this process was started with and returns its exit status.
  public static func main() -> Int32 {
    SignalSet.keepEndsOfChildren()
    CodeMappings.releaseOwn()
    let arguments = Process.arguments
    // As one of the guests of a sentry, for `cp` and its like.
    if arguments.first == TransferGuest.name { return TransferGuest.run(Array(arguments.dropFirst())) }
    // The dialect of an OCI runtime is spoken under names of its own, never guessed from the words: `run`, `ps` and `kill` mean
    // something else in it.
    if let path = arguments.first, let runtime = Runtime(path) {
      return OCIRuntime.main(arguments.dropFirst(), walls: WallList.all, wall: runtime.wall)
    }
    if arguments.count > 1, arguments[1] == "oci" {
      return OCIRuntime.main(arguments.dropFirst(2), walls: WallList.all, wall: nil)
    }
    do throws(UsageError) {
      switch try CommandLineReading(Array(arguments.dropFirst())) {
      case .help(nil): Output.write(1, Help.overview())
      case .help(.some(let verb)): Output.write(1, Help.page(verb))
      case .version: Output.print("immure \(Help.version)")
      case .command(let command):
        if command.verb.place == .front { return handToFront(arguments) }
        return run(command)
      }
      return 0
    } catch {
      Output.complain(error.description)
      return ["run", "exec", "trace"].contains(error.verb) ? 125 : 1
    }
  }

  /// A link's name under which the OCI runtime is called, and the wall that it asks for.
  private struct Runtime {
    var wall: WallName?

    init?(_ path: String) {
      let prefix = "immure-"
      let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
      let name = slash.map { path[path.utf8.index(after: $0)...] } ?? path[...]
      guard name.hasPrefix(prefix) else { return nil }
      let word = String(name.dropFirst(prefix.utf8.count))
      if word == "oci" { return }
      guard let wall = WallName(rawValue: word) else { return nil }
      self.wall = wall
    }
  }

  static func run(_ command: ParsedCommand) -> Int32 {
    do throws(CommandError) {
      let session = try Session(root: command.value("root"), debug: command.flag("debug"))
      CodeMappings.releaseOwn()
      return try perform(command, session)
    } catch {
      Output.complain(error.message)
      return error.status
    }
  }

  /// Every verb that this executable serves; a test holds that the table of options and this list agree.
  static func perform(_ command: ParsedCommand, _ session: Session) throws(CommandError) -> Int32 {
    switch command.verb.name {
    case "run": return try Run.perform(command, session)
    case "exec": return try Exec.perform(command, session)
    case "ps": return try Listing.ps(command, session)
    case "inspect": return try Inspect.perform(command, session)
    case "logs": return try Logs.logs(command, session)
    case "attach": return try Logs.attach(command, session)
    case "stop": return try Lifecycle.stop(command, session)
    case "kill": return try Lifecycle.kill(command, session)
    case "wait": return try Lifecycle.wait(command, session)
    case "pause": return try Lifecycle.pause(command, session)
    case "resume", "unpause": return try Lifecycle.resume(command, session)
    case "rm": return try Lifecycle.remove(command, session)
    case "prune": return try Lifecycle.prune(command, session)
    case "stats": return try Listing.stats(command, session)
    case "top": return try Listing.top(command, session)
    case "workspace list", "workspace diff", "workspace apply", "workspace discard":
      return try Workspaces.perform(command, session)
    case "policy explain": return try Explain.policy(command, session)
    case "trace": return try TraceVerb.perform(command, session)
    case "doctor": return try Explain.doctor(command, session)
    case "completion": return try Documents.completion(command)
    case "manual": return try Documents.manual(command)
    case "version":
      Output.print("immure \(Help.version)")
      return 0
    case "cp": return try Copy.perform(command, session)
    case "diff", "export", "commit": return try RootVerbs.perform(command, session)
    case "system df": return try SystemUse.perform(command, session)
    default:
      throw CommandError(1, "\(command.verb.name): not built yet")
    }
  }

  /// Replaces this process by immure-front: ../libexec, then beside itself, found through /proc/self/exe and never PATH.
  static func handToFront(_ arguments: [String]) -> Int32 {
    let error = Front.execute(Array(arguments.dropFirst()))
    Output.complain(error)
    return 1
  }
}
