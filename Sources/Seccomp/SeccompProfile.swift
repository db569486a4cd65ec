/// A seccomp profile: rules of the runtime specification, or one of our own.
public struct SeccompProfile: Sendable, Hashable {
  private enum Source: Hashable {
    case rules(ProfileRules)
    case standard(DefaultProfile)
  }
  private var source: Source

  public init(_ rules: ProfileRules) { source = .rules(rules) }
  public init(_ standard: DefaultProfile) { source = .standard(standard) }

  /// The profile spelt out, whichever way it was made.
  public var rules: ProfileRules {
    switch source {
    case .rules(let rules): rules
    case .standard(let standard): standard.rules
    }
  }

  /// The filter for a machine.
  /// - Throws: where the machine has no call numbers, or the filter would be longer than the kernel takes (4096).
  public func compile(for machine: Architecture = .host) throws(SeccompError) -> SeccompProgram {
    switch source {
    case .rules(let rules): try rules.compile(for: machine)
    case .standard(let standard): try standard.compile(for: machine)
    }
  }
}
