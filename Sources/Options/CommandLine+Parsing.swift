/// A command line that was understood.
public struct ParsedCommand: Sendable {
  public let verb: Verb
  private var values: [(name: String, value: String)]
  public private(set) var operands: [String] = []
  /// Whether "--" stood before the operands.
  public private(set) var afterSeparator = false

  /// Every value given for an option, in order.
  public func all(_ name: String) -> [String] { values.filter { $0.name == name }.map(\.value) }
  /// The last value given, or nil.
  public func value(_ name: String) -> String? { values.last { $0.name == name }?.value }
  /// Whether a flag was given.
  public func flag(_ name: String) -> Bool { values.contains { $0.name == name } }

  /// Understands `words`, which come after the verb's name; `before` are options that stood in front of it.
  public init(_ verb: Verb, _ words: ArraySlice<String>, before: [(name: String, value: String)] = [])
    throws(UsageError)
  {
    self.verb = verb
    values = before
    var rest = words
    while let word = rest.first {
      rest.removeFirst()
      if word == "--" {
        if operands.isEmpty { afterSeparator = true }
        operands += rest
        break
      }
      if word.hasPrefix("--") {
        try long(word.dropFirst(2), &rest)
      } else if word.hasPrefix("-") && word != "-" {
        try short(word.dropFirst(), &rest)
      } else {
        operands.append(word)
        if verb.stopsAtOperand {
          operands += rest
          break
        }
      }
    }
    if flag("help") { return }
    if operands.count < verb.count.lowerBound {
      throw UsageError(verb, "\(verb.operands.isEmpty ? "an operand" : verb.operands) is missing")
    }
    if operands.count > verb.count.upperBound {
      throw UsageError(verb, "\"\(presentable(operands[verb.count.upperBound]))\" is one word too many")
    }
  }

  private mutating func long(_ text: Substring, _ rest: inout ArraySlice<String>) throws(UsageError) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let name = String(parts[0])
    guard let option = verb.options.first(where: { $0.name == name }) else {
      throw UsageError(verb, "unknown option --\(presentable(name))" + suggestion(for: name))
    }
    guard option.value != nil else {
      // Go's clients write flags as --name=true.
      if parts.count == 2 && parts[1] != "true" {
        if parts[1] == "false" { return }
        throw UsageError(verb, "--\(name) takes no value, but \"\(presentable(String(parts[1])))\" was given")
      }
      return values.append((name, ""))
    }
    if parts.count == 2 { return try add(option, String(parts[1])) }
    guard let next = rest.first else { throw UsageError(verb, "--\(name) wants a value (\(option.value ?? ""))") }
    rest.removeFirst()
    try add(option, next)
  }

  private mutating func short(_ text: Substring, _ rest: inout ArraySlice<String>) throws(UsageError) {
    var letters = text
    while let letter = letters.first {
      letters.removeFirst()
      guard let option = verb.options.first(where: { $0.short == letter }) else {
        throw UsageError(verb, "unknown option -\(presentable(String(letter)))")
      }
      if option.value == nil {
        values.append((option.name, ""))
        continue
      }
      if !letters.isEmpty {
        if letters.first == "=" { letters.removeFirst() }
        return try add(option, String(letters))
      }
      guard let next = rest.first else { throw UsageError(verb, "-\(letter) wants a value (\(option.value ?? ""))") }
      rest.removeFirst()
      return try add(option, next)
    }
  }

  private mutating func add(_ option: Option, _ value: String) throws(UsageError) {
    if !option.repeats, let earlier = self.value(option.name), earlier != value {
      throw UsageError(
        verb,
        "--\(option.name) is given twice (\"\(presentable(earlier))\" and \"\(presentable(value))\"): give it once")
    }
    values.append((option.name, value))
  }

  private func suggestion(for name: String) -> String {
    let best = verb.options.map { ($0.name, distance(name, $0.name)) }.min { $0.1 < $1.1 }
    guard let best, best.1 <= 2 else { return "" }
    return "; did you mean --\(best.0)?"
  }
}

