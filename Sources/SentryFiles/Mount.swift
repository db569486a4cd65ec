public import Linux

/// A place in the mounted tree (the kernel's `path`).
public struct Path {
  public let mount: Mount
  public let dentry: Dentry
  public init(mount: Mount, dentry: Dentry) {
    self.mount = mount
    self.dentry = dentry
  }

  /// A file that no path leads to: a pipe, a socket, a memory file.
  /// - Parameter name: as /proc/PID/fd shows it, such as "pipe:[17]".
  public init(unnamed inode: Inode, name: [UInt8]) {
    let dentry = Dentry(root: inode, name: name)
    self.init(mount: Mount(unnamed: dentry), dentry: dentry)
  }

  public static func == (one: Path, other: Path) -> Bool { one.mount === other.mount && one.dentry === other.dentry }

  /// What is there.
  public var inode: Inode? { dentry.inode }

  /// Whether nothing can be written there.
  public var isReadOnly: Bool {
    mount.flags.contains(.readOnly) || dentry.inode?.fileSystem.isReadOnly ?? true
  }
}

/// MS_* of mount(2) that stay with a mount.
public struct MountFlags: OptionSet, Sendable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public static let readOnly = MountFlags(rawValue: 1)
  public static let noSetID = MountFlags(rawValue: 2)
  public static let noDevices = MountFlags(rawValue: 4)
  public static let noExecution = MountFlags(rawValue: 8)
  public static let noAccessTimes = MountFlags(rawValue: 1024)
}

/// A tree attached at a place of another one (the kernel's `mount`).
public final class Mount {
  public let root: Dentry
  public internal(set) var flags: MountFlags
  /// As /proc/PID/mountinfo numbers it; 0 for one that no path leads to.
  public let id: Int32
  /// What it is mounted on; nil for the root of the namespace.
  public internal(set) var point: Path?
  var children: [ObjectIdentifier: Mount] = [:]

  fileprivate init(root: Dentry, flags: MountFlags, id: Int32) {
    self.root = root
    self.flags = flags
    self.id = id
  }
  fileprivate init(unnamed root: Dentry) {
    self.root = root
    flags = [.noDevices, .noSetID]
    id = 0
  }

  // Names hold their directories and directories their names.
  deinit {
    PathCache.changed()
    root.forget()
  }

  /// What is mounted on a place of this mount.
  func covering(_ dentry: Dentry) -> Mount? {
    dentry.mounts == 0 ? nil : children[ObjectIdentifier(dentry)]
  }
}

/// The mounts of a sandbox (mount_namespaces(7)).
public final class MountNamespace {
  public internal(set) var root: Path
  /// fs.mount-max, for what guests mount: each costs the sentry memory.
  static let limit = 10_000
  /// In the order in which they were made, for /proc/PID/mountinfo.
  public private(set) var mounts: [Mount]
  /// Opens devices and FIFOs.
  public let special: SpecialFiles
  /// Paths that were walked lately.
  let paths = PathCache()

  /// What all namespaces of one sandbox have together.
  private final class Common {
    var memoryFiles: Inode?
    var lockWaits: AnyObject?
    var lastCookie: UInt32 = 0
    var lastMount: Int32 = 1
  }
  private let common: Common

  /// The tree that memfd_create(2) makes its files in: made at the first one.
  public var memoryFiles: Inode? {
    get { common.memoryFiles }
    set { common.memoryFiles = newValue }
  }
  /// Who has been told of paths in it; of the first namespace only.
  public var answers: AnswerGenerations?
  /// Who waits for whom at range locks: kept by the calls.
  public var lockWaits: AnyObject? {
    get { common.lockWaits }
    set { common.lockWaits = newValue }
  }

  /// Joins the two halves of a rename for inotify(7).
  func nextCookie() -> UInt32 {
    common.lastCookie &+= 1
    return common.lastCookie
  }

  public init(root inode: Inode, flags: MountFlags = [], special: SpecialFiles = SpecialFiles()) {
    let mount = Mount(root: Dentry(root: inode), flags: flags, id: 1)
    mounts = [mount]
    root = Path(mount: mount, dentry: mount.root)
    self.special = special
    common = Common()
  }

  /// One with no mount but the root's of another, to be filled.
  init(sharing other: MountNamespace) {
    root = other.root
    mounts = []
    special = other.special
    common = other.common
  }

  // Mounts hold their places and places their mounts.
  deinit {
    for mount in mounts {
      mount.point?.dentry.mounts -= 1
      mount.point = nil
      mount.children = [:]
    }
  }

  /// The same tree once more, nowhere yet.
  func add(_ other: Mount) -> Mount {
    common.lastMount &+= 1
    let mount = Mount(root: other.root, flags: other.flags, id: common.lastMount)
    mounts.append(mount)
    return mount
  }

  /// Puts a mount on a place that nothing is mounted on.
  func lay(_ mount: Mount, on place: Path) {
    mount.point = place
    place.mount.children[ObjectIdentifier(place.dentry)] = mount
    place.dentry.mounts += 1
    answers?.change()
    PathCache.changed()
  }

