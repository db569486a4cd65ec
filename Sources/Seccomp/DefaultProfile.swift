/// Immure's own profiles. `container` is at least as strict as Docker's default (moby/profiles, 2025): where that
/// one lets a call through only under a condition, so does this one, and these go further:
/// - socket families are an allowlist (unix, inet, inet6, netlink; packet with CAP_NET_RAW), so AF_ALG, AF_VSOCK and
/// the
///   rarely read rest are EAFNOSUPPORT, also with junk in the high half of the argument;
/// - the ioctls that type into a terminal (TIOCSTI, TIOCLINUX) are EPERM whatever the high half holds;
/// - x32 calls kill, and i386 calls too unless `compat32`;
/// - a call that no kernel up to 6.18 has is ENOSYS, so that a C library falls back; a known one that is refused is
/// EPERM.
public struct DefaultProfile: Sendable, Hashable {
  public enum Kind: Sendable, Hashable {
    /// For code in namespaces of its own.
    case container
    /// For code that shares the machine's namespaces: also refuses to look into other processes, whatever the
    /// capabilities.
    case jail
    /// For a program of ours, already running, that turns bytes into bytes: read, write and memory; anything else
    /// kills.
    case worker
  }

  public var kind: Kind
  /// What the code will hold, as capget(2) numbers the bits: some calls are let through only with a capability, as in
  /// Docker's profile.
  public var capabilities: UInt64
  /// Every socket family but AF_UNIX is refused.
  public var denyNetwork: Bool
  /// Whether 32-bit programs may run (i386 on x86-64, arm on arm64). i386's `socketcall` hides its arguments from
  /// filters: with it the socket families are not checked, as in Docker's profile; with `denyNetwork` it is refused.
  public var compat32: Bool

  public init(
    _ kind: Kind = .container, capabilities: UInt64 = 0, denyNetwork: Bool = false, compat32: Bool = false
  ) {
    self.kind = kind
    self.capabilities = kind == .container ? capabilities : 0
    self.denyNetwork = denyNetwork
    self.compat32 = compat32
  }

  /// What happens to a group's calls under this profile: the first answer whose conditions hold, the last one
  /// unconditional.
  func treatment(of group: CallGroup) -> [(action: Action, conditions: [ArgumentCondition])] {
    switch group {
    case .unknown, .absent: return [(.errno(Self.noSuchCall), [])]
    case .allowed, .commonest: return [(.allow, [])]
    case .refused: return [(.errno(Self.notPermitted), [])]
    case .tracing: return whole(if: kind != .jail)
    case .clone:
      if has(.sysAdmin) { return [(.allow, [])] }
      return [(.allow, [ArgumentCondition(0, .maskedEqual, Self.namespaceFlags, 0)])] + [
        (.errno(Self.notPermitted), [])
      ]
    case .clone3: return [(has(.sysAdmin) ? .allow : .errno(Self.noSuchCall), [])]
    case .personality:
      return Self.personalities.map { (.allow, [ArgumentCondition(0, .equal, $0)]) } + [(.errno(Self.notPermitted), [])]
    case .socket:
      return families.map { (.allow, [ArgumentCondition(0, .equal, $0)]) } + [(.errno(Self.noSuchFamily), [])]
    case .socketcall: return [(denyNetwork ? .errno(Self.noSuchCall) : .allow, [])]
    case .ioctl:
      return Self.typingCommands.map {
        (.errno(Self.notPermitted), [ArgumentCondition(1, .maskedEqual, 0xffff_ffff, $0)])
      } + [(.allow, [])]
    case .needsSysAdmin: return whole(if: has(.sysAdmin))
    case .needsBPF: return whole(if: has(.sysAdmin) || has(.bpf))
    case .needsPerfmon: return whole(if: has(.sysAdmin) || has(.perfmon))
    case .needsSyslog: return whole(if: has(.sysAdmin) || has(.syslog))
    case .needsDacReadSearch: return whole(if: has(.dacReadSearch))
    case .needsSysBoot: return whole(if: has(.sysBoot))
    case .needsSysChroot: return whole(if: has(.sysChroot))
    case .needsSysModule: return whole(if: has(.sysModule))
    case .needsSysPacct: return whole(if: has(.sysPacct))
    case .needsSysPtrace: return whole(if: has(.sysPtrace))
    case .needsSysRawio: return whole(if: has(.sysRawio))
    case .needsSysTime: return whole(if: has(.sysTime))
    case .needsSysTtyConfig: return whole(if: has(.sysTtyConfig))
    case .needsSysNice: return whole(if: has(.sysNice))
    }
  }

  private func has(_ capability: Capability) -> Bool { capabilities & capability.bit != 0 }

  private func whole(if allowed: Bool) -> [(action: Action, conditions: [ArgumentCondition])] {
    [(allowed ? .allow : .errno(Self.notPermitted), [])]
  }

  /// The families of socket(2) and socketpair(2) that may be opened.
  private var families: [UInt64] {
    if denyNetwork { return [Self.unix] }
    return [Self.unix, Self.inet, Self.inet6, Self.netlink] + (has(.netRaw) ? [Self.packet] : [])
  }

  static let notPermitted: UInt16 = 1
  static let noSuchCall: UInt16 = 38
  static let noSuchFamily: UInt16 = 97
  /// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (linux/sched.h).
  static let namespaceFlags: UInt64 = 0x7e02_0000
  /// PER_LINUX, PER_LINUX32, UNAME26 with either, and the question what is set (linux/personality.h).
  static let personalities: [UInt64] = [0, 8, 0x20000, 0x20008, 0xffff_ffff]
  /// TIOCSTI and TIOCLINUX (asm-generic/ioctls.h).
  static let typingCommands: [UInt64] = [0x5412, 0x541c]
  static let (unix, inet, inet6, netlink, packet): (UInt64, UInt64, UInt64, UInt64, UInt64) = (1, 2, 10, 16, 17)
}
