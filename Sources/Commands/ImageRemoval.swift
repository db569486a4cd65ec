import Formats
import Images
import Options

/// `rmi`: names and what they alone lead to.
enum RemoveImagesCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    try store.prepare()
    try store.clearLeftovers()
    var status: Int32 = 0
    for word in command.operands {
      do throws(ImageError) {
        for removed in try store.removeName(word, force: command.flag("force")) {
          Output.print("removed \(removed.familiar)\n")
        }
      } catch {
        Output.complain(error.message)
        status = 1
      }
    }
    // Nil where another command is adding an image: its end, or the next rmi, removes what nobody needs.
    for layer in try store.collectGarbage() ?? [] { Output.print("deleted layer \(layer.short)\n") }
    return status
  }
}

/// `tag`: a further name.
enum TagCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    try store.tag(command.operands[0], as: command.operands[1])
    return 0
  }
}
