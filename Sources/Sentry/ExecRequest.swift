import Formats
import Linux
import Walls

/// What a command outside asks of a running sentry: a further program. One packet, with descriptors: where replies go (guest/init's words,
/// docs/guest-init.md) and from where signals come (four bytes each), the message that names the program (a sealed memory file), then
/// the far end of a terminal or the three streams, and the program itself where it is none of the sandbox's.
public struct ExecRequest: Equatable, Sendable {
  var user: UInt32
  var group: UInt32
  var groups: [UInt32]
  /// Effective, permitted, inheritable, bounding, ambient.
  var capabilities: [UInt64]
  var limits: [ResourceLimit]
  var hasTerminal: Bool
  /// no_new_privs.
  var forbidsPrivileges: Bool
  /// Whether the program comes with it: the one that copies files (TransferGuest).
  var bringsProgram = false
  var descriptors: Int { (hasTerminal ? 3 : 5) + (bringsProgram ? 1 : 0) }

  static let magic: UInt32 = 0x3158_4d49
  /// Most groups (NGROUPS_MAX is 65536; a packet holds fewer) and most limits.
  static let maximum = 1024

  init(_ process: ProcessConfiguration, hasTerminal: Bool) {
    user = process.user.user
    group = process.user.group
    groups = process.user.additionalGroups
    let sets = process.capabilities
    capabilities = [sets.effective, sets.permitted, sets.inheritable, sets.bounding, sets.ambient]
    limits = process.rlimits
    forbidsPrivileges = process.noNewPrivileges
    self.hasTerminal = hasTerminal
  }

  /// For the program that copies files: root's ids, power over all files (CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
  /// CAP_FSETID, CAP_SETFCAP) and over its own mounts (CAP_SYS_ADMIN), as the sentry knows capabilities.
  static var transfer: ExecRequest {
    let powers: UInt64 = 0b11111 | 1 << 21 | 1 << 31
    return ExecRequest(capabilities: [powers, powers, 0, powers, 0])
  }
  private init(capabilities: [UInt64]) {
    (user, group, groups, limits) = (0, 0, [], [])
    self.capabilities = capabilities
    hasTerminal = false
    forbidsPrivileges = true
    bringsProgram = true
  }

  public var encoded: [UInt8] {
    var bytes: [UInt8] = []
    func add(_ value: UInt64, _ size: Int) {
      for index in 0..<size { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
    }
    let flags: UInt32 = (hasTerminal ? 1 : 0) | (forbidsPrivileges ? 2 : 0) | (bringsProgram ? 4 : 0)
    for word in [Self.magic, user, group, flags, UInt32(groups.count), UInt32(limits.count)] {
      add(UInt64(word), 4)
    }
    for set in capabilities { add(set, 8) }
    for id in groups { add(UInt64(id), 4) }
    for limit in limits {
      add(UInt64(UInt32(bitPattern: limit.kind)), 4)
      add(limit.soft, 8)
      add(limit.hard, 8)
    }
    return bytes
  }

  /// - Returns: nil for bytes that are not a whole request.
  public init?(decoding bytes: [UInt8]) {
    var at = 0
    func word(_ size: Int) -> UInt64? {
      guard bytes.count - at >= size else { return nil }
      var value: UInt64 = 0
      for index in 0..<size { value |= UInt64(bytes[at + index]) << UInt64(8 * index) }
      at += size
      return value
    }
    func half() -> UInt32? { word(4).map { UInt32(truncatingIfNeeded: $0) } }
    guard half() == Self.magic, let user = half(), let group = half(), let flags = half(), flags <= 7,
      let groupCount = half(), groupCount <= Self.maximum, let limitCount = half(), limitCount <= Self.maximum
    else { return nil }
    self.user = user
    self.group = group
    hasTerminal = flags & 1 != 0
    forbidsPrivileges = flags & 2 != 0
    bringsProgram = flags & 4 != 0
    capabilities = []
    groups = []
    limits = []
    for _ in 0..<5 {
      guard let set = word(8) else { return nil }
      capabilities.append(set)
    }
    for _ in 0..<groupCount {
      guard let id = half() else { return nil }
      groups.append(id)
    }
    for _ in 0..<limitCount {
      guard let kind = half(), let soft = word(8), let hard = word(8) else { return nil }
      limits.append(ResourceLimit(kind: Int32(bitPattern: kind), soft: soft, hard: hard))
    }
    if at != bytes.count { return nil }
  }
}
