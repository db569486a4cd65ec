public import Linux
public import SentryABI

/// Whose an object of System V's is, and who may do what with it (struct kern_ipc_perm, linux/ipc.h; sysvipc(7)).
public struct IPCPermissions: Equatable, Sendable {
  /// IPC_PRIVATE (0) for one that no key leads to.
  public internal(set) var key: Int32
  public var user: UInt32
  public var group: UInt32
  public let creatorUser: UInt32
  public let creatorGroup: UInt32
  /// Nine bits, and what a kind adds above them (SHM_DEST, SHM_LOCKED).
  public var mode: UInt32

  public init(key: Int32, flags: Int32, _ creator: Credentials) {
    self.key = key
    (user, group) = (creator.effectiveUser, creator.effectiveGroup)
    (creatorUser, creatorGroup) = (user, group)
    mode = UInt32(bitPattern: flags) & 0o777
  }

  /// ipcperms of ipc/util.c.
  /// - Parameter wanted: bits of any of the three places: 0o444 to read, 0o222 to alter.
  /// - Throws: EACCES.
  public func check(_ wanted: UInt32, for caller: Credentials) throws(Errno) {
    let asked = (wanted >> 6 | wanted >> 3 | wanted) & 7
    var granted = mode
    if caller.effectiveUser == creatorUser || caller.effectiveUser == user {
      granted >>= 6
    } else if [creatorGroup, group].contains(where: {
      $0 == caller.effectiveGroup || caller.supplementaryGroups.contains($0)
    }) {
      granted >>= 3
    }
    if asked & ~granted & 7 != 0, !caller.has(Capability.ownIPC) { throw .accessDenied }
  }

  /// Who may change or remove it (ipcctl_obtain_check, ipc/util.c).
  /// - Throws: EPERM.
  public func checkOwner(_ caller: Credentials) throws(Errno) {
    if caller.effectiveUser != creatorUser, caller.effectiveUser != user, !caller.has(Capability.administer) {
      throw .notPermitted
    }
  }

  /// struct ipc64_perm, 48 bytes (asm-generic/ipcbuf.h).
  /// - Parameter id: the object's, whose upper bits are its sequence number.
  public func encoded(id: Int32) -> [UInt8] {
    var bytes: [UInt8] = []
    for word in [UInt32(bitPattern: key), user, group, creatorUser, creatorGroup, mode] { bytes.append(little: word) }
    bytes.append(little: UInt32(UInt16(truncatingIfNeeded: id >> 15)))
    return bytes + [UInt8](repeating: 0, count: 48 - bytes.count)
  }

  /// IPC_SET: owner and the nine bits.
  /// - Parameter bytes: at least 24 of a struct ipc64_perm.
  public mutating func set(from bytes: [UInt8]) {
    user = bytes.little32(4)
    group = bytes.little32(8)
    mode = mode & ~0o777 | bytes.little32(20) & 0o777
  }
}
