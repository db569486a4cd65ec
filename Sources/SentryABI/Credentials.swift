/// Who a task is (credentials(7)), as the guest sees it: the host knows all guests of a sandbox as one user.
public struct Credentials: Equatable, Sendable {
  public var user: UInt32 = 0
  public var effectiveUser: UInt32 = 0
  public var savedUser: UInt32 = 0
  /// For file access; follows the effective id unless setfsuid(2) sets it apart.
  public var fileUser: UInt32 = 0
  public var group: UInt32 = 0
  public var effectiveGroup: UInt32 = 0
  public var savedGroup: UInt32 = 0
  public var fileGroup: UInt32 = 0
  public var supplementaryGroups: [UInt32] = []
  /// Bits as in linux/capability.h.
  public var permitted: UInt64 = 0
  public var effective: UInt64 = 0
  public var inheritable: UInt64 = 0
  public var bounding: UInt64 = 0
  public var ambient: UInt64 = 0
  public var securebits: UInt32 = 0
  public var noNewPrivileges = false

  public init() {}

  /// - Parameter capability: CAP_*.
  public func has(_ capability: Int32) -> Bool {
    capability >= 0 && capability < 64 && effective & (1 << UInt64(capability)) != 0
  }
  public func isIn(group id: UInt32) -> Bool { fileGroup == id || supplementaryGroups.contains(id) }
}
