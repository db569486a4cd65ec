import CLinux

/// What a mount forbids and does (mount_setattr(2), MOUNT_ATTR_*).
public struct MountAttributes: OptionSet, Sendable, Hashable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public static let readOnly = MountAttributes(rawValue: 0x01)
  public static let noSetUserID = MountAttributes(rawValue: 0x02)
  public static let noDevices = MountAttributes(rawValue: 0x04)
  public static let noExecute = MountAttributes(rawValue: 0x08)
  public static let noAccessTime = MountAttributes(rawValue: 0x10)
  public static let strictAccessTime = MountAttributes(rawValue: 0x20)
  public static let noDirectoryAccessTime = MountAttributes(rawValue: 0x80)
  public static let noSymlinks = MountAttributes(rawValue: 0x20_0000)
  /// Bits that choose how access times are kept; changed together.
  static let accessTimes: UInt64 = 0x70
  static let idMapped: UInt64 = 0x10_0000
}

/// How mounts made later spread between copies (mount_namespaces(7)).
public enum MountPropagation: UInt64, Sendable {
  case unchanged = 0
  case `private` = 0x4_0000
  case slave = 0x8_0000
  case shared = 0x10_0000
  case unbindable = 0x2_0000
}

/// A mount that is not attached anywhere yet: a clone of a tree, or a new file system (open_tree(2), fsmount(2);
/// Linux 5.2).
/// It goes away with its descriptor unless it was attached.
public struct DetachedMount: ~Copyable, Sendable {
  public let descriptor: FileDescriptor
  public init(owning descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

  /// A copy of the mount at `path` (of the mount that `directory` is, with an empty path), with what is mounted below
  /// it.
  /// A link at the end of `path` is not followed.
  public static func clone(
    _ path: String, at directory: Int32 = File.currentDirectory, recursive: Bool
  ) throws(SystemError) -> DetachedMount {
    let clone: UInt = 1
    let flags =
      clone | UInt(O_CLOEXEC) | (recursive ? 0x8000 : 0) | UInt(AT_SYMLINK_NOFOLLOW)
      | (path.isEmpty ? UInt(AT_EMPTY_PATH) : 0)
    let result = path.withPathAddress { systemCall(Int(IMMURE_SYS_open_tree), word(directory), $0, flags) }
    return DetachedMount(owning: FileDescriptor(owning: Int32(try checked("open_tree", path, result))))
  }

  /// Attaches it over the directory or file that `target` (O_PATH is enough) is open on.
  public borrowing func attach(onto target: Int32) throws(SystemError) {
    try attach(onto: "", at: target)
  }

  /// Attaches it over `path` under `directory`; a link at the end is not followed (move_mount(2)).
  public borrowing func attach(onto path: String, at directory: Int32) throws(SystemError) {
    let fromEmpty: UInt = 0x04
    let toEmpty: UInt = 0x40
    let flags = fromEmpty | (path.isEmpty ? toEmpty : 0)
    let result = "".withPathAddress { from in
      path.withPathAddress { to in
        systemCall(Int(IMMURE_SYS_move_mount), word(descriptor.rawValue), from, word(directory), to, flags)
      }
    }
    try checked("move_mount", path.isEmpty ? "\(directory)" : path, result)
  }

  /// Changes attributes of this mount, and of those below it (mount_setattr(2), Linux 5.12).
  public borrowing func change(
    set: MountAttributes = [], clear: MountAttributes = [], propagation: MountPropagation = .unchanged,
    recursive: Bool = false
  ) throws(SystemError) {
    try Mount.change(
      descriptor.rawValue, set: set, clear: clear, propagation: propagation, recursive: recursive)
  }

  /// Translates the owners of its files through a user namespace's map: an id on disk appears as the namespace's id
  /// of that
  /// number. EINVAL where the file system cannot (Linux 5.12; `userNamespace` is a descriptor of /proc/PID/ns/user).
  public borrowing func mapIDs(
    through userNamespace: Int32, set: MountAttributes = [], propagation: MountPropagation = .unchanged,
    recursive: Bool
  ) throws(SystemError) {
    try Mount.change(
      descriptor.rawValue, rawSet: set.rawValue | MountAttributes.idMapped, clear: 0, propagation: propagation,
      userNamespace: userNamespace, recursive: recursive)
  }
}

/// A new file system being described (fsopen(2), Linux 5.2).
public struct FileSystemContext: ~Copyable, Sendable {
  public let descriptor: FileDescriptor
  let type: String

  public init(_ type: String) throws(SystemError) {
    let closeOnExec: UInt = 1
    let result = type.withPathAddress { systemCall(Int(IMMURE_SYS_fsopen), $0, closeOnExec) }
    descriptor = FileDescriptor(owning: Int32(try checked("fsopen", type, result)))
    self.type = type
  }

  init(owning descriptor: consuming FileDescriptor, type: String) {
    self.descriptor = descriptor
    self.type = type
  }

  /// "key=value" of mount(8), such as `size=64k`; ENOPARAM-like errors name the option.
  public borrowing func set(_ key: String, _ value: String) throws(SystemError) {
    let setString: UInt = 1
    let result = key.withPathAddress { key in
      value.withPathAddress { value in
        systemCall(Int(IMMURE_SYS_fsconfig), word(descriptor.rawValue), setString, key, value, 0)
      }
    }
    try checked("mount", "\(type) with \(key)=\(value)", result)
  }

  /// A word without a value, such as `ro` or `userxattr`.
  public borrowing func set(_ key: String) throws(SystemError) {
    let setFlag: UInt = 0
    let result = key.withPathAddress { key in
      systemCall(Int(IMMURE_SYS_fsconfig), word(descriptor.rawValue), setFlag, key, 0, 0)
    }
    try checked("mount", "\(type) with \(key)", result)
  }

