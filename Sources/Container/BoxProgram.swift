import CLinux
import Formats
import Linux
import Walls

/// Running a program in the box, found as execvp(3) finds it, with Docker's words for what goes wrong: clients read
/// them.
enum BoxProgram {
  static let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  /// Returns only when it cannot be run.
  static func run(_ process: ProcessConfiguration) -> WallError {
    guard let name = process.arguments.first, !name.isEmpty else {
      return WallError(.notFound, "exec: \"\": executable file not found in $PATH")
    }
    if name.utf8.contains(UInt8(ascii: "/")) {
      let error = Process.execute(name, arguments: process.arguments, environment: process.environment)
      return explain(name, error.errno, wasSearched: false)
    }
    var denied = false
    for folder in path(process).split(separator: ":", omittingEmptySubsequences: false) {
      let candidate = (folder.isEmpty ? "." : String(folder)) + "/" + name
      let error = Process.execute(candidate, arguments: process.arguments, environment: process.environment)
      switch error.errno {
      case .noEntry, .notDirectory: continue
      case .accessDenied: denied = true
      default: return explain(name, error.errno, wasSearched: true)
      }
    }
    return explain(name, denied ? .accessDenied : .noEntry, wasSearched: true)
  }

  private static func path(_ process: ProcessConfiguration) -> String {
    for variable in process.environment where variable.hasPrefix("PATH=") { return String(variable.dropFirst(5)) }
    return defaultPath
  }

  static func explain(_ name: String, _ errno: Errno, wasSearched: Bool) -> WallError {
    switch errno {
    case .noEntry where wasSearched:
      WallError(.notFound, "exec: \"\(name)\": executable file not found in $PATH")
    case .noEntry, .notDirectory:
      WallError(.notFound, "exec: \"\(name)\": stat \(name): no such file or directory")
    case .accessDenied, .isDirectory:
      WallError(.notExecutable, "exec: \"\(name)\": permission denied")
    case .execFormat:
      WallError(.notExecutable, "exec: \"\(name)\": exec format error")
    default:
      WallError(.notExecutable, "exec: \"\(name)\": \(errno)")
    }
  }
}
