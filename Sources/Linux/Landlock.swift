import CLinux

/// Landlock's interface to the kernel (landlock(7)): what each ABI adds is data, the calls are thin.
public enum Landlock {
  /// Rights on files beneath a path (LANDLOCK_ACCESS_FS_*).
  public struct FileRights: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static let execute = FileRights(rawValue: 1 << 0)
    public static let writeFile = FileRights(rawValue: 1 << 1)
    public static let readFile = FileRights(rawValue: 1 << 2)
    public static let readDirectory = FileRights(rawValue: 1 << 3)
    public static let removeDirectory = FileRights(rawValue: 1 << 4)
    public static let removeFile = FileRights(rawValue: 1 << 5)
    public static let makeCharacterDevice = FileRights(rawValue: 1 << 6)
    public static let makeDirectory = FileRights(rawValue: 1 << 7)
    public static let makeRegular = FileRights(rawValue: 1 << 8)
    public static let makeSocket = FileRights(rawValue: 1 << 9)
    public static let makeFifo = FileRights(rawValue: 1 << 10)
    public static let makeBlockDevice = FileRights(rawValue: 1 << 11)
    public static let makeSymlink = FileRights(rawValue: 1 << 12)
    /// Linking and renaming between folders; denied by every ruleset that does not grant it, handled or not.
    public static let refer = FileRights(rawValue: 1 << 13)
    public static let truncate = FileRights(rawValue: 1 << 14)
    public static let ioctlDevice = FileRights(rawValue: 1 << 15)
    /// Connecting to Unix sockets that have a path and were made outside the domain.
    public static let resolveUnix = FileRights(rawValue: 1 << 16)

