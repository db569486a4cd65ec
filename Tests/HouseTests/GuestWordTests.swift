import Foundation
import Testing

/// A Swift integer trap is a guest's way to end the sentry: what guests say may go through no operation that traps.
@Suite("Guests' words")
struct GuestWordTests {
  struct Rule: Sendable, CustomTestStringConvertible {
    let name: String
    let pattern: String
    /// What it forbids, and what it lets through.
    let bad: [String]
    let good: [String]
    var testDescription: String { name }
  }

  /// An expression that a guest chose: a register, a word of its memory.
  private static let word = #"(?:\.(?:bits|int64|int32|uint32)\b|little(?:16|32|64)\([^()]*\))"#
  static let rules: [Rule] = [
    // 64 bits into fewer, or with another sign: by truncation, bit pattern, exactly or clamped, or bounded first.
    Rule(
      name: "no conversion that traps",
      pattern:
        #"\b(?:Int|Int64|Int32|Int16|Int8|UInt32|UInt16|UInt8)\((?!min\(|truncatingIfNeeded|exactly|bitPattern|clamping)[^()]*(?:\.bits\b|\.int64\b|little64\()(?![^()]*& (?:0x)?[0-9a-f_]+\))"#,
      bad: ["Int(call.arguments.1.bits)", "Int32(bytes.little64(8))", "UInt32(word.int64)"],
      good: [
        "Int(at.bits & 4095)", "Int(min(call.arguments.4.bits, 65536))", "Int(truncatingIfNeeded: a.bits)",
        "Int(exactly: bytes.little64(0))", "Int(bytes.little32(0))",
      ]),
    Rule(
      name: "no sum, difference or product that traps", pattern: word + #"\)? (?:[+*-]|[+*-]=) "#,
      bad: ["call.arguments.1.bits + 4095", "bytes.little64(0) * 2", "GuestWord(a).int64 - 1"],
      good: ["address.bits &+ 4095", "bytes.little64(at + 8) | 1"]),
    Rule(
      name: "no sum with one on the right", pattern: #"[\w)] [+*-] (?:UInt64|Int64)?\(?\w+(?:\.\w+)*"# + word,
      bad: ["start + call.arguments.2.int64", "3 * word.uint32"], good: ["start &+ call.arguments.2.int64", "at + 8"]),
    Rule(
      name: "no negation", pattern: #"(?:^|[(,=:?\[] ?|return )-[a-z]\w*(?:\.\w+)*"# + word,
      bad: ["return -call.arguments.0.int32", "f(-word.int64)"], good: ["0 &- word.int32", "a.int32 == -1"]),
    Rule(
      name: "no division", pattern: #"[/%] \(?[a-z]\w*(?:\.\w+)*"# + word, bad: ["size / call.arguments.0.bits"],
      good: ["a.bits / 512"]),
    Rule(
      name: "no index", pattern: #"\w(?<!kernel\.tasks)(?<!kernel\.groups)\[(?:Int\()?[a-z]\w*(?:\.\w+)*"# + word,
      bad: ["rows[Int(call.arguments.0.int32)]"],
      good: ["[call.arguments.1.address]", "set[0]", "task.kernel.tasks[call.arguments.0.int32]"]),
    Rule(
      name: "nothing taken by force", pattern: #"[\w)\]]!(?:[.)\],\s]|$)|\b(?:try|as)!"#,
      bad: ["names.last!.count", "try! f()", "a as! B", "list.first!"],
      good: ["a != b", "!isReady", "if !list.isEmpty"]),
    Rule(
      name: "no end by intent",
      pattern: #"\b(?:fatalError|precondition|preconditionFailure|assert|assertionFailure)\("#,
      bad: ["precondition(a > 0)", "fatalError()"], good: ["check(a)"]),
  ]

  /// What no guest reaches.
  private static let exempt: [String: String] = [
    "public private(set) var waiter: TaskWaiter!": "set by the only initialiser, which hands itself over",
    #"precondition(rows[Int(row.number)] == nil, "two rows for one call")"#:
      "the table's own numbers, once at the start",
    "precondition(index >= 0 && index < count)": "bounds what would else read outside the ring's memory",
  ]

  @Test("a rule finds what it forbids and nothing else", arguments: rules)
  func finds(rule: Rule) throws {
    let pattern = try NSRegularExpression(pattern: rule.pattern)
    for line in rule.bad { #expect(Self.matches(pattern, line), "\(line)") }
    for line in rule.good { #expect(!Self.matches(pattern, line), "\(line)") }
  }

  @Test("the sentry's sources keep them")
  func sources() throws {
    var seen: Set<String> = []
    for rule in Self.rules {
      let pattern = try NSRegularExpression(pattern: rule.pattern)
      for path in Repository.files where path.hasPrefix("Sources/Sentry") && path.hasSuffix(".swift") {
        for (number, text) in try Repository.code(path) where Self.matches(pattern, text) {
          let line = text.trimmingCharacters(in: .whitespaces)
          if Self.exempt[line] != nil {
            seen.insert(line)
          } else {
            Issue.record("\(path):\(number): \(rule.name): \(line)")
          }
        }
      }
    }
    #expect(seen.count == Self.exempt.count, "an exemption that no line needs any more")
  }

  private static func matches(_ pattern: NSRegularExpression, _ line: String) -> Bool {
    pattern.firstMatch(in: line, range: NSRange(line.startIndex..., in: line)) != nil
  }
}
