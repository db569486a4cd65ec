import Formats
import Linux
import Options
public import Policy
public import Walls

/// The dialect of an OCI runtime over the walls: what podman, Docker and containerd call.
public enum OCIRuntime {
  /// Runs the command line `words`, which come after the runtime's name, and returns its exit status.
  /// - Parameter walls: those that can be raised, the first being taken where nothing names one.
  /// - Parameter wall: the wall that the name called asks for.
  public static func main(_ words: ArraySlice<String>, walls: [any Wall], wall: WallName?) -> Int32 {
    let line: OCICommandLine
    do throws(UsageError) { line = try OCICommandLine(words) } catch {
      return RuntimeLog.standard.fail(RuntimeFailure(error.description))
    }
    switch line.reading {
    case .help(let text):
      Output.write(text)
      return 0
    case .version:
      Output.write("immure-oci version \(Help.version)\nspec: \(RuntimeConfiguration.specificationVersion)\n")
      return 0
    case .command(let command): return run(command, line.global, walls, wall)
    }
  }

  private static func run(
    _ command: ParsedCommand, _ global: ParsedCommand, _ walls: [any Wall], _ wall: WallName?
  ) -> Int32 {
    var log = RuntimeLog.standard
    do throws(RuntimeFailure) {
      log = try RuntimeLog(global)
      let session = try RuntimeSession(command, global, walls: walls, wall: wall, log: log)
      CodeMappings.releaseOwn()
      return try perform(command, session)
    } catch {
      return log.fail(error)
    }
  }

  /// Every verb; a test holds that the table of options and this list agree.
  static func perform(_ command: ParsedCommand, _ session: RuntimeSession) throws(RuntimeFailure) -> Int32 {
    switch command.verb.name {
    case "oci create": try Creation.create(command, session)
    case "oci start": try Starting.start(command, session)
    case "oci run": return try Running.run(command, session)
    case "oci exec": return try Executing.exec(command, session)
    case "oci state": try Listing.state(command, session)
    case "oci list": try Listing.list(command, session)
    case "oci kill": try Killing.kill(command, session)
    case "oci delete": try Deletion.delete(command, session)
    case "oci pause": try Pauses.pause(command, session)
    case "oci resume": try Pauses.resume(command, session)
    case "oci update": try Updating.update(command, session)
    case "oci ps": try ProcessTableVerb.ps(command, session)
    case "oci events": return try Events.events(command, session)
    case "oci stats": return try Events.stats(command, session)
    case "oci features": Features.print(session)
    case "oci spec": try SpecificationVerb.write(command, session)
    default: throw RuntimeFailure("\(command.verb.name): not built yet")
    }
    return 0
  }
}

/// Why a verb failed, in words that clients read, and the exit status.
struct RuntimeFailure: Error, Sendable {
  let message: String
  let status: Int32
  init(_ message: String, status: Int32 = 1) {
    self.message = message
    self.status = status
  }
  init(_ error: WallError, status: Int32 = 1) { self.init(error.message, status: status) }
  init(_ what: String, _ error: SystemError) { self.init("\(what): \(error)") }
}

/// What a verb prints on standard output.
enum Output {
  static func write(_ text: String) {
    // There is nobody left to tell when standard output is closed.
    try? File.writeAll(1, text)
  }
  static func print(_ value: JSONValue, indented: Bool = false) { write(value.text(indented: indented) + "\n") }
}
