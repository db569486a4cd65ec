import Formats

/// A rule that cannot be: which one, the offending text, where it was written, what is accepted. Printed as one line:
/// `policy.toml:12: limits.memory: "12x" is not a size: …`, `--memory: "12x" is not a size: …`.
public struct PolicyError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The key in a file ("limits.memory") or the option as it was typed.
  public let subject: String
  public let origin: Origin
  /// The text itself, shortened and escaped; empty where there is none to show.
  public let offending: String
  /// A predicate about the offending text, or a whole clause where there is none.
  public let problem: String

  public init(_ problem: String, offending: String = "", subject: String, origin: Origin) {
    self.init(
      problem: problem, shown: FormatError.presentable(offending), subject: FormatError.presentable(subject),
      origin: origin)
  }

  /// - Parameters: texts that are fit to be shown.
  init(problem: String, shown: String, subject: String, origin: Origin) {
    self.problem = problem
    self.offending = shown
    self.subject = subject
    self.origin = origin
  }

  public var description: String {
    var line = ""
    if case .file(let path, let number) = origin { line = "\(FormatError.presentable(path)):\(number): " }
    if !subject.isEmpty { line += subject + ": " }
    if !offending.isEmpty { line += "\"\(offending)\" " }
    return line + problem
  }
}

/// What a value is being read for: gives its errors and its setting the same origin.
struct Subject {
  let name: String
  let origin: Origin

  init(option: String) {
    name = option
    origin = .option(option)
  }
  init(_ name: String, origin: Origin) {
    self.name = name
    self.origin = origin
  }

  func failure(_ problem: String, _ offending: String = "") -> PolicyError {
    PolicyError(problem, offending: offending, subject: name, origin: origin)
  }
  func setting<Value>(_ value: Value) -> Setting<Value> { Setting(value, origin) }
}
