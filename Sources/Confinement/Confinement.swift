import Formats
public import Linux
import Walls

/// The one way into a jail, in one order.
public enum Confinement {
  /// Confines the calling process as the plan says, after cgroup, namespaces, mounts and root are done and before
  /// close_range and exec. The order is the design's: rlimits, keyring, bounding set, groups, ids (capabilities kept), Landlock,
  /// seccomp where no_new_privs is not asked (CAP_SYS_ADMIN is still held), final capabilities, no_new_privs, seccomp where it is.
  ///
  /// Nothing is undone when it throws: the caller must end the process. The error names what was asked and not held.
  public static func enter(_ plan: ConfinementPlan) throws(SystemError) {
    var held = try CapabilitySets.current()
    try check(plan, held)

    // The paths are opened while this process may still see them.
    let ruleset = try prepare(plan.landlock)

    if let score = plan.oomScoreAdjustment { try File.writeExisting("/proc/self/oom_score_adj", "\(score)") }
    for limit in plan.rlimits { try ResourceLimits.set(limit.kind, soft: limit.soft, hard: limit.hard) }
    try plan.traits.apply()
    if plan.keyring { try leaveKeys() }

    try limitBounding(plan, held)
    try becomeUser(plan)
    if let mask = plan.user.umask { Identity.setUmask(mask) }

    // Leaving uid 0 emptied the effective set; the permitted one was kept (PR_SET_KEEPCAPS).
    held = try CapabilitySets.current()
    if held.effective != held.permitted {
      held.effective = held.permitted
      try held.apply()
    }

    // Landlock wants CAP_SYS_ADMIN or no_new_privs: a plain user who asked for both gets the second first.
    let isAdministrator = held.effective & Capability.sysAdmin != 0
    if let ruleset {
      if !isAdministrator && plan.noNewPrivileges { try Identity.forbidNewPrivileges() }
      try ruleset.restrictSelf()
    }

    if !plan.noNewPrivileges { try installFilters(plan) }

    try setCapabilities(plan, held)
    if plan.noNewPrivileges { try Identity.forbidNewPrivileges() }
    if let signal = plan.parentDeathSignal { try Identity.setParentDeathSignal(signal) }
    if plan.noNewPrivileges { try installFilters(plan) }
  }

  private static func installFilters(_ plan: ConfinementPlan) throws(SystemError) {
    for filter in [plan.firstFilter, plan.filter] {
      guard let filter else { continue }
      let result = try Identity.installFilter(filter.instructions, flags: filter.flags)
      if filter.flags & newListener != 0 { try send(FileDescriptor(owning: result), plan.listener) }
    }
  }

  /// linux/seccomp.h.
  private static let newListener: UInt32 = 1 << 3

  /// The filter stands already: what is called here must be none of the calls that wait for the listener.
  private static func send(_ listener: consuming FileDescriptor, _ route: SeccompListenerRoute?) throws(SystemError) {
    guard let route else { throw SystemError("seccomp", "a listener, and nobody to give it to", .invalid) }
    try PacketSocket.send(route.socket, route.message, descriptors: [listener.rawValue])
    _ = FileDescriptor(owning: route.socket)
  }

  /// Refuses what cannot end well before anything is changed.
  private static func check(_ plan: ConfinementPlan, _ held: CapabilitySets) throws(SystemError) {
    let wanted = plan.capabilities
    let missing = (wanted.permitted | wanted.effective) & ~held.permitted
    if missing != 0 {
      throw SystemError("capset", "\(Capability.text(missing)) asked for and not held by immure itself", .notPermitted)
    }
    if wanted.effective & ~wanted.permitted != 0 {
      throw SystemError(
        "capset", "\(Capability.text(wanted.effective & ~wanted.permitted)) effective but not permitted", .invalid)
    }
    let unraisable = wanted.ambient & ~(wanted.permitted & wanted.inheritable)
    if unraisable != 0 {
      throw SystemError(
        "prctl(PR_CAP_AMBIENT_RAISE)", "\(Capability.text(unraisable)) ambient but not permitted and inheritable",
        .invalid)
    }
    if plan.noNewPrivileges || held.permitted & Capability.sysAdmin != 0 { return }
    if plan.filter != nil || plan.firstFilter != nil {
      throw SystemError("seccomp", "a filter without no_new_privs wants CAP_SYS_ADMIN", .accessDenied)
    }
    if plan.landlock != nil {
      throw SystemError("landlock_restrict_self", "Landlock without no_new_privs wants CAP_SYS_ADMIN", .notPermitted)
    }
  }

  private static func prepare(_ rules: LandlockRuleset?) throws(SystemError) -> Landlock.Ruleset? {
    guard let rules else { return nil }
    guard let abi = Landlock.probe() else {
      throw SystemError("landlock_create_ruleset", "Landlock is not available in this kernel", .notSupported)
    }
    return try rules.prepare(for: abi)
  }

  private static func leaveKeys() throws(SystemError) {
    do throws(SystemError) {
      try Identity.joinNewSessionKeyring()
    } catch {
      // No keys in this kernel, or an outer seccomp filter (Docker's) keeps keyctl from us and so from the box too.
      if error.errno != .notImplemented && error.errno != .notPermitted { throw error }
    }
  }

  private static func limitBounding(_ plan: ConfinementPlan, _ held: CapabilitySets) throws(SystemError) {
    if held.effective & Capability.setpcap == 0 {
      // Without CAP_SETPCAP the set stays; that is harmless only where no exec can draw on it.
      if plan.noNewPrivileges { return }
      throw SystemError("prctl(PR_CAPBSET_DROP)", "wants CAP_SETPCAP, or no_new_privs", .notPermitted)
    }
    try Capability.limitBounding(to: plan.capabilities.bounding)
  }

  private static func becomeUser(_ plan: ConfinementPlan) throws(SystemError) {
    if plan.setGroups { try Identity.setGroups(plan.user.additionalGroups) }
    try Capability.keepOverUserChange(true)
    try Identity.setGroup(plan.user.group)
    try Identity.setUser(plan.user.user)
  }

  private static func setCapabilities(_ plan: ConfinementPlan, _ held: CapabilitySets) throws(SystemError) {
    let wanted = plan.capabilities
    if let bits = plan.secureBits {
      try Capability.setSecureBits(bits)
    } else {
      try Capability.keepOverUserChange(false)
    }
    try CapabilitySets(
      effective: wanted.effective, permitted: wanted.permitted, inheritable: wanted.inheritable
    ).apply()
    try Capability.setAmbient(wanted.ambient)
  }
}
