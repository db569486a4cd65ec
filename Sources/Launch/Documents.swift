import CLinux
import Formats
import Linux
import Options

/// `completion` and `manual`: what is made from the table of options.
enum Documents {
  static func completion(_ command: ParsedCommand) throws(CommandError) -> Int32 {
    let word = command.operands[0]
    guard let shell = Completion.Shell(rawValue: word) else {
      let known = Completion.Shell.allCases.map(\.rawValue).joined(separator: ", ")
      throw CommandError(
        1, "completion: \"\(FormatError.presentable(word))\" is no shell that is known; there are \(known)")
    }
    return try write(Completion.script(for: shell))
  }

  /// Prints immure(1), or writes every page into a folder, which is made where it is not there.
  static func manual(_ command: ParsedCommand) throws(CommandError) -> Int32 {
    guard let folder = command.operands.first else { return try write(Manual.overview()) }
    do throws(SystemError) {
      try File.makeDirectories(folder)
      let directory = try File.open(folder, O_RDONLY | O_DIRECTORY)
      for page in Manual.pages() {
        try File.replaceAtomically(page.file, Array(page.text.utf8), mode: 0o644, at: directory.rawValue)
      }
    } catch {
      throw CommandError(1, "manual: \(error)")
    }
    return 0
  }

  /// A file that was cut short is no completion: unlike a listing, this says when it could not be written.
  private static func write(_ text: String) throws(CommandError) -> Int32 {
    do throws(SystemError) { try File.writeAll(1, text) } catch {
      throw CommandError(1, "standard output: \(error)")
    }
    return 0
  }
}
