import CLinux
import Confinement
import Formats
import Guest
import Linux
import Policy
import Seccomp
import Walls

/// Raises a jail: limits, ids and trees by the parent, one clone, and the child confines itself and becomes guest/init.
struct JailRaiser {
  let bundle: Bundle
  let streams: Streams
  let host: Host
  let mode: JailMode

  var configuration: RuntimeConfiguration { bundle.configuration }

  func raise() throws(WallError) -> JailSandbox {
    try check()
    var holdings = JailHoldings(id: bundle.id)
    do {
      return try raise(&holdings)
    } catch {
      // Nothing is left behind; what cannot be removed now is empty, and the error that matters is the first.
      try? holdings.free(isParent: true)
      throw error
    }
  }

  private func check() throws(WallError) {
    if !bundle.usesInit { try JailRefusals.check(bundle) }
    if case .user = bundle.policy.network.value {
      throw WallError("network user: a jail stands in the host's network or in none: use --wall container")
    }
    if !bundle.policy.processes.newPrivileges.value { return }
    throw WallError("new privileges: the jail wall always sets no_new_privs: use --wall container")
  }

  private func raise(_ holdings: inout JailHoldings) throws(WallError) -> JailSandbox {
    var notes: [String] = []
    var limits = try JailLimits(configuration, mode: mode)
    if mode.hasOwnUser { holdings.user = try takeUser() }
    if !bundle.usesInit {
      // The client names the groups, and counts in them.
      holdings.cgroup = try RaisingParent(bundle, on: host).makeCgroup(.jail(ownsFiles: true), &notes)
      if holdings.cgroup == nil { limits.substitute() } else { limits.rlimits = configuration.process.rlimits }
    } else if !limits.group.controllers.isEmpty {
      do throws(SystemError) {
        holdings.cgroup = try Cgroup.create(bundle.id, limits: limits.group)
      } catch  where Cgroup.isRefused(error.errno) || error.errno == .noDevice {
        limits.substitute()
      } catch {
        throw WallError("limits", error)
      }
    }
    var root: JailRoot?
    var message = message()
    var plan = try confinement(holdings.user, limits)
    if mode == .rooted, let user = holdings.user {
      root = try JailRoot.plan(bundle, user: user)
    } else {
      let home = try makeHome(holdings.user)
      holdings.home = home
      plan.landlock?.files = try JailGrants(bundle, home: home).files
      message.environment = Self.moved(message.environment, home: home, unless: bundle.policy.environment.map(\.value))
    }
    defer { root?.close() }
    return try spawn(plan, root, holdings, message, notes)
  }

  private func takeUser() throws(WallError) -> JailUser {
    let state = File.parent(of: File.parent(of: bundle.directory) ?? "/") ?? "/"
    do throws(SystemError) {
      return try JailUser.take(in: ["/run/immure", state])
    } catch {
      throw WallError("no user id for the sandbox", error)
    }
  }

  /// A private folder, the only one that a jail without a root of its own may write to.
  private func makeHome(_ user: JailUser?) throws(WallError) -> String {
    let path = "/tmp/immure-\(bundle.id)"
    do throws(SystemError) {
      try File.makeDirectory(path, mode: 0o700)
      if let user { try File.changeOwner(path, user: user.id, group: user.id) }
      return path
    } catch {
      throw WallError("private folder", error)
    }
  }

  private func message() -> InitMessage {
    let process = configuration.process
    var isTerminal = false
    if case .terminal = streams { isTerminal = true }
    return InitMessage(
      arguments: process.arguments, environment: process.environment, workingDirectory: process.workingDirectory,
      umask: process.user.umask, terminal: isTerminal, preservedDescriptors: bundle.preservedDescriptors.count)
  }

  /// HOME and TMPDIR are the private folder, unless the user set them himself.
  private static func moved(_ environment: [String], home: String, unless given: [String]) -> [String] {
    var moved = environment
    for name in ["HOME=", "TMPDIR="] where !given.contains(where: { $0.hasPrefix(name) }) {
      moved.removeAll { $0.hasPrefix(name) }
      moved.append(name + home)
    }
    return moved
  }

  private func confinement(_ user: JailUser?, _ limits: JailLimits) throws(WallError)
    -> ConfinementPlan
  {
    var plan = ConfinementPlan()
    plan.rlimits = limits.rlimits
    // Without init of ours it is set from outside: nothing is written through a /proc of the jail's.
    plan.oomScoreAdjustment = bundle.usesInit ? configuration.process.oomScoreAdjustment : nil
    plan.traits = ProcessTraits(configuration.process, personality: configuration.personality)
    plan.user.user = user?.id ?? Process.user
    plan.user.group = user?.id ?? Process.group
    plan.setGroups = user != nil
    let hasNetwork = bundle.usesInit ? bundle.policy.network.value != .none : !configuration.has(.network)
    if !hasNetwork, bundle.usesInit == false || bundle.policy.processes.seccomp.value != "default" {
      plan.firstFilter = try Self.noNetwork()
    }
    plan.noNewPrivileges = true
    if Landlock.probe() != nil {
      plan.landlock = LandlockRuleset(
        files: nil, ports: hasNetwork ? nil : [], scopes: [.abstractSockets, .signals])
    }
    return plan
  }

  /// For a profile that says nothing of the network: no socket but AF_UNIX, whatever else the profile allows. i386's socketcall(2)
  /// hides the family in memory, io_uring makes sockets past the filter: both are refused whole.
  private static func noNetwork() throws(WallError) -> SeccompFilter {
    let refuse = Action.errno(UInt16(EPERM))
    let rules = ProfileRules(
      defaultAction: .allow, architectures: [.x86, .x32],
      rules: [
        ProfileRule(["socket"], refuse, [ArgumentCondition(0, .notEqual, UInt64(AF_UNIX))]),
        ProfileRule(["socketcall", "io_uring_setup"], refuse),
      ])
    do {
      return SeccompFilter(instructions: try rules.compile(for: .host).instructions.map(\.word))
    } catch {
      throw WallError("network none: \(error)")
    }
  }
}