  /// Takes a mount from its place.
  func lift(_ mount: Mount) {
    guard let point = mount.point else { return }
    point.mount.children[ObjectIdentifier(point.dentry)] = nil
    point.dentry.mounts -= 1
    mount.point = nil
    answers?.change()
    PathCache.changed()
  }

  func forget(_ mount: Mount) { mounts.removeAll { $0 === mount } }

  /// Mounts a tree.
  /// - Parameter point: a directory for a directory, another file for a file.
  /// - Throws: ENOTDIR, ENOENT, EINVAL where the place is mounted no more, ENOSPC.
  @discardableResult
  public func mount(_ inode: Inode, on point: Path, flags: MountFlags = []) throws(Errno) -> Mount {
    try attach(Dentry(root: inode), on: point, flags)
  }

  /// A part of the tree once more (MS_BIND).
  @discardableResult
  public func bind(_ source: Path, on point: Path, flags: MountFlags = []) throws(Errno) -> Mount {
    try attach(source.dentry, on: point, flags)
  }

  private func attach(_ root: Dentry, on point: Path, _ flags: MountFlags) throws(Errno) -> Mount {
    guard let there = point.inode, let inode = root.inode else { throw .noEntry }
    guard (there.kind == .directory) == (inode.kind == .directory) else { throw .notDirectory }
    guard isMounted(point.mount) else { throw .invalid }
    guard mounts.count < Self.limit else { throw .noSpace }
    common.lastMount &+= 1
    let mount = Mount(root: root, flags: flags, id: common.lastMount)
    // On top of what is mounted there already.
    lay(mount, on: uppermost(point))
    mounts.append(mount)
    return mount
  }

  /// Other flags for a mount (MS_REMOUNT with MS_BIND).
  public func remount(_ mount: Mount, flags: MountFlags) { mount.flags = flags }

  /// umount2(2) of the uppermost mount whose root is `path`.
  /// - Throws: EINVAL where it's no mount; EBUSY where others are mounted in it, or it is the root.
  public func unmount(_ path: Path) throws(Errno) {
    let mount = path.mount
    guard mount.root === path.dentry, mounts.contains(where: { $0 === mount }) else { throw .invalid }
    guard mount.point != nil, mount.children.isEmpty else { throw .busy }
    lift(mount)
    forget(mount)
  }

  /// The path from `root` as getcwd(2) and /proc/PID/fd show it.
  /// - Returns: nil where `place` is not beneath `root`; a file without a name gives its own text.
  public func text(of place: Path, root: Path) -> [UInt8]? {
    var names: [[UInt8]] = []
    var at = place
    var isRemoved = false
    while !(at == root) {
      if at.dentry === at.mount.root {
        if let point = at.mount.point {
          at = point
          continue
        }
        if at.mount.id == 0, names.isEmpty { return at.dentry.name }
        return nil
      }
      guard let parent = at.dentry.parent else { return nil }
      isRemoved = isRemoved || at.dentry.isRemoved
      names.append(at.dentry.name)
      at = Path(mount: at.mount, dentry: parent)
    }
    var text: [UInt8] = []
    for name in names.reversed() { text += [UInt8(ascii: "/")] + name }
    if text.isEmpty { text = [UInt8(ascii: "/")] }
    return isRemoved ? text + Array(" (deleted)".utf8) : text
  }
}

/// Opens what is no file of a file system: devices by their numbers, and FIFOs.
public final class SpecialFiles {
  public typealias Opener = (_ inode: Inode, _ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) ->
    OpenFile
  /// By st_rdev.
  private var characterDevices: [UInt64: Opener] = [:]
  /// Set by whoever has pipes.
  public var fifo: Opener?
  public init() {}

  /// - Parameter major: number of the device's driver (Documentation/admin-guide/devices.txt).
  public func addCharacterDevice(major: UInt32, minor: UInt32, _ opener: @escaping Opener) {
    characterDevices[Device.number(major, minor)] = opener
  }

  func open(_ inode: Inode, _ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) -> OpenFile {
    switch inode.kind {
    case .characterDevice, .blockDevice:
      if path.mount.flags.contains(.noDevices) { throw .accessDenied }
      // Without a driver the inode may know how to open itself, as those of devpts do.
      guard inode.kind == .characterDevice, let opener = characterDevices[inode.attributes.special] else {
        return try inode.open(flags, path, caller)
      }
      return try opener(inode, flags, path, caller)
    case .fifo where inode is UnnamedInode: return try inode.open(flags, path, caller)
    case .fifo:
      guard let fifo else { throw .noSuchDevice }
      return try fifo(inode, flags, path, caller)
    case .socket: throw .noSuchDevice
    default: return try inode.open(flags, path, caller)
    }
  }
}

public enum Device {
  /// makedev(3).
  public static func number(_ major: UInt32, _ minor: UInt32) -> UInt64 {
    let (high, low) = (UInt64(major), UInt64(minor))
    return low & 0xff | (high & 0xfff) << 8 | (low & ~0xff) << 12 | (high & ~0xfff) << 32
  }
  public static func major(_ number: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: number >> 8 & 0xfff | number >> 32 & ~0xfff)
  }
  public static func minor(_ number: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: number & 0xff | number >> 12 & ~0xff)
  }
}
