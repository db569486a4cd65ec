import Formats
import Images
import Linux
import Options
import Registry

/// `save`: images into an archive or a folder.
enum SaveCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let word = command.value("format") ?? ImageSave.Format.dockerArchive.rawValue
    guard let format = ImageSave.Format(rawValue: word) else {
      let known = ImageSave.Format.allCases.map(\.rawValue).joined(separator: ", ")
      throw UsageError(command.verb, "--format \"\(FormatError.presentable(word))\": there are \(known)")
    }
    // Standard error of a script is not told what nobody watches.
    let progress = LineProgress.chosen(quiet: command.flag("quiet") || !Terminal.isTerminal(2))
    defer { progress.end() }
    let outcome = try ImageSave.write(
      command.operands, to: command.value("output"), as: format, from: store, progress)
    progress.end()
    if !command.flag("quiet") { for line in outcome.lines { Output.complain(line) } }
    return 0
  }
}
