import Formats
import Images
import Options
import Registry

/// `image fsck`: whether the store still has what it was given.
enum CheckImagesCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let format = command.value("format") ?? "text"
    guard ["text", "json"].contains(format) else {
      throw UsageError(command.verb, "--format \"\(FormatError.presentable(format))\": there are text and json")
    }
    try store.prepare()
    try store.clearLeftovers()
    let check = try ImageCheck(store)
    if format == "json" {
      let found: JSONValue = [
        "images": .integer(Int64(check.images)), "layers": .integer(Int64(check.layers)),
        "unverifiable": .integer(Int64(check.trees)), "bytes": .integer(check.bytes),
        "problems": .array(check.problems.map(\.json)),
      ]
      Output.print(found.text(indented: true) + "\n")
      return check.problems.isEmpty ? 0 : 1
    }
    for problem in check.problems {
      Output.print("\(problem.kind) \(problem.subject): \(problem.what)\(remedy(problem))\n")
    }
    let trees = check.trees == 0 ? "" : " (\(check.trees) of an early version, of which nothing can be verified)"
    Output.print(
      "\(check.images) \(check.images == 1 ? "name" : "names"), \(check.layers) \(check.layers == 1 ? "layer" : "layers")\(trees), \(ImagesCommand.size(check.bytes)) read: \(check.problems.isEmpty ? "whole" : "\(check.problems.count) damaged")\n"
    )
    return check.problems.isEmpty ? 0 : 1
  }

  /// What a person does about it.
  private static func remedy(_ problem: ImageCheck.Problem) -> String {
    if problem.kind == "name" && problem.images.isEmpty { return "; remove this file of images/names, and pull again" }
    if problem.images.isEmpty { return "; no image needs it, the next `immure rmi` removes it" }
    let names = problem.images.joined(separator: " ")
    return "; `immure rmi -f \(names)`, then pull again: \(problem.images.joined(separator: ", "))"
  }
}
