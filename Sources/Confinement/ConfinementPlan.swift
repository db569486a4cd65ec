public import Formats
import Linux
public import Walls

/// What `Confinement.enter` does to the process that calls it.
public struct ConfinementPlan: Sendable, Equatable {
  public var rlimits: [ResourceLimit] = []
  /// Written to /proc/self/oom_score_adj; nil leaves it. Lowering it wants CAP_SYS_RESOURCE.
  public var oomScoreAdjustment: Int32?
  public var traits = ProcessTraits()
  /// Whether the caller's keys are left behind (a new session keyring).
  public var keyring = true
  public var capabilities = CapabilityConfiguration()
  public var user = UserConfiguration()
  /// False where the namespace denies setgroups (one own id): the supplementary groups then stay as they are.
  public var setGroups = true
  public var landlock: LandlockRuleset?
  public var filter: SeccompFilter?
  /// Installed just before `filter`: a wall's own, which holds whatever the other allows.
  public var firstFilter: SeccompFilter?
  /// Where the listener of a filter goes that asks for one (SECCOMP_FILTER_FLAG_NEW_LISTENER).
  public var listener: SeccompListenerRoute?
  public var noNewPrivileges = true
  /// SECBIT_* (capabilities(7)); nil leaves them.
  public var secureBits: UInt32?
  /// The signal sent when the parent thread ends; set after the ids, which clear it.
  public var parentDeathSignal: Int32?

  public init() {}
}

/// A connected stream socket of whoever decides about calls in the box's stead, and what it is told with the descriptor
/// (config-linux.md, "The Container Process State").
public struct SeccompListenerRoute: Sendable, Equatable {
  public var socket: Int32
  public var message: [UInt8]
  public init(socket: Int32, message: [UInt8]) {
    self.socket = socket
    self.message = message
  }
}
