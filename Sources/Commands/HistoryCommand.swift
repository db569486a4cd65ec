import Formats
import Images
import Options

/// `history`: the steps that made an image.
enum HistoryCommand {
  static func run(_ command: ParsedCommand, _ store: ImageStore) throws -> Int32 {
    let isJSON = try ListFormat.isJSON(command)
    let word = command.operands[0]
    guard let image = try store.resolve(word) else { throw ImageStore.noSuchImage(word) }
    let steps = try store.steps(of: image)
    if command.flag("quiet") {
      Output.print(steps.compactMap(\.layer).map { $0.description + "\n" }.joined())
    } else if isJSON {
      Output.print(JSONValue.array(steps.map(json)).text(indented: true) + "\n")
    } else {
      Output.print(table(steps, isWhole: command.flag("no-trunc")))
    }
    return 0
  }

  private static func table(_ steps: [ImageStep], isWhole: Bool) -> String {
    let rows = steps.map { step in
      [
        step.layer.map { isWhole ? $0.description : $0.short } ?? "-", ListFormat.safe(step.history.created ?? "-"),
        created(step.history.createdBy ?? "", isWhole: isWhole), step.size.map(ImagesCommand.size) ?? "-",
        ListFormat.safe(step.history.comment ?? ""),
      ]
    }
    return ImagesCommand.table([["LAYER", "CREATED", "CREATED BY", "SIZE", "COMMENT"]] + rows)
  }

  private static func created(_ text: String, isWhole: Bool) -> String {
    // 45 characters, as Docker has it.
    if isWhole || text.unicodeScalars.count <= 45 { return ListFormat.safe(text) }
    var start = String.UnicodeScalarView()
    start.append(contentsOf: text.unicodeScalars.prefix(44))
    return ListFormat.safe(String(start)) + "…"
  }

  private static func json(_ step: ImageStep) -> JSONValue {
    func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
    return [
      "layer": text(step.layer?.description), "diffID": text(step.diffID?.description),
      "emptyLayer": .bool(step.layer == nil),
      "created": text(step.history.created), "createdBy": text(step.history.createdBy),
      "author": text(step.history.author), "comment": text(step.history.comment),
      "size": step.size.map { .integer($0) } ?? .null,
    ]
  }
}

/// How listings are printed.
enum ListFormat {
  static func isJSON(_ command: ParsedCommand) throws -> Bool {
    switch command.value("format") ?? "table" {
    case "json": return true
    case "table": return false
    case let other:
      throw UsageError(command.verb, "--format \"\(FormatError.presentable(other))\": there are table and json")
    }
  }

  /// All of a stranger's text, so that nothing in it acts on a terminal; quotes and backslashes as they are.
  static func safe(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      if scalar == "\"" || scalar == "\\" || ("a"..."z").contains(scalar) || scalar == " " {
        result.append(scalar)
      } else {
        result.append(contentsOf: FormatError.presentable(String(scalar)).unicodeScalars)
      }
    }
    return String(result)
  }
}
