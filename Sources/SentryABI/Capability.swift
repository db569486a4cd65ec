/// Capabilities by linux/capability.h's numbers, those that the sentry looks at.
public enum Capability {
  public static let overrideAccess: Int32 = 1
  public static let kill: Int32 = 5
  public static let setGroup: Int32 = 6
  public static let setUser: Int32 = 7
  public static let setCapabilities: Int32 = 8
  public static let network: Int32 = 12
  public static let rawSockets: Int32 = 13
  public static let lockMemory: Int32 = 14
  public static let ownIPC: Int32 = 15
  public static let trace: Int32 = 19
  public static let administer: Int32 = 21
  public static let priority: Int32 = 23
  public static let resources: Int32 = 24
  public static let time: Int32 = 25
  public static let setFileCapabilities: Int32 = 31
  /// CAP_LAST_CAP of Linux 5.9 and later: CAP_CHECKPOINT_RESTORE.
  public static let last: Int32 = 40
  public static let all: UInt64 = (1 << 41) - 1
}

/// The bits of `Credentials.securebits` (linux/securebits.h).
public enum SecureBits {
  public static let noRoot: UInt32 = 1 << 0
  public static let noSetUserFixup: UInt32 = 1 << 2
  public static let keepCapabilities: UInt32 = 1 << 4
  public static let keepCapabilitiesLocked: UInt32 = 1 << 5
  public static let noAmbientRaise: UInt32 = 1 << 6
  /// SECURE_ALL_BITS and SECURE_ALL_LOCKS.
  public static let all: UInt32 = 0x55
  public static let locks: UInt32 = 0xaa
}