  /// A descriptor as a value, such as overlay's layers (Linux 6.13).
  public borrowing func set(_ key: String, descriptor value: Int32) throws(SystemError) {
    let setDescriptor: UInt = 5
    let result = key.withPathAddress { key in
      systemCall(Int(IMMURE_SYS_fsconfig), word(descriptor.rawValue), setDescriptor, key, 0, word(value))
    }
    try checked("mount", "\(type) with \(key)=(descriptor)", result)
  }

  /// Makes the file system and a mount of it with these attributes (fsmount(2)).
  public consuming func mount(_ attributes: MountAttributes = []) throws(SystemError) -> DetachedMount {
    let create: UInt = 6
    let closeOnExec: UInt = 1
    try checked("mount", type, systemCall(Int(IMMURE_SYS_fsconfig), word(descriptor.rawValue), create, 0, 0, 0))
    let result = systemCall(
      Int(IMMURE_SYS_fsmount), word(descriptor.rawValue), closeOnExec, UInt(attributes.rawValue))
    return DetachedMount(owning: FileDescriptor(owning: Int32(try checked("fsmount", type, result))))
  }

  /// What the kernel said about the last failure (fsopen(2), "e ..." lines); empty where it said nothing.
  public borrowing func message() -> String {
    // A context without messages answers ENODATA, which is as good as no message.
    guard let bytes = try? File.read(descriptor.rawValue, atMost: 512), bytes.count > 2 else { return "" }
    return String(decoding: bytes.dropFirst(2), as: UTF8.self)
  }
}

/// Mounts that are attached, and the root.
public enum Mount {
  /// Changes attributes of the mount that `descriptor` is the root of (mount_setattr(2), Linux 5.12).
  public static func change(
    _ descriptor: Int32, set: MountAttributes = [], clear: MountAttributes = [],
    propagation: MountPropagation = .unchanged, recursive: Bool = false
  ) throws(SystemError) {
    try change(
      descriptor, rawSet: set.rawValue, clear: clear.rawValue, propagation: propagation, userNamespace: 0,
      recursive: recursive)
  }

  static func change(
    _ descriptor: Int32, _ path: String = "", rawSet: UInt64, clear: UInt64, propagation: MountPropagation,
    userNamespace: Int32, recursive: Bool
  ) throws(SystemError) {
    // Access times are one field of several bits: it is cleared whole when one of its values is set.
    let times = rawSet & MountAttributes.accessTimes != 0 ? MountAttributes.accessTimes : 0
    // struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
    var attributes = (rawSet, clear | times, propagation.rawValue, UInt64(UInt32(bitPattern: userNamespace)))
    let flags = (path.isEmpty ? UInt(AT_EMPTY_PATH) : 0) | (recursive ? 0x8000 : 0)
    // SAFETY: the tuple has mount_attr's layout (four 64-bit words), and lives across the call.
    let result = unsafe withUnsafePointer(to: &attributes) { pointer in
      path.withPathAddress {
        systemCall(
          Int(IMMURE_SYS_mount_setattr), word(descriptor), $0, flags, UInt(bitPattern: pointer), 32)
      }
    }
    try checked("mount_setattr", path.isEmpty ? "\(descriptor)" : path, result)
  }

  /// Makes every mount of this namespace private: nothing made here spreads, nothing made elsewhere arrives.
  public static func makeAllPrivate() throws(SystemError) {
    try change(
      File.currentDirectory, "/", rawSet: 0, clear: 0, propagation: .private, userNamespace: 0, recursive: true)
  }

  /// Makes the mounted directory that `root` is open on the root of this mount namespace and takes the old root away,
  /// with
  /// everything below it (pivot_root(2), the "." "." way). The working directory becomes the new root.
  public static func pivot(to root: Int32) throws(SystemError) {
    try checked("fchdir", "\(root)", systemCall(Int(SYS_fchdir), word(root)))
    let result = ".".withPathAddress { systemCall(Int(SYS_pivot_root), $0, $0) }
    try checked("pivot_root", "", result)
    try detach(".")
    try checked("chdir", "/", "/".withPathAddress { systemCall(Int(SYS_chdir), $0) })
  }

  /// Takes the topmost mount at `path` away, at once from sight and for good when the last user lets go (umount2(2),
  /// MNT_DETACH).
  public static func detach(_ path: String) throws(SystemError) {
    let noFollow: UInt = 8
    try checked("umount", path, path.withPathAddress { systemCall(Int(SYS_umount2), $0, UInt(MNT_DETACH) | noFollow) })
  }
}

extension Mount {
  /// `DetachedMount.mapIDs` for a mount that is known by its descriptor.
  public static func mapIDs(
    _ descriptor: Int32, through userNamespace: Int32, set: MountAttributes = [],
    propagation: MountPropagation = .unchanged, recursive: Bool
  ) throws(SystemError) {
    try change(
      descriptor, rawSet: set.rawValue | MountAttributes.idMapped, clear: 0, propagation: propagation,
      userNamespace: userNamespace, recursive: recursive)
  }

  /// `DetachedMount.attach` for a mount that is known by its descriptor.
  public static func attach(_ mount: Int32, onto target: Int32) throws(SystemError) {
    let result = "".withPathAddress { empty in
      systemCall(Int(IMMURE_SYS_move_mount), word(mount), empty, word(target), empty, 0x04 | 0x40)
    }
    try checked("move_mount", "\(target)", result)
  }
}

extension DetachedMount {
  /// Gives the descriptor up without closing it.
  public consuming func release() -> Int32 { descriptor.release() }
}
