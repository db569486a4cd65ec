import CLinux
package import Formats
import Linux
package import Walls

/// Running a program in the box, found as execvp(3) finds it, with Docker's words for what goes wrong: clients read
/// them.
package enum BoxProgram {
  static let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  /// Throws where the program is plainly not there, or nobody may run it. Asked as the box's builder before the box is started, so
  /// that `create` already tells; what only its own user may not run is met when it is run.
  /// - Parameter throughMagicLinks: whether links of /proc may be followed (openat2(2)): where that shows the host's processes, theirs
  ///   lead a privileged builder out of the root.
  package static func check(_ process: ProcessConfiguration, throughMagicLinks: Bool = true) throws(WallError) {
    guard let name = process.arguments.first, !name.isEmpty else {
      throw ProgramFailure.explain("", .noEntry, wasSearched: true)
    }
    if name.utf8.contains(UInt8(ascii: "/")) {
      if let errno = obstacle(name, throughMagicLinks) { throw ProgramFailure.explain(name, errno, wasSearched: false) }
      return
    }
    var denied = false
    for folder in path(process).split(separator: ":", omittingEmptySubsequences: false) {
      switch obstacle((folder.isEmpty ? "." : String(folder)) + "/" + name, throughMagicLinks) {
      case nil: return
      case .accessDenied, .isDirectory: denied = true
      default: continue
      }
    }
    throw ProgramFailure.explain(name, denied ? .accessDenied : .noEntry, wasSearched: true)
  }

  /// Why a file cannot be run; nil where nothing speaks against it.
  private static func obstacle(_ path: String, _ throughMagicLinks: Bool) -> Errno? {
    do throws(SystemError) {
      let status: stat
      if throughMagicLinks {
        status = try File.status(path)
      } else {
        let file = try File.open(path, O_PATH, at: File.currentDirectory, resolve: .noMagicLinks)
        status = try File.status("", at: file.rawValue)
      }
      if File.kind(status) == S_IFDIR { return .isDirectory }
      return status.st_mode & 0o111 == 0 ? .accessDenied : nil
    } catch {
      return error.errno
    }
  }

  /// Returns only when it cannot be run.
  package static func run(_ process: ProcessConfiguration) -> WallError {
    guard let name = process.arguments.first, !name.isEmpty else {
      return WallError(.notFound, "exec: \"\": executable file not found in $PATH")
    }
    if name.utf8.contains(UInt8(ascii: "/")) {
      let error = Process.execute(name, arguments: process.arguments, environment: process.environment)
      return ProgramFailure.explain(name, error.errno, wasSearched: false)
    }
    var denied = false
    for folder in path(process).split(separator: ":", omittingEmptySubsequences: false) {
      let candidate = (folder.isEmpty ? "." : String(folder)) + "/" + name
      let error = Process.execute(candidate, arguments: process.arguments, environment: process.environment)
      switch error.errno {
      case .noEntry, .notDirectory: continue
      case .accessDenied: denied = true
      default: return ProgramFailure.explain(name, error.errno, wasSearched: true)
      }
    }
    return ProgramFailure.explain(name, denied ? .accessDenied : .noEntry, wasSearched: true)
  }

  private static func path(_ process: ProcessConfiguration) -> String {
    for variable in process.environment where variable.hasPrefix("PATH=") { return String(variable.dropFirst(5)) }
    return defaultPath
  }
}
