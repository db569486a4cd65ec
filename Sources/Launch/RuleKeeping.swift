import Policy
import Walls

/// Who keeps a rule: the wall, or the supervisor that every wall has.
enum RuleKeeping {
  static func enforcement(of rule: Rule, by wall: any Wall, on host: Host) -> Enforcement {
    switch rule.key {
    case .timeout: .enforced("supervisor: timer, then the box is ended")
    case .output: .enforced("supervisor: counts bytes on stdout and stderr")
    case .log: .enforced("monitor: rotated log")
    case .environment: .enforced("set before the program starts")
    default: wall.enforcement(of: rule, on: host)
    }
  }
}
