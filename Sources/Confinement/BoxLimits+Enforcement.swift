package import Linux
package import Policy

extension BoxLimits {
  /// How a control group holds a rule: what people wrote must be held by one; a default may be held by something weaker.
  package static func enforcement(
    of rule: Rule, _ controller: CgroupController, legacy: String, unified: String, weaker: String?
  ) -> Enforcement {
    let layout = CgroupLayout.detect()
    if Cgroup.canMake(controller, layout: layout) {
      return .enforced("cgroup " + (layout.mode == .unified ? unified : legacy))
    }
    if let weaker, !rule.origin.isBinding { return .weaker("\(weaker): control groups cannot be written") }
    return .unenforced("the control group controller \(controller.rawValue) cannot be used here: \(advice)")
  }

  /// What to do where control groups cannot be made.
  package static let advice = "run as root, or with `systemd-run --user --scope -p Delegate=yes immure …`"
}
