/// How ids change (kernel/sys.c). Each method changes nothing where it answers false: EPERM.
extension Credentials {
  /// An id argument of -1 leaves the id as it is.
  private static let unchanged = UInt32.max

  /// setuid(2).
  public mutating func setUser(_ id: UInt32) -> Bool {
    let before = self
    if has(Capability.setUser) {
      user = id
      savedUser = id
    } else if id != user && id != savedUser {
      return false
    }
    effectiveUser = id
    fileUser = id
    fixCapabilities(after: before)
    return true
  }

  /// setreuid(2).
  public mutating func setUsers(real: UInt32, effective id: UInt32) -> Bool {
    let before = self
    let isPrivileged = has(Capability.setUser)
    if real != Self.unchanged {
      guard isPrivileged || real == user || real == effectiveUser else { return false }
    }
    if id != Self.unchanged {
      guard isPrivileged || id == user || id == effectiveUser || id == savedUser else { return false }
    }
    if real != Self.unchanged { user = real }
    if id != Self.unchanged { effectiveUser = id }
    if real != Self.unchanged || (id != Self.unchanged && id != before.user) { savedUser = effectiveUser }
    fileUser = effectiveUser
    fixCapabilities(after: before)
    return true
  }

  /// setresuid(2).
  public mutating func setUsers(real: UInt32, effective id: UInt32, saved: UInt32) -> Bool {
    let before = self
    if !has(Capability.setUser) {
      for each in [real, id, saved] where each != Self.unchanged {
        guard each == user || each == effectiveUser || each == savedUser else { return false }
      }
    }
    if real != Self.unchanged { user = real }
    if id != Self.unchanged { effectiveUser = id }
    if saved != Self.unchanged { savedUser = saved }
    fileUser = effectiveUser
    fixCapabilities(after: before)
    return true
  }

  /// setgid(2).
  public mutating func setGroup(_ id: UInt32) -> Bool {
    if has(Capability.setGroup) {
      group = id
      savedGroup = id
    } else if id != group && id != savedGroup {
      return false
    }
    effectiveGroup = id
    fileGroup = id
    return true
  }

  /// setregid(2).
  public mutating func setGroups(real: UInt32, effective id: UInt32) -> Bool {
    let before = group
    let isPrivileged = has(Capability.setGroup)
    if real != Self.unchanged {
      guard isPrivileged || real == group || real == effectiveGroup else { return false }
    }
    if id != Self.unchanged {
      guard isPrivileged || id == group || id == effectiveGroup || id == savedGroup else { return false }
    }
    if real != Self.unchanged { group = real }
    if id != Self.unchanged { effectiveGroup = id }
    if real != Self.unchanged || (id != Self.unchanged && id != before) { savedGroup = effectiveGroup }
    fileGroup = effectiveGroup
    return true
  }

  /// setresgid(2).
  public mutating func setGroups(real: UInt32, effective id: UInt32, saved: UInt32) -> Bool {
    if !has(Capability.setGroup) {
      for each in [real, id, saved] where each != Self.unchanged {
        guard each == group || each == effectiveGroup || each == savedGroup else { return false }
      }
    }
    if real != Self.unchanged { group = real }
    if id != Self.unchanged { effectiveGroup = id }
    if saved != Self.unchanged { savedGroup = saved }
    fileGroup = effectiveGroup
    return true
  }

  /// setfsuid(2).
  public mutating func setFileUser(_ id: UInt32) {
    guard id == user || id == effectiveUser || id == savedUser || id == fileUser || has(Capability.setUser) else {
      return
    }
    let before = fileUser
    fileUser = id
    if securebits & SecureBits.noSetUserFixup != 0 { return }
    if before == 0 && id != 0 { effective &= ~Self.fileCapabilities }
    if before != 0 && id == 0 { effective |= permitted & Self.fileCapabilities }
  }

  /// setfsgid(2).
  public mutating func setFileGroup(_ id: UInt32) {
    if id == group || id == effectiveGroup || id == savedGroup || id == fileGroup || has(Capability.setGroup) {
      fileGroup = id
    }
  }

  /// CAP_FS_SET: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, LINUX_IMMUTABLE, MKNOD, MAC_OVERRIDE.
  private static let fileCapabilities: UInt64 = 0x1f | 1 << 9 | 1 << 27 | 1 << 32

  /// cap_emulate_setxuid() and the fixup of the effective set (security/commoncap.c).
  private mutating func fixCapabilities(after before: Credentials) {
    if securebits & SecureBits.noSetUserFixup != 0 { return }
    let wasRoot = before.user == 0 || before.effectiveUser == 0 || before.savedUser == 0
    let isRoot = user == 0 || effectiveUser == 0 || savedUser == 0
    if wasRoot && !isRoot {
      if securebits & SecureBits.keepCapabilities == 0 {
        permitted = 0
        effective = 0
      }
      ambient = 0
    }
    if before.effectiveUser == 0 && effectiveUser != 0 { effective = 0 }
    if before.effectiveUser != 0 && effectiveUser == 0 { effective = permitted }
  }

  /// execve(2) (cap_bprm_creds_from_file, security/commoncap.c).
  /// - Parameters:
  ///   - setUser: the file's owner, where it is set-user-id and that counts.
  ///   - setGroup: likewise.
  ///   - file: its capabilities, where they count.
  /// - Returns: false where the file wants to have capabilities at once that it cannot get: EPERM.
  @discardableResult
  public mutating func exec(setUser: UInt32?, setGroup: UInt32?, capabilities file: FileCapabilities? = nil) -> Bool {
    let before = self
    if let file, file.isEffective, file.permitted & ~(bounding | file.inheritable & inheritable) != 0 { return false }
    if let setUser { effectiveUser = setUser }
    if let setGroup { effectiveGroup = setGroup }
    let changesIDs = effectiveUser != before.effectiveUser || effectiveGroup != before.effectiveGroup
    if changesIDs || file != nil { ambient = 0 }
    var newPermitted: UInt64 = ambient
    var newEffective: UInt64 = ambient
    if let file {
      newPermitted |= file.permitted & bounding | file.inheritable & inheritable
      if file.isEffective { newEffective = newPermitted }
    }
    // A program that is both set-user-ID root and has capabilities gets these alone.
    let isMixed = file != nil && user != 0 && effectiveUser == 0
    if securebits & SecureBits.noRoot == 0, !isMixed {
      if user == 0 || effectiveUser == 0 { newPermitted = bounding | inheritable }
      if effectiveUser == 0 { newEffective = newPermitted }
    }
    if noNewPrivileges { newPermitted &= permitted | ambient }
    permitted = newPermitted
    effective = newEffective & newPermitted
    savedUser = effectiveUser
    fileUser = effectiveUser
    savedGroup = effectiveGroup
    fileGroup = effectiveGroup
    securebits &= ~SecureBits.keepCapabilities
    return true
  }

  /// A program that it would not be safe to give more than its caller had (cap_bprm_creds_from_file).
  public mutating func giveUp(whatWasNotOf before: Credentials) {
    if !before.has(Capability.setUser) {
      (effectiveUser, savedUser, fileUser) = (user, user, user)
      (effectiveGroup, savedGroup, fileGroup) = (group, group, group)
    }
    permitted &= before.permitted
    effective &= permitted
  }

  /// AT_SECURE of a program that has just become what these are: it has ids or capabilities that its user has not.
  public var areSecure: Bool {
    effectiveUser != user || effectiveGroup != group || user != 0 && permitted & ~ambient != 0
  }
}
