/// Manual pages in the man(7) macros, made from the table of verbs.
public enum Manual {
  /// One page: the file's name ("immure-run.1") and its text.
  public struct Page: Sendable {
    public let file: String
    public let text: String
  }

  /// The page of the whole command, then one a verb in the table's order.
  public static func pages(_ verbs: [Verb] = Verb.all) -> [Page] {
    [Page(file: "immure.1", text: overview(verbs))]
      + verbs.map { Page(file: name(of: $0) + ".1", text: page($0, among: verbs)) }
  }

  /// "immure-policy-explain".
  public static func name(of verb: Verb) -> String {
    "immure-" + verb.name.split(separator: " ").joined(separator: "-")
  }

  /// immure(1).
  public static func overview(_ verbs: [Verb] = Verb.all) -> String {
    var page = Writer("immure")
    page.section("NAME")
    page.text("immure - run code you don't trust behind the wall you choose")
    page.section("SYNOPSIS")
    page.line(".B immure")
    page.text("[--root DIR] COMMAND [OPTION…]")
    page.section("DESCRIPTION")
    page.text(
      """
      Immure runs a program from an OCI image, or one of this machine's own, behind a wall: the thinnest is a chroot with an own \
      user, seccomp and Landlock (jail), the next adds namespaces, control groups and capabilities (container). \
      What the program may do is a policy in words of no wall; `immure policy explain` says rule by rule who enforces it. \
      There is no network, no home folder and no privilege unless it is given.
      """)
    page.section("COMMANDS")
    for verb in verbs {
      page.line(".TP")
      page.line(".B " + Writer.word("immure " + verb.name))
      page.text("\(verb.summary). See \(name(of: verb))(1).")
    }
    page.section("OPTIONS")
    page.text("Understood by every command, also before its name:")
    for option in Verb.everywhere.options { page.option(option) }
    page.line(".TP")
    page.line(".B \\-\\-version")
    page.text("Say which immure this is.")
    page.section("EXIT STATUS")
    for (status, meaning) in exitStatuses {
      page.line(".TP")
      page.line(".B " + Writer.word(status))
      page.text(meaning)
    }
    page.section("ENVIRONMENT")
    page.line(".TP")
    page.line(".B IMMURE_ROOT")
    page.text("Where images and sandboxes are kept, where --root is not given.")
    page.section("FILES")
    page.line(".TP")
    page.line(".I /var/lib/immure")
    page.text("Root's images, sandboxes and workspaces.")
    page.line(".TP")
    page.line(".I " + Writer.word("$XDG_DATA_HOME/immure, ~/.local/share/immure"))
    page.text("Those of every other user.")
    page.line(".TP")
    page.line(".I " + Writer.word("PREFIX/share/immure/policies"))
    page.text("The policies that ship: --policy NAME.")
    page.seeAlso(verbs.map(name))
    return page.page
  }

  /// What `run` ends with besides the program's own status.
  public static let exitStatuses: [(status: String, meaning: String)] = [
    ("0 to 255", "The program's own status, for run, exec and attach."),
    ("1", "A command about sandboxes or images failed, and said why on standard error."),
    ("124", "The program was ended by --timeout."),
    (
      "125",
      "Immure failed before the program began, no wall enforces the policy, the command line was not understood, or the output limit was passed."
    ),
    ("126", "The program is there but cannot be run."),
    ("127", "The program is not there."),
    ("128 + N", "The program was ended by signal N: 130 after Ctrl-C, 137 after KILL or over the memory limit."),
    ("152", "The program used its CPU time (--cpu-time)."),
    ("153", "The program wrote a file larger than it may (--file-size)."),
  ]

  /// immure-VERB(1).
  public static func page(_ verb: Verb, among verbs: [Verb] = Verb.all) -> String {
    let name = name(of: verb)
    var page = Writer(name)
    page.section("NAME")
    page.text("\(name) - \(verb.summary.first?.lowercased() ?? "")\(verb.summary.dropFirst())")
    page.section("SYNOPSIS")
    for (index, form) in verb.operands.split(separator: " | ", omittingEmptySubsequences: false).enumerated() {
      if index > 0 { page.line(".br") }
      page.line(".B " + Writer.word("immure " + verb.name))
      page.text("[OPTION…]" + (form.isEmpty ? "" : " \(form)"))
    }
    page.section("DESCRIPTION")
    if verb.discussion.isEmpty {
      page.text(verb.summary + ".")
    } else {
      for (index, paragraph) in verb.discussion.split(separator: "\n\n").enumerated() {
        if index > 0 { page.line(".PP") }
        page.text(String(paragraph))
      }
    }
    page.section("OPTIONS")
    for group in verb.groups + [Verb.everywhere] {
      page.line(".SS " + Writer.word(group.title))
      for option in group.options { page.option(option) }
    }
    if !verb.examples.isEmpty {
      page.section("EXAMPLES")
      for example in verb.examples {
        page.line(".TP")
        page.line(".B " + Writer.word(example.command))
        page.text(example.what)
      }
    }
    // Pages of the same family, and the overview.
    let family = verb.name.split(separator: " ")[0]
    let kin = verbs.filter { $0.name != verb.name && $0.name.split(separator: " ")[0] == family }.map(Manual.name)
    page.seeAlso(["immure"] + kin)
    return page.page
  }

  /// A page as it grows.
  private struct Writer {
    private(set) var page: String

    init(_ name: String) {
      // An empty date: the same sources give the same bytes.
      page = ".TH \(Writer.word(name.uppercased())) 1 \"\" \"immure \(Help.version)\" \"Immure\"\n"
    }

    mutating func line(_ text: String) { page += text + "\n" }

    mutating func section(_ title: String) { line(".SH " + title) }

    /// A paragraph: one input line each, so that no text begins a request.
    mutating func text(_ text: String) {
      for part in text.split(separator: "\n") { line(Writer.escaped(String(part))) }
    }

    mutating func option(_ option: Option) {
      line(".TP")
      let short = option.short.map { "-\($0), " } ?? ""
      line(".B " + Writer.word(short + "--" + option.name + (option.value.map { " " + $0 } ?? "")))
      text(option.help + "." + (option.repeats ? " May be given more than once." : ""))
    }

    mutating func seeAlso(_ names: [String]) {
      section("SEE ALSO")
      for (index, name) in names.enumerated() {
        line(".BR " + Writer.escaped(name) + " (1)" + (index + 1 < names.count ? "," : ""))
      }
    }

    /// A macro's one argument: quoted, its own quotes doubled by name.
    static func word(_ text: String) -> String {
      "\"" + escaped(text).split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\(dq") + "\""
    }

    /// Text that troff prints as it stands: groff_char(7).
    static func escaped(_ text: String) -> String {
      var out = ""
      for scalar in text.unicodeScalars {
        switch scalar {
        case "\\": out += "\\e"
        case "-": out += "\\-"
        case "'": out += "\\(aq"
        case "`": out += "\\(ga"
        case "^": out += "\\(ha"
        case "~": out += "\\(ti"
        default:
          if scalar.value < 0x80 {
            out.unicodeScalars.append(scalar)
          } else {
            let hexadecimal = String(scalar.value, radix: 16, uppercase: true)
            out += "\\[u" + String(repeating: "0", count: max(0, 4 - hexadecimal.utf8.count)) + hexadecimal + "]"
          }
        }
      }
      return out.hasPrefix(".") ? "\\&" + out : out
    }
  }
}
