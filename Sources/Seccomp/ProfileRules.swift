/// How an argument is compared, always unsigned and 64 bits wide (config-linux.md, `op`).
public enum Comparison: String, Sendable, Hashable, CaseIterable {
  case notEqual = "SCMP_CMP_NE"
  case less = "SCMP_CMP_LT"
  case lessOrEqual = "SCMP_CMP_LE"
  case equal = "SCMP_CMP_EQ"
  case greaterOrEqual = "SCMP_CMP_GE"
  case greater = "SCMP_CMP_GT"
  /// `(argument & value) == valueTwo`.
  case maskedEqual = "SCMP_CMP_MASKED_EQ"
}

/// One condition on one argument of a call.
public struct ArgumentCondition: Sendable, Hashable {
  /// 0...5.
  public var index: UInt8
  public var comparison: Comparison
  /// The value compared with, or the mask of `maskedEqual`.
  public var value: UInt64
  /// What the masked argument must equal; unused by the other comparisons.
  public var valueTwo: UInt64

  public init(_ index: UInt8, _ comparison: Comparison, _ value: UInt64, _ valueTwo: UInt64 = 0) {
    self.index = index
    self.comparison = comparison
    self.value = value
    self.valueTwo = valueTwo
  }
}

/// What happens to some calls where all conditions hold.
public struct ProfileRule: Sendable, Hashable {
  /// Names as the kernel has them. A name that an architecture lacks means nothing there.
  public var names: [String]
  public var action: Action
  public var conditions: [ArgumentCondition]

  public init(_ names: [String], _ action: Action, _ conditions: [ArgumentCondition] = []) {
    self.names = names
    self.action = action
    self.conditions = conditions
  }
}

/// The bits of `seccomp(2)`'s flags argument that a profile may ask for.
public struct FilterFlags: OptionSet, Sendable, Hashable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public static let tsync = FilterFlags(rawValue: 1 << 0)
  public static let log = FilterFlags(rawValue: 1 << 1)
  public static let specAllow = FilterFlags(rawValue: 1 << 2)
  public static let waitKillable = FilterFlags(rawValue: 1 << 5)
}

/// A profile in the terms of the runtime specification.
///
/// What it means for a call, in this order:
/// 1. Another architecture than the native one and those listed: `foreignAction`. The number -1, which a tracer
/// writes to
///    skip a call, is no x32 call.
/// 2. The first rule that names the call and whose conditions all hold.
/// 3. `defaultAction`.
public struct ProfileRules: Sendable, Hashable {
  public var defaultAction: Action
  /// Served beside the native one. Those that the machine cannot run are left out of the program.
  public var architectures: [Architecture]
  public var flags: FilterFlags
  public var rules: [ProfileRule]
  /// For calls of architectures that are not served.
  public var foreignAction: Action = .killProcess
  /// Where the descriptor of a `notify` listener is sent (config-linux.md, `listenerPath`).
  public var listenerPath: String?
  public var listenerMetadata: String?
  /// Names in permissive rules that no architecture has: nothing to allow, so they were left out; worth a warning.
  public var unknownNames: [String] = []

  public init(
    defaultAction: Action, architectures: [Architecture] = [], flags: FilterFlags = [], rules: [ProfileRule] = []
  ) {
    self.defaultAction = defaultAction
    self.architectures = architectures
    self.flags = flags
    self.rules = rules
  }

  /// Whether some call's answer is `notify`, so that installing the filter gives a listener descriptor.
  public var usesNotify: Bool { defaultAction == .notify || rules.contains { $0.action == .notify } }
}
