package import Linux
package import Walls

/// Why a program was not run, in Docker's words: clients read them.
package enum ProgramFailure {
  package static func explain(_ name: String, _ errno: Errno, wasSearched: Bool) -> WallError {
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
