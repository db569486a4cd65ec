/// Capabilities of a file: struct vfs_cap_data and vfs_ns_cap_data (linux/capability.h), versions 2 and 3.
public struct FileCapabilities: Equatable, Sendable {
  /// The attribute that holds them.
  public static let attribute = Array("security.capability".utf8)
  public let permitted: UInt64
  public let inheritable: UInt64
  /// The program has them at once, for it knows nothing of capabilities.
  public let isEffective: Bool

  /// Whether a version that there is has its length (cap_convert_nscap, security/commoncap.c).
  public static func isWellFormed(_ bytes: [UInt8]) -> Bool {
    guard bytes.count >= 4 else { return false }
    switch bytes.little32(0) & 0xff00_0000 {
    case 0x0200_0000: return bytes.count == 20
    case 0x0300_0000: return bytes.count == 24
    default: return false
    }
  }

  /// - Parameter bytes: of the attribute security.capability; nil for another version, length, or another namespace's root.
  public init?(_ bytes: [UInt8]) {
    guard Self.isWellFormed(bytes) else { return nil }
    let head = bytes.little32(0)
    // The user who is root where they count: not the sandbox's.
    if bytes.count == 24, bytes.little32(20) != 0 { return nil }
    let known = Capability.all
    permitted = (UInt64(bytes.little32(4)) | UInt64(bytes.little32(12)) << 32) & known
    inheritable = (UInt64(bytes.little32(8)) | UInt64(bytes.little32(16)) << 32) & known
    isEffective = head & 1 != 0
  }
}
