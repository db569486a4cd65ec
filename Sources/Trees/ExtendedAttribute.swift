import CLinux
package import Linux

/// Extended attributes of an open file (xattr(7)). Ids in capabilities and ACLs are those of the user namespace and the mount through which
/// one looks: the kernel translates them when it reads and when it writes.
package enum ExtendedAttribute {
  /// Those that images and copies keep: capabilities, POSIX ACLs and the user's own; never overlayfs's marks, labels of security modules
  /// or what the machine's administrator alone may write (`trusted.*`).
  static func isKept(_ name: [UInt8]) -> Bool { isGrant(name) || name.starts(with: user) && !name.starts(with: marks) }

  /// Whether it gives somebody power over the file, or the file's program power over the machine.
  static func isGrant(_ name: [UInt8]) -> Bool { name == capability || name == accessList || name == defaultList }

  static let capability = Array("security.capability".utf8)
  static let accessList = Array("system.posix_acl_access".utf8)
  private static let defaultList = Array("system.posix_acl_default".utf8)
  private static let user = Array("user.".utf8)
  private static let marks = Array("user.overlay.".utf8)

  /// The kernel's bound for a value and for a list of names (xattr(7)).
  static let most = 64 << 10

  /// The value, at most 64 bytes of it; nil where the file has none of that name.
  package static func value(_ name: String, of descriptor: Int32) throws(SystemError) -> [UInt8]? {
    var outcome = 0
    // SAFETY: the kernel fills at most the capacity and returns how much.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 64) { storage, count in
      let address = UInt(bitPattern: storage.baseAddress)
      outcome = name.withPathAddress { systemCall(Int(SYS_fgetxattr), word(descriptor), $0, address, 64) }
      count = max(outcome, 0)
    }
    if outcome == -Int(ENODATA) || outcome == -Int(EOPNOTSUPP) { return nil }
    // Longer than any value that means something here: it is there, and that is what matters.
    if outcome == -Int(ERANGE) { return [] }
    try checked("fgetxattr", name, outcome)
    return bytes
  }

  static func names(of descriptor: Int32) throws(SystemError) -> [[UInt8]] {
    let list = try read { address, size in systemCall(Int(SYS_flistxattr), word(descriptor), address, size) }
    return (list ?? []).split(separator: 0).map { Array($0) }
  }

  static func whole(_ name: [UInt8], of descriptor: Int32) throws(SystemError) -> [UInt8]? {
    try read { address, size in
      withBytes(name) { systemCall(Int(SYS_fgetxattr), word(descriptor), $0, address, size) }
    }
  }

  /// Nil where there is no such thing. Most files have no attributes: the size is asked for first.
  private static func read(_ call: (UInt, UInt) -> Int) throws(SystemError) -> [UInt8]? {
    let size = call(0, 0)
    if size == -Int(ENODATA) || size == -Int(EOPNOTSUPP) || size == 0 { return size == 0 ? [] : nil }
    try checked("getxattr", "", size)
    var outcome = 0
    // SAFETY: the kernel fills at most the capacity and returns how much.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: most) { storage, count in
      outcome = call(UInt(bitPattern: storage.baseAddress), UInt(most))
      count = max(outcome, 0)
    }
    // Taken away since its size was asked for.
    if outcome == -Int(ENODATA) { return nil }
    try checked("getxattr", "", outcome)
    return bytes
  }

  static func set(_ name: [UInt8], _ value: [UInt8], of descriptor: Int32) throws(SystemError) {
    let result = withBytes(name) { name in
      // SAFETY: the value's bytes live across the call, which reads `count` of them.
      unsafe value.withUnsafeBufferPointer { bytes in
        systemCall(
          Int(SYS_fsetxattr), word(descriptor), name, UInt(bitPattern: bytes.baseAddress), UInt(bytes.count), 0)
      }
    }
    try checked("setxattr", RelativePath.shown(name), result)
  }
}

/// The value of an ACL (acl(5)) as the kernel hands it out: a version in 32 bits, then entries of tag, permissions and id
/// (linux/posix_acl_xattr.h), little-endian.
enum AccessList {
  /// What the file's own group may do, 0 to 7. The group bits of a mode are the mask instead, which may allow more: a file without its ACL
  /// that kept them would be open to a group that the ACL kept out. Nil where it makes no sense.
  static func groupPermissions(_ value: [UInt8]) -> UInt32? {
    let ownGroup: UInt16 = 0x04
    let mask: UInt16 = 0x10
    guard value.count >= 4, (value.count - 4) % 8 == 0, value[0] == 2, value[1...3].allSatisfy({ $0 == 0 }) else {
      return nil
    }
    var group: UInt32?
    var most: UInt32 = 7
    for start in stride(from: 4, to: value.count, by: 8) {
      let tag = UInt16(value[start]) | UInt16(value[start + 1]) << 8
      let permissions = UInt32(value[start + 2]) & 7
      if tag == ownGroup { group = permissions }
      if tag == mask { most = permissions }
    }
    return group.map { $0 & most }
  }
}
