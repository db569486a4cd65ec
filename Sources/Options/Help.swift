/// Help texts made from the table of verbs.
public enum Help {
  public static let version = "0.1.0"

  /// What `immure --help` prints.
  public static func overview(_ verbs: [Verb] = Verb.all) -> String {
    let width = verbs.map(\.name.utf8.count).max() ?? 0
    var text = """
      immure: run code you don't trust behind the wall you choose

      Usage: immure [--root DIR] COMMAND [OPTION…]

        immure run --rm -- sh -c 'id; ls /home'        this machine's own programs, homes hidden, no network
        immure run --rm python:3.12 python3 -c '…'     a program from an image

      Commands:

      """
    for verb in verbs { text += "  \(padded(verb.name, width))  \(verb.summary)\n" }
    return text + "\n`immure COMMAND --help` tells more about each; `immure doctor` about this machine.\n"
  }

  /// What `immure VERB --help` prints.
  public static func page(_ verb: Verb) -> String {
    var text = "immure \(verb.name): \(verb.summary)\n\nUsage: \(usage(verb))\n"
    if !verb.discussion.isEmpty { text += "\n" + wrapped(verb.discussion, width: 100) + "\n" }
    for group in verb.groups + [Verb.everywhere] {
      text += "\n\(group.title):\n"
      for option in group.options { text += "  \(padded(spelling(option), 34))  \(option.help)\n" }
    }
    if !verb.examples.isEmpty {
      text += "\nExamples:\n"
      for example in verb.examples { text += "  \(example.command)\n      \(example.what)\n" }
    }
    return text
  }

  /// "immure run [OPTION…] IMAGE [COMMAND…]".
  public static func usage(_ verb: Verb) -> String {
    verb.operands.split(separator: " | ", omittingEmptySubsequences: false)
      .map { "immure \(verb.name) [OPTION…]" + ($0.isEmpty ? "" : " \($0)") }.joined(separator: "\n       ")
  }

  /// "-m, --memory SIZE".
  public static func spelling(_ option: Option) -> String {
    (option.short.map { "-\($0), " } ?? "    ") + "--" + option.name + (option.value.map { " " + $0 } ?? "")
  }

  static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  /// Breaks paragraphs at blanks so that no line is longer than `width` characters.
  static func wrapped(_ text: String, width: Int) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { paragraph in
      var lines: [String] = [""]
      for word in paragraph.split(separator: " ") {
        if !lines[lines.count - 1].isEmpty && lines[lines.count - 1].count + 1 + word.count > width { lines.append("") }
        lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
      }
      return lines.joined(separator: "\n")
    }.joined(separator: "\n")
  }
}
