/// One option of a verb, as the parser, help, man pages and completions read it.
public struct Option: Sendable {
  /// Without dashes: "memory".
  public let name: String
  /// One letter, or nil.
  public let short: Character?
  /// What stands for the value in help ("SIZE"); nil for a flag.
  public let value: String?
  public let help: String
  /// Whether it may be given more than once.
  public let repeats: Bool

  public init(_ name: String, value: String? = nil, repeats: Bool = false, _ help: String) {
    self.name = name
    self.short = nil
    self.value = value
    self.help = help
    self.repeats = repeats
  }

  public init(_ name: String, _ short: Character, value: String? = nil, repeats: Bool = false, _ help: String) {
    self.name = name
    self.short = short
    self.value = value
    self.help = help
    self.repeats = repeats
  }
}

/// A group of options under a heading in help.
public struct OptionGroup: Sendable {
  public let title: String
  public let options: [Option]
  public init(_ title: String, _ options: [Option]) {
    self.title = title
    self.options = options
  }
}

/// A command line shown in help, man pages and docs, with what it does. Tests run them.
public struct Example: Sendable {
  public let command: String
  public let what: String
  public init(_ command: String, _ what: String) {
    self.command = command
    self.what = what
  }
}

/// Which executable serves a verb.
public enum Place: Sendable {
  /// The slim `immure`.
  case launch
  /// `immure-front`: network and decompression.
  case front
}

/// One verb of the command line: "run", "image inspect".
public struct Verb: Sendable {
  public let name: String
  /// What follows the options in the usage line.
  public let operands: String
  public let summary: String
  /// A paragraph or more for help and the man page.
  public let discussion: String
  public let groups: [OptionGroup]
  public let examples: [Example]
  public let place: Place
  /// Whether the first operand ends the options: what follows belongs to the program in the box.
  public let stopsAtOperand: Bool
  /// How many operands there may be.
  public let count: ClosedRange<Int>

  public init(
    _ name: String, _ operands: String = "", count: ClosedRange<Int> = 0...0, _ summary: String,
    discussion: String = "",
    place: Place = .launch, stopsAtOperand: Bool = false, groups: [OptionGroup] = [], examples: [Example] = []
  ) {
    self.name = name
    self.operands = operands
    self.summary = summary
    self.discussion = discussion
    self.groups = groups
    self.examples = examples
    self.place = place
    self.stopsAtOperand = stopsAtOperand
    self.count = count
  }

  /// The verb's own options and those of every verb.
  public var options: [Option] { groups.flatMap(\.options) + Verb.everywhere.options }

  /// Understood by every verb, also before the verb's name.
  public static let everywhere = OptionGroup(
    "Everywhere",
    [
      Option(
        "root", value: "DIR", "Where images and sandboxes are kept (/var/lib/immure for root, else the XDG data folder)"
      ),
      Option(
        "debug",
        "With `run --wall sentry`: name on stderr each system call that the program asked for and is not there, once"),
      Option("help", "h", "Show this help"),
    ])
}