    /// Looking, reading and running.
    public static let reading: FileRights = [.execute, .readFile, .readDirectory]
    /// Everything but making devices; REFER belongs to it, else every rename between folders fails (EXDEV).
    public static let writing: FileRights = [
      .reading, .writeFile, .removeDirectory, .removeFile, .makeDirectory, .makeRegular, .makeSocket, .makeFifo,
      .makeSymlink, .refer, .truncate, .ioctlDevice, .resolveUnix,
    ]
    /// What can be granted on something that is not a folder; the kernel refuses the others there (EINVAL).
    public static let ofFile: FileRights = [.execute, .writeFile, .readFile, .truncate, .ioctlDevice, .resolveUnix]
  }

  /// Rights on TCP ports (LANDLOCK_ACCESS_NET_*).
  public struct PortRights: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static let bindTCP = PortRights(rawValue: 1 << 0)
    public static let connectTCP = PortRights(rawValue: 1 << 1)
  }

  /// What can no longer be reached outside the domain (LANDLOCK_SCOPE_*).
  public struct Scopes: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static let abstractSockets = Scopes(rawValue: 1 << 0)
    public static let signals = Scopes(rawValue: 1 << 1)
  }

  /// Flags of landlock_restrict_self(2).
  public struct RestrictFlags: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let logSameExecOff = RestrictFlags(rawValue: 1 << 0)
    public static let logNewExecOn = RestrictFlags(rawValue: 1 << 1)
    public static let logSubdomainsOff = RestrictFlags(rawValue: 1 << 2)
    public static let allThreads = RestrictFlags(rawValue: 1 << 3)
  }

  /// What a version of the interface can hold.
  public struct ABI: Sendable, Hashable {
    public let version: Int
    /// The first Linux that has it.
    public let since: String
    public let files: FileRights
    public let ports: PortRights
    public let scopes: Scopes
    public let flags: RestrictFlags
  }

  /// Every known version, oldest first: "Previous limitations" in the kernel's userspace-api/landlock.rst.
  public static let versions: [ABI] = [
    ABI(version: 1, since: "5.13", files: FileRights(rawValue: 0x1fff), ports: [], scopes: [], flags: []),
    ABI(version: 2, since: "5.19", files: FileRights(rawValue: 0x3fff), ports: [], scopes: [], flags: []),
    ABI(version: 3, since: "6.2", files: FileRights(rawValue: 0x7fff), ports: [], scopes: [], flags: []),
    ABI(
      version: 4, since: "6.7", files: FileRights(rawValue: 0x7fff), ports: [.bindTCP, .connectTCP], scopes: [],
      flags: []),
    ABI(
      version: 5, since: "6.10", files: FileRights(rawValue: 0xffff), ports: [.bindTCP, .connectTCP], scopes: [],
      flags: []),
    ABI(
      version: 6, since: "6.12", files: FileRights(rawValue: 0xffff), ports: [.bindTCP, .connectTCP],
      scopes: [.abstractSockets, .signals], flags: []),
    ABI(
      version: 7, since: "6.15", files: FileRights(rawValue: 0xffff), ports: [.bindTCP, .connectTCP],
      scopes: [.abstractSockets, .signals], flags: FileLogging.all),
    ABI(
      version: 8, since: "7.0", files: FileRights(rawValue: 0xffff), ports: [.bindTCP, .connectTCP],
      scopes: [.abstractSockets, .signals], flags: FileLogging.all.union(.allThreads)),
    ABI(
      version: 9, since: "7.1", files: FileRights(rawValue: 0x1ffff), ports: [.bindTCP, .connectTCP],
      scopes: [.abstractSockets, .signals], flags: FileLogging.all.union(.allThreads)),
  ]

  private enum FileLogging {
    static let all: RestrictFlags = [.logSameExecOff, .logNewExecOn, .logSubdomainsOff]
  }

  /// What a kernel that answers `version` can hold; a newer one than we know counts as the newest known, nil is none.
  public static func abi(answering version: Int) -> ABI? {
    version < 1 ? nil : versions[min(version, versions.count) - 1]
  }

  /// What this kernel has; nil where Landlock is not built in, not enabled at boot, or refused by an outer seccomp filter.
  public static func probe() -> ABI? { known }

  /// Asked once: every rule of a policy is judged by it.
  private static let known: ABI? = {
    let createVersion: UInt = 1 << 0
    return abi(answering: systemCall(Int(IMMURE_SYS_landlock_create_ruleset), 0, 0, createVersion))
  }()

  /// A ruleset being filled (landlock_create_ruleset(2)); what it handles is denied unless a rule grants it.
  public struct Ruleset: ~Copyable {
    public let descriptor: FileDescriptor
    let handledFiles: FileRights
    let handledPorts: PortRights

    public init(files: FileRights, ports: PortRights, scopes: Scopes) throws(SystemError) {
      // struct landlock_ruleset_attr of ABI 6, which older kernels take where the fields they lack are zero.
      var attributes = (files.rawValue, ports.rawValue, scopes.rawValue)
      // SAFETY: three UInt64 in order are the kernel's struct; it is read during the call only.
      let result = unsafe withUnsafePointer(to: &attributes) { pointer in
        systemCall(Int(IMMURE_SYS_landlock_create_ruleset), UInt(bitPattern: pointer), 24, 0)
      }
      descriptor = FileDescriptor(owning: Int32(try checked("landlock_create_ruleset", "", result)))
      handledFiles = files
      handledPorts = ports
    }

    /// Grants rights beneath an open file or folder (O_PATH is enough); those not handled are left out.
    public func allow(_ rights: FileRights, beneath parent: Int32) throws(SystemError) {
      let status = try File.status("", at: parent)
      var granted = rights.intersection(handledFiles)
      if status.st_mode & 0o170000 != 0o040000 { granted.formIntersection(.ofFile) }
      if granted.isEmpty { return }
      // struct landlock_path_beneath_attr is packed: u64, then s32.
      var bytes: [12 of UInt8] = .init(repeating: 0)
      for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: granted.rawValue >> UInt64(8 * index)) }
      for index in 0..<4 {
        bytes[8 + index] = UInt8(truncatingIfNeeded: UInt32(bitPattern: parent) >> UInt32(8 * index))
      }
      // SAFETY: twelve bytes are the kernel's packed struct; it is read during the call only.
      let result = unsafe withUnsafePointer(to: &bytes) { pointer in
        systemCall(
          Int(IMMURE_SYS_landlock_add_rule), word(descriptor.rawValue), 1, UInt(bitPattern: pointer), 0)
      }
      try checked("landlock_add_rule", "\(parent)", result)
    }

    /// Grants rights on a TCP port; 0 is what bind(2) chooses itself.
    public func allow(_ rights: PortRights, port: UInt16) throws(SystemError) {
      let granted = rights.intersection(handledPorts)
      if granted.isEmpty { return }
      var attributes = (granted.rawValue, UInt64(port))
      // SAFETY: two UInt64 are struct landlock_net_port_attr; it is read during the call only.
      let result = unsafe withUnsafePointer(to: &attributes) { pointer in
        systemCall(
          Int(IMMURE_SYS_landlock_add_rule), word(descriptor.rawValue), 2, UInt(bitPattern: pointer), 0)
      }
      try checked("landlock_add_rule", "port \(port)", result)
    }

    /// Confines this thread and its children for ever; wants no_new_privs or CAP_SYS_ADMIN (landlock_restrict_self(2)).
    public func restrictSelf(_ flags: RestrictFlags = []) throws(SystemError) {
      try checked(
        "landlock_restrict_self", "",
        systemCall(Int(IMMURE_SYS_landlock_restrict_self), word(descriptor.rawValue), UInt(flags.rawValue)))
    }
  }
}
