/// The house as Package.swift lists it: its modules bottom first, and what each says it stands on.
struct House {
  /// Every target of the lists `house` and `front`, in their order.
  private(set) var order: [String] = []
  private(set) var dependencies: [String: [String]] = [:]

  init(manifest: String) {
    for list in ["let house: [Target] = [", "let front: [Target] = ["] {
      guard let start = manifest.range(of: list), let end = manifest.range(of: "\n]\n", in: start.upperBound) else {
        continue
      }
      for entry in House.entries(String(manifest[start.upperBound..<end])) { add(entry) }
    }
  }

  /// What stands between commas that no bracket, parenthesis or string encloses.
  static func entries(_ text: String) -> [String] {
    var found: [String] = []
    var current = ""
    var depth = 0
    var quoted = false
    for character in text {
      if character == "\"" { quoted.toggle() }
      if !quoted, "([".contains(character) { depth += 1 }
      if !quoted, ")]".contains(character) { depth -= 1 }
      if character == ",", depth == 0, !quoted {
        found.append(current)
        current = ""
      } else {
        current.append(character)
      }
    }
    return found + [current]
  }

  /// `module("Name", ["A", "B"])`, `.target(name: "Name", …)`, `.executableTarget(name: "Name", dependencies: ["A"], …)`.
  private mutating func add(_ entry: String) {
    let words = entry.split(separator: "\"", omittingEmptySubsequences: false).map(String.init)
    guard words.count > 1 else { return }
    let name = words[1]
    let isModule = entry.drop(while: \.isWhitespace).hasPrefix("module(")
    var lists = isModule
    var found: [String] = []
    for index in stride(from: 2, to: words.count - 1, by: 2) {
      let before = words[index]
      if before.contains("dependencies:") { lists = true }
      if before.contains("Settings:") || before.contains("providers:") { lists = false }
      if lists && !before.contains("package:") { found.append(words[index + 1]) }
    }
    order.append(name)
    dependencies[name] = found
  }
}

extension String {
  /// Where `part` next begins, from an index on.
  fileprivate func range(of part: String, in start: Index) -> Index? {
    var index = start
    while index < endIndex {
      if self[index...].hasPrefix(part) { return index }
      formIndex(after: &index)
    }
    return nil
  }

  fileprivate func range(of part: String) -> Range<Index>? {
    range(of: part, in: startIndex).map { $0..<index($0, offsetBy: part.count) }
  }
}