/// A command line that was not understood: one line.
public struct UsageError: Error, Sendable, CustomStringConvertible {
  public let verb: String
  public let problem: String
  public init(_ verb: Verb, _ problem: String) {
    self.verb = verb.name
    self.problem = problem
  }
  public init(verb: String, _ problem: String) {
    self.verb = verb
    self.problem = problem
  }
  public var description: String {
    verb.isEmpty ? "\(problem); see `immure --help`" : "\(verb): \(problem); see `immure \(verb) --help`"
  }
}

/// The verb that a whole command line names, and its options and operands.
public enum CommandLineReading: Sendable {
  case command(ParsedCommand)
  /// Help about everything, or about one verb.
  case help(Verb?)
  case version

  /// Reads the words after the command's name. Options of every verb may stand before the verb.
  public init(_ words: [String], verbs given: [Verb]? = nil) throws(UsageError) {
    var rest = words[...]
    var before: [(name: String, value: String)] = []
    loop: while let word = rest.first {
      switch word {
      case "-h", "--help":
        self = .help(nil)
        return
      case "--version", "-V":
        self = .version
        return
      case "--debug":
        before.append(("debug", ""))
        rest.removeFirst()
      case "--root":
        guard rest.count > 1 else { throw UsageError(verb: "", "--root wants a value (DIR)") }
        before.append(("root", rest[rest.startIndex + 1]))
        rest = rest.dropFirst(2)
      default:
        if word.hasPrefix("--root=") {
          before.append(("root", String(word.dropFirst(7))))
          rest.removeFirst()
        } else {
          break loop
        }
      }
    }
    guard let first = rest.first else {
      self = .help(nil)
      return
    }
    if first.hasPrefix("-") { throw UsageError(verb: "", "unknown option \(presentable(first))") }
    if given == nil, let verb = Verb.hot(first) {
      self = try CommandLineReading.reading(verb, rest.dropFirst(), before)
      return
    }
    let verbs = given ?? Verb.all
    if first == "help" {
      let name = rest.dropFirst().joined(separator: " ")
      if name.isEmpty {
        self = .help(nil)
        return
      }
      guard let verb = verbs.first(where: { $0.name == name }) else {
        throw UsageError(verb: "", "there is no command \"\(presentable(name))\"")
      }
      self = .help(verb)
      return
    }
    // Two-word verbs first: "policy explain".
    if rest.count > 1 {
      let two = first + " " + rest[rest.startIndex + 1]
      if let verb = verbs.first(where: { $0.name == two }) {
        self = try CommandLineReading.reading(verb, rest.dropFirst(2), before)
        return
      }
    }
    if let verb = verbs.first(where: { $0.name == first }) {
      self = try CommandLineReading.reading(verb, rest.dropFirst(), before)
      return
    }
    let inner = verbs.filter { $0.name.hasPrefix(first + " ") }.map(\.name)
    if !inner.isEmpty {
      throw UsageError(verb: "", "\"\(first)\" wants a second word: \(inner.joined(separator: ", "))")
    }
    let best = verbs.map { ($0.name, distance(first, $0.name)) }.min { $0.1 < $1.1 }
    let hint = best.map { $0.1 <= 2 ? "; did you mean \"\($0.0)\"?" : "" } ?? ""
    throw UsageError(verb: "", "there is no command \"\(presentable(first))\"\(hint)")
  }

  private static func reading(
    _ verb: Verb, _ words: ArraySlice<String>, _ before: [(name: String, value: String)]
  ) throws(UsageError) -> CommandLineReading {
    let parsed = try ParsedCommand(verb, words, before: before)
    return parsed.flag("help") ? .help(verb) : .command(parsed)
  }
}

/// Control characters escaped and long text shortened, for error lines.
func presentable(_ text: String) -> String {
  var out = ""
  for scalar in text.unicodeScalars.prefix(80) {
    if scalar.value < 32 || scalar.value == 127 {
      out += "\\u{" + String(scalar.value, radix: 16) + "}"
    } else {
      out.unicodeScalars.append(scalar)
    }
  }
  return text.unicodeScalars.count > 80 ? out + "…" : out
}

/// Levenshtein's distance, for "did you mean".
func distance(_ a: String, _ b: String) -> Int {
  let a = Array(a.utf8.prefix(40))
  let b = Array(b.utf8.prefix(40))
  var row = Array(0...b.count)
  for (i, x) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, y) in b.enumerated() {
      let above = row[j + 1]
      row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
      diagonal = above
    }
  }
  return row[b.count]
}
