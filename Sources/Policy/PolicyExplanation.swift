public import Formats

/// Rule by rule who holds it with what, for people and for programs.
public struct PolicyExplanation: Sendable, Equatable {
  public struct Row: Sendable, Equatable {
    public var name: String
    public var value: String
    /// "default", an option, or FILE:LINE.
    public var origin: String
    /// "enforced", "weaker" or "unenforced".
    public var verdict: String
    public var by: String

    public init(_ rule: Rule, _ enforcement: Enforcement) {
      name = rule.name
      value = rule.value
      origin = rule.origin.description
      verdict = enforcement.verdict
      by = enforcement.explanation
    }
  }
  public var wall: WallName
  public var rows: [Row]
  /// Nil where the host's kernel answers every call.
  public var calls: CallCounts?

  public init(wall: WallName, _ judged: [(rule: Rule, enforcement: Enforcement)], calls: CallCounts? = nil) {
    self.wall = wall
    self.calls = calls
    rows = judged.map { Row($0.rule, $0.enforcement) }
  }

  /// A table with a heading, columns aligned, no blanks at line ends, one line a rule and a newline after each; then the calls in one.
  public func text() -> String {
    let heading = ["RULE", "VALUE", "FROM", "VERDICT", "BY"]
    let cells =
      [heading]
      + rows.map { row in [row.name, row.value, row.origin, row.verdict, row.by].map(escaped) }
    var widths = [0, 0, 0, 0]
    for line in cells {
      for column in 0..<4 { widths[column] = max(widths[column], line[column].unicodeScalars.count) }
    }
    var text = ""
    for line in cells {
      for column in 0..<4 {
        text += line[column]
        text += String(repeating: " ", count: widths[column] - line[column].unicodeScalars.count + 2)
      }
      text += line[4]
      while text.hasSuffix(" ") { text.removeLast() }
      text += "\n"
    }
    return text + (calls?.text ?? "")
  }

  /// `{"wall": …, "rules": [{"rule", "value", "from", "verdict", "by"}, …]}`, and of a wall with a kernel of its own
  /// `"calls": {"policy", "native": […], "continued": [{"kind", "calls": […]}, …], "served"}`.
  public func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.key("wall")
    writer.string(wall.rawValue)
    writer.key("rules")
    writer.beginArray()
    for row in rows {
      writer.beginObject()
      for (key, value) in [
        ("rule", row.name), ("value", row.value), ("from", row.origin), ("verdict", row.verdict), ("by", row.by),
      ] {
        writer.key(key)
        writer.string(value)
      }
      writer.endObject()
    }
    writer.endArray()
    if let calls { write(calls, to: &writer) }
    writer.endObject()
  }

  private func write(_ calls: CallCounts, to writer: inout JSONWriter) {
    func put(_ key: String, _ words: [String]) {
      writer.key(key)
      writer.beginArray()
      for word in words { writer.string(word) }
      writer.endArray()
    }
    writer.key("calls")
    writer.beginObject()
    writer.key("policy")
    writer.string(calls.policy.rawValue)
    put("native", calls.native)
    writer.key("continued")
    writer.beginArray()
    for kind in calls.continued {
      writer.beginObject()
      writer.key("kind")
      writer.string(kind.name)
      put("calls", kind.calls)
      writer.endObject()
    }
    writer.endArray()
    writer.key("served")
    writer.integer(Int64(calls.served))
    writer.endObject()
  }
}

extension Enforcement {
  /// "enforced", "weaker" or "unenforced".
  public var verdict: String {
    switch self {
    case .enforced: "enforced"
    case .weaker: "weaker"
    case .unenforced: "unenforced"
    }
  }

  /// By what, or why not.
  public var explanation: String {
    switch self {
    case .enforced(let text), .weaker(let text), .unenforced(let text): text
    }
  }
}

/// What a terminal would act on is written as an escape; nothing is shortened.
private func escaped(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    if scalar == "\"" || scalar == "\\" {
      result.unicodeScalars.append(scalar)
    } else {
      result += FormatError.presentable(String(scalar))
    }
  }
  return result
}
