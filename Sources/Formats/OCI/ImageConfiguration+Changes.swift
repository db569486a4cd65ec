extension ImageConfiguration {
  /// Changes the configuration as lines of a Dockerfile do: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR; the
  /// word is followed by a blank or, as podman has it, an equals sign. An ENTRYPOINT takes the CMD away that was there before.
  /// - Throws: `FormatError` that quotes the line and says what is wrong with it.
  public mutating func apply(changes lines: [String]) throws(FormatError) {
    var hasCommand = false
    for line in lines {
      let (instruction, rest) = try Self.split(line)
      switch instruction {
      case "CMD":
        command = try Self.words(rest, line)
        hasCommand = true
      case "ENTRYPOINT":
        entrypoint = try Self.words(rest, line)
        if !hasCommand { command = [] }
      case "ENV":
        for (key, value) in try Self.pairs(rest, line) {
          environment.removeAll { $0.hasPrefix(key + "=") }
          environment.append(key + "=" + value)
        }
      case "LABEL": for (key, value) in try Self.pairs(rest, line) { labels[key] = value }
      case "EXPOSE":
        for word in rest.split(separator: " ").map(String.init) {
          exposedPorts.append(word.contains("/") ? word : word + "/tcp")
        }
        exposedPorts = Set(exposedPorts).sorted()
      case "VOLUME":
        let paths = rest.hasPrefix("[") ? try Self.words(rest, line) : rest.split(separator: " ").map(String.init)
        volumes = Set(volumes + paths).sorted()
      case "USER": user = rest
      case "WORKDIR":
        let base = workingDirectory.isEmpty ? "/" : workingDirectory
        workingDirectory = rest.hasPrefix("/") ? rest : (base.hasSuffix("/") ? base : base + "/") + rest
      case "STOPSIGNAL": stopSignal = rest
      default:
        throw FormatError(
          "is no change that can be made; there are CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR",
          offending: line)
      }
    }
  }

  private static func split(_ line: String) throws(FormatError) -> (instruction: String, rest: String) {
    guard let end = line.firstIndex(where: { $0 == " " || $0 == "=" || $0 == "\t" }), end != line.startIndex else {
      throw FormatError("is no change: it is an instruction and what it says, as CMD /bin/sh", offending: line)
    }
    let rest = trimmed(line[line.index(after: end)...])
    guard !rest.isEmpty else { throw FormatError("says nothing after the instruction", offending: line) }
    return (line[..<end].uppercased(), rest)
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text
    while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return String(text)
  }

  /// A JSON array as it is, else a line for the shell.
  private static func words(_ text: String, _ line: String) throws(FormatError) -> [String] {
    guard text.hasPrefix("[") else { return ["/bin/sh", "-c", text] }
    do throws(FormatError) {
      var words: [String] = []
      for element in try JSONNode.parse(Array(text.utf8), source: "").elements() { words.append(try element.string()) }
      return words
    } catch { throw FormatError("is not a list of words in JSON (\(error.problem))", offending: line) }
  }

  /// `KEY=value KEY="a value" …`, or `KEY the whole rest`.
  private static func pairs(_ text: String, _ line: String) throws(FormatError) -> [(key: String, value: String)] {
    let words = try quoted(text, line)
    if let first = words.first, !first.contains("=") {
      guard words.count > 1 else { throw FormatError("gives no value", offending: line) }
      return [(first, trimmed(text.dropFirst(first.count)))]
    }
    var pairs: [(key: String, value: String)] = []
    for word in words {
      guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
        throw FormatError("is not made of KEY=value", offending: line)
      }
      pairs.append((String(word[..<equals]), String(word[word.index(after: equals)...])))
    }
    return pairs
  }

  /// Words parted by blanks; quotes keep blanks, a backslash the next character.
  private static func quoted(_ text: String, _ line: String) throws(FormatError) -> [String] {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var isEscaped = false
    for character in text {
      if isEscaped {
        word = (word ?? "") + String(character)
        isEscaped = false
      } else if character == "\\" && quote != "'" {
        isEscaped = true
      } else if let open = quote {
        if character == open { quote = nil } else { word = (word ?? "") + String(character) }
      } else if character == "\"" || character == "'" {
        quote = character
        word = word ?? ""
      } else if character == " " || character == "\t" {
        if let done = word { words.append(done) }
        word = nil
      } else {
        word = (word ?? "") + String(character)
      }
    }
    guard quote == nil, !isEscaped else { throw FormatError("has a quote without an end", offending: line) }
    if let word { words.append(word) }
    return words
  }

  /// The configuration written over a document that it was read from: what is not known here stays as it was.
  public func json(over base: JSONValue) -> JSONValue {
    guard case .object(var object) = base, case .object(let own) = json else { return json }
    var config = JSONObject()
    if case .object(let old)? = object["config"] {
      for member in old where !Self.knownConfig.contains(member.key) { config[member.key] = member.value }
    }
    if case .object(let new)? = own["config"] { for member in new { config[member.key] = member.value } }
    for member in own { object[member.key] = member.value }
    object["config"] = .object(config)
    return .object(object)
  }

  private static let knownConfig: Set<String> = [
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal",
  ]
}
