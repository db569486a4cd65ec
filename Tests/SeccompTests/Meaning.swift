import Seccomp

/// What a profile means for one call, read straight from its rules: the oracle of the compiler. It shares nothing
/// with it but the tables of numbers.
struct Meaning {
  private let rules: ProfileRules
  private let machine: Architecture
  /// The rules that name a call, in order.
  private let rulesOf: [Architecture: [UInt32: [Int]]]

  init(_ rules: ProfileRules, on machine: Architecture) {
    self.rules = rules
    self.machine = machine
    var naming: [String: [Int]] = [:]
    for (position, rule) in rules.rules.enumerated() {
      for name in Set(rule.names) { naming[name, default: []].append(position) }
    }
    var rulesOf: [Architecture: [UInt32: [Int]]] = [:]
    for architecture in machine.family ?? [] {
      var calls: [UInt32: [Int]] = [:]
      for (number, name) in SyscallTable.calls(of: architecture) { calls[number, default: []] += naming[name] ?? [] }
      rulesOf[architecture] = calls.mapValues { Set($0).sorted() }
    }
    self.rulesOf = rulesOf
  }

  func action(of call: SeccompData) -> Action {
    guard let architecture = architecture(of: call) else { return rules.foreignAction }
    for position in rulesOf[architecture]?[call.number] ?? [] {
      let rule = rules.rules[position]
      if rule.conditions.allSatisfy({ holds($0, call, architecture) }) { return rule.action }
    }
    return rules.defaultAction
  }

  private func architecture(of call: SeccompData) -> Architecture? {
    for architecture in machine.family ?? [] where architecture == machine || rules.architectures.contains(architecture)
    {
      guard architecture.auditToken == call.architecture else { continue }
      let isX32 = call.number & 0x4000_0000 != 0 || call.number >= 0x8000_0000
      switch architecture {
      case .x86_64 where isX32 && call.number != .max: continue
      case .x32 where !isX32: continue
      default: return architecture
      }
    }
    return nil
  }

  private func holds(_ condition: ArgumentCondition, _ call: SeccompData, _ architecture: Architecture) -> Bool {
    let width: UInt64 = architecture == .x86 || architecture == .arm ? 0xffff_ffff : .max
    let argument = call.arguments[Int(condition.index)] & width
    let (value, two) = (condition.value & width, condition.valueTwo & width)
    return switch condition.comparison {
    case .equal: argument == value
    case .notEqual: argument != value
    case .less: argument < value
    case .lessOrEqual: argument <= value
    case .greater: argument > value
    case .greaterOrEqual: argument >= value
    case .maskedEqual: argument & value == two
    }
  }
}
