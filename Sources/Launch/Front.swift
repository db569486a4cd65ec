import CLinux
import Images
import Linux

/// The other executable: network, TLS and decompression.
enum Front {
  /// Where it may be, seen from this executable.
  static func candidates() -> [String] { MakingProgram.candidates() }

  /// Replaces this process; returns only with what went wrong.
  static func execute(_ arguments: [String]) -> String {
    let places = candidates()
    for path in places where File.exists(path) {
      return Process.execute(path, arguments: ["immure-front"] + arguments, environment: Process.environment)
        .description
    }
    return "immure-front is not installed (looked for \(places.joined(separator: ", "))): it pulls and lists images"
  }

  /// Starts it as a child with these descriptors from 0 on.
  static func start(_ arguments: [String], descriptors: [Int32]) throws(SystemError) -> Child {
    let places = candidates()
    guard let path = places.first(where: { File.exists($0) }) else {
      throw SystemError("exec", places.joined(separator: ", "), .noEntry)
    }
    return try Process.spawn(
      path, arguments: ["immure-front"] + arguments, environment: Process.environment, descriptors: descriptors)
  }

  /// Runs it as a child and waits for it; what it prints on standard output is not this command's and goes
  /// nowhere.
  static func run(_ arguments: [String]) throws(SystemError) -> ExitStatus {
    guard let child = try Process.clone(CloneArguments(flags: 0)) else {
      // The id it prints is for scripts; `run` prints what the program in the box does and nothing else.
      if let nowhere = try? File.open("/dev/null", O_WRONLY) {
        _ = systemCall(Int(SYS_dup2), word(nowhere.rawValue), 1)
      }
      Output.complain(execute(arguments))
      Process.exit(125)
    }
    return try child.wait() ?? .exited(125)
  }
}
