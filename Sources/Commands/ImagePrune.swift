import Formats
import Images
import Linux
import Options

/// `image prune`: room that nothing uses.
enum ImagePruneCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let everything = command.flag("all")
    if !command.flag("force") {
      let what =
        everything
        ? "every image that no sandbox uses, and its layers" : "layers and documents that no name leads to"
      guard try Question.ask("Remove \(what)?", command.verb) else { return 1 }
    }
    try store.prepare()
    let before = try store.diskBytes()
    try store.clearLeftovers()
    if everything {
      for image in try store.removeUnused() { Output.print("removed \(image.familiar)\n") }
    }
    guard let layers = try store.collectGarbage() else {
      Output.complain("another command is adding an image: what nobody needs goes at the next prune or rmi")
      return 1
    }
    for layer in layers { Output.print("deleted layer \(layer.short)\n") }
    let after = try store.diskBytes()
    Output.print("reclaimed \(ImagesCommand.size(max(0, before - after)))\n")
    return 0
  }
}

/// Asking the person at the terminal.
enum Question {
  /// Whether the answer began with y. Nobody is asked through a pipe.
  static func ask(_ text: String, _ verb: Verb) throws -> Bool {
    guard Terminal.isTerminal(0) else {
      throw UsageError(verb, "standard input is no terminal to ask at: say --force where you are sure")
    }
    try File.writeAll(2, text + " [y/N] ")
    let answer = try File.read(0, atMost: 64)
    return answer.first == UInt8(ascii: "y") || answer.first == UInt8(ascii: "Y")
  }
}
