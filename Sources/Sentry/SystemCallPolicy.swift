import Formats
import Policy
import SentryPlatform
import Walls

extension StubFilter.Policy {
  init(_ rule: SystemCallRule) {
    switch rule {
    case .nativeHarmless: self = .nativeHarmless
    case .strict: self = .strict
    }
  }

  /// What a sandbox is to have: its policy's word, else its configuration's annotation, else `native-harmless`.
  static func of(_ bundle: Bundle) -> Self {
    let annotated = bundle.configuration.annotations[SystemCallRule.annotation].flatMap(SystemCallRule.init(rawValue:))
    return Self(bundle.policy.processes.systemCalls?.value ?? annotated ?? .nativeHarmless)
  }

  /// - Throws: a line that names an annotation whose word is none.
  static func check(_ bundle: Bundle) throws(WallError) {
    guard let word = bundle.configuration.annotations[SystemCallRule.annotation],
      SystemCallRule(rawValue: word) == nil
    else { return }
    let words = SystemCallRule.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " nor ")
    throw WallError("annotation \(SystemCallRule.annotation) is neither \(words)")
  }
}
