import Formats

/// A wall as a choice sees it: whether it can be raised here, and how far it holds each rule.
public struct WallCandidate {
  /// What is missing and what to do about it, a clause each; empty where the wall can be raised.
  public var lacks: [String]
  /// Every rule of the policy with how far the wall holds it.
  public var judged: [(rule: Rule, enforcement: Enforcement)]
  public init(lacks: [String] = [], judged: [(rule: Rule, enforcement: Enforcement)] = []) {
    self.lacks = lacks
    self.judged = judged
  }
}

/// The wall that is taken, and what it does not hold.
///
/// A rule that somebody wrote is binding: a wall that does not hold it whole is taken only when `--allow-unenforced RULE` says so.
/// Of the built-in rules, limits are best effort, and a weaker hold on any other becomes a note too; one that is not held at all rules
/// the wall out, unless the wall was asked for by name.
public struct WallChoice {
  public let wall: WallName
  public let judged: [(rule: Rule, enforcement: Enforcement)]
  /// Rules held in part or not at all, and accepted: one clause each.
  public let notes: [String]

  /// - Parameters:
  ///   - order: the walls there are, the preferred first.
  ///   - requested: `--wall`.
  ///   - allowed: rule names of `--allow-unenforced`.
  ///   - consider: asked for a wall only when its turn comes.
  public static func choose(
    for policy: Policy, order: [WallName], requested: WallName? = nil, allowed: [String] = [],
    consider: (WallName) -> WallCandidate
  ) throws(WallRefusal) -> WallChoice {
    if let unknown = allowed.first(where: { !ruleNames.contains($0) }) {
      let near = NearestName.of(unknown, among: ruleNames)
      throw WallRefusal(
        "--allow-unenforced: \"\(FormatError.presentable(unknown))\" is not a rule"
          + (near.map { ": did you mean \($0)?" } ?? "; `immure policy explain` lists them"))
    }
    if let requested {
      if !order.contains(requested) {
        throw WallRefusal(
          "--wall \(requested.rawValue): there is no such wall in this build: \(order.map(\.rawValue).joined(separator: ", "))"
        )
      }
      if let floor = policy.floor, requested < floor.value {
        throw WallRefusal(
          "--wall \(requested.rawValue) is thinner than the policy's at_least = \"\(floor.value.rawValue)\" (\(floor.origin.description))"
        )
      }
    }
    var reasons: [String] = []
    var thinner: [WallName] = []
    for wall in requested.map({ [$0] }) ?? order {
      if let floor = policy.floor, wall < floor.value {
        thinner.append(wall)
        continue
      }
      let candidate = consider(wall)
      if !candidate.lacks.isEmpty {
        reasons.append("\(wall.rawValue): \(candidate.lacks.joined(separator: "; "))")
        continue
      }
      let losses = candidate.judged.filter { !$0.enforcement.isFull }
      let refused = losses.filter {
        !isAccepted($0.rule, $0.enforcement, requested: requested != nil, allowed: allowed)
      }
      if refused.isEmpty {
        return WallChoice(wall: wall, judged: candidate.judged, notes: losses.map { note($0.rule, $0.enforcement) })
      }
      reasons.append(refusal(by: wall, refused))
    }
    if let floor = policy.floor, !thinner.isEmpty {
      reasons.append(
        "\(thinner.map(\.rawValue).joined(separator: ", ")): thinner than at_least = \"\(floor.value.rawValue)\" (\(floor.origin.description))"
      )
    }
    let subject = requested == nil ? "no wall here holds this policy: " : "--wall "
    throw WallRefusal(subject + reasons.joined(separator: "; "))
  }

  /// Every name a rule can have.
  public static let ruleNames =
    ["files.read", "files.write", "files.hidden", "network"]
    + ["others", "new_privileges", "user_namespace", "capabilities", "seccomp", "system_calls"].map {
      "processes." + $0
    }
    + LimitName.allCases.map { "limits." + $0.rawValue } + ["devices", "environment"]

  static func isAccepted(_ rule: Rule, _ enforcement: Enforcement, requested: Bool, allowed: [String]) -> Bool {
    if allowed.contains(rule.name) { return true }
    if rule.origin.isBinding { return false }
    if requested || rule.name.hasPrefix("limits.") { return true }
    if case .weaker = enforcement { return true }
    return false
  }

  static func note(_ rule: Rule, _ enforcement: Enforcement) -> String {
    "\(rule.name) \(FormatError.presentable(rule.value)) is \(enforcement.isWeaker ? "weaker" : "not held"): \(enforcement.explanation)"
  }

  /// The wall, the rules it does not hold with who wrote them and why, and what accepts the loss.
  static func refusal(by wall: WallName, _ refused: [(rule: Rule, enforcement: Enforcement)]) -> String {
    var clauses: [String] = []
    var accepting: [String] = []
    for (rule, enforcement) in refused {
      let verb = enforcement.isWeaker ? "holds only in part" : "does not hold"
      clauses.append(
        "\(verb) \(rule.name) \(FormatError.presentable(rule.value)) (\(rule.origin.description)): \(enforcement.explanation)"
      )
      let option = rule.origin.isBinding ? "--allow-unenforced \(rule.name)" : "--wall \(wall.rawValue)"
      if !accepting.contains(option) { accepting.append(option) }
    }
    return "\(wall.rawValue) \(clauses.joined(separator: "; ")) [\(accepting.joined(separator: " ")) accepts the loss]"
  }
}

/// Why no wall is taken: one line that names the rule and the option that accepts its loss, or what is missing and the remedy.
public struct WallRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}

extension Enforcement {
  var isWeaker: Bool {
    if case .weaker = self { return true }
    return false
  }
}
