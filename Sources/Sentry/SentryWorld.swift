import CLinux
import Confinement
import Formats
import Linux
import Policy
import SentryABI
import SentryFileSystems
import SentryFiles
import Walls

/// The tree that guests see: the root by the source that the wall was given, with a writable layer in the sentry's memory, and the
/// configuration's mounts by file systems of the sentry's own or host folders.
struct SentryWorld {
  let bundle: Bundle
  let mounts: MountPlan
  /// Where writes to the root go.
  let scratch: Scratch
  /// Descriptors of the host's trees, by the plan's numbers.
  let trees: [Int32]
  /// The root's image, where it is one.
  let image: SentryImage?
  /// Overlays that the host has mounted for the plan, by their destinations: what is written through them lies in a folder of the host's.
  let overlays: [String: Int32]
  /// What mounts of the kernel's own kinds are here: proc, sysfs, devpts.
  let kernelFileSystem: (String) throws(Errno) -> Inode?
  /// Whether what guests make on the host is theirs there too.
  let givesOwners: Bool

  /// - Parameter root: the root's tree, read-only but where the configuration has a folder of its own.
  /// - Returns: the tree, and what its root began as where guests write to a layer above.
  func make(root: Int32, special: SpecialFiles) throws(WallError) -> (MountNamespace, original: Inode?) {
    var original: Inode?
    let namespace = try step("root filesystem") { () throws(Errno) in
      let inode: Inode
      switch scratch {
      case .memory(let limit):
        let below = try lower(root)
        original = below
        inode = MemoryFileSystem.overlay(lower: below, limit: limit)
      case .none where keepsWrites: inode = try HostFolder.tree(root, isReadOnly: false, givesOwners: givesOwners)
      // Places to mount on are made all the same.
      case .none, .directory:
        let below = try lower(root)
        original = below
        inode = MemoryFileSystem.overlay(lower: below, limit: 4 << 20)
      }
      return MountNamespace(root: inode, special: special)
    }
    try closeWorkingDirectory(namespace)
    for item in mounts.items { try mount(item, in: namespace) }
    if let path = mounts.workingDirectory {
      // What prevents it is told by who enters it.
      do throws(Errno) { _ = try place(Array(path.utf8), isDirectory: true, in: namespace) } catch {}
    }
    try cover(namespace)
    try protect(namespace)
    if isReadOnly { namespace.remount(namespace.root.mount, flags: .readOnly) }
    return (namespace, original)
  }

  /// The caller's current folder is lent for reading only, whatever may be written beside it.
  private func closeWorkingDirectory(_ namespace: MountNamespace) throws(WallError) {
    guard case .host(let host, _) = bundle.root, let directory = host.workingDirectory,
      !host.visible.contains(where: { directory == $0 || directory.hasPrefix($0 + "/") })
    else { return }
    try step("working directory \(directory)") { () throws(Errno) in
      do throws(Errno) {
        let place = try walk(namespace).find(Array(directory.utf8))
        try namespace.bind(place, on: place, flags: [.readOnly, .noSetID, .noDevices])
      } catch  where error == .noEntry {
        // Memory covers it, and it is mounted above that.
      }
    }
  }

  /// A configuration's own folder, with writes that stay (`immure-oci`).
  private var keepsWrites: Bool {
    if case .directory(_, let readOnly) = bundle.root { return !readOnly && !bundle.configuration.rootReadOnly }
    return false
  }

  /// What nobody writes to: an image by its own files, which the store keeps as they are, anything else by the host's tree.
  private func lower(_ root: Int32) throws(Errno) -> Inode {
    guard let image else { return try HostFolder.tree(root, isReadOnly: true) }
    do throws(SystemError) {
      return try EROFSFileSystem.tree(
        metadata: image.metadata.rawValue, devices: image.devices.map(\.rawValue), mount: root)
    } catch { throw error.errno }
  }

  private var isReadOnly: Bool {
    if bundle.configuration.rootReadOnly { return true }
    if case .directory(_, let readOnly) = bundle.root { return readOnly }
    return scratch == .none
  }

  private func mount(_ item: MountPlan.Item, in namespace: MountNamespace) throws(WallError) {
    try step("mount \(item.destination)") { () throws(Errno) in
      let path = Array(item.destination.utf8)
      var flags = MountFlags(item.options.attributes)
      let inode: Inode
      switch item.source {
      case .tree(let index):
        inode = try HostFolder.tree(
          trees[index], isReadOnly: flags.contains(.readOnly), givesOwners: givesOwners)
        flags.insert(.noDevices)
      case .lent(let index):
        inode = try HostFolder.tree(trees[index], isReadOnly: true)
        flags.formUnion([.readOnly, .noDevices])
      case .devices:
        let tree = MemoryFileSystem.tree(limit: 64 << 10, permissions: 0o755)
        try MemoryDevices.addNodes(to: tree)
        try addDeviceNames(to: tree)
        inode = tree
        // Its nodes are the sentry's own.
        flags.remove(.noDevices)
      case .fileSystem("tmpfs"): inode = try memory(item.options)
      case .fileSystem(let kind):
        guard let made = try kernelFileSystem(kind) else { return }
        inode = made
        if kind == "devpts" { flags.remove(.noDevices) }
      case .overlay:
        guard let tree = overlays[item.destination] else { throw .notSupported }
        inode = try HostFolder.tree(tree, isReadOnly: flags.contains(.readOnly))
        flags.insert(.noDevices)
      }
      let place = try self.place(path, isDirectory: inode.kind == .directory, in: namespace)
      try namespace.mount(inode, on: place, flags: flags)
    }
  }

  /// The terminals' nodes and ptmx; the other links come with the devices (runtime-spec config-linux.md, "Default Devices"; "/dev symbolic links").
  private func addDeviceNames(to directory: Inode) throws(Errno) {
    let terminal = NewFile(
      kind: .characterDevice, permissions: 0o666, user: 0, group: 0, special: Device.number(5, 0))
    _ = try directory.create(Array("tty".utf8), terminal)
    _ = try directory.createLink(
      Array("ptmx".utf8), to: Array("pts/ptmx".utf8),
      NewFile(kind: .symbolicLink, permissions: 0o777, user: 0, group: 0))
  }

  /// Options as tmpfs(5) spells them.
  private func memory(_ options: MountOptions) throws(Errno) -> Inode {
    var taken = TemporaryOptions()
    for option in options.data { try taken.take(Array(option.utf8)) }
    return MemoryFileSystem.tree(
      limit: taken.size ?? 1 << 30, permissions: taken.permissions, user: taken.user, group: taken.group)
  }

  /// What a policy hides, and the paths that a configuration masks, is covered by something empty.
  private func cover(_ namespace: MountNamespace) throws(WallError) {
    let hidden = bundle.policy.files.filter { $0.value.access == .hidden }.map(\.value.destination)
    // The sentry's /proc and /sys have nothing of the host's to mask.
    let masked = bundle.configuration.maskedPaths.filter { !$0.hasPrefix("/proc/") && !$0.hasPrefix("/sys/") }
    for path in hidden + masked {
      try step("hidden path \(path)") { () throws(Errno) in
        let place: Path
        do throws(Errno) {
          place = try walk(namespace).find(Array(path.utf8))
        } catch  where error == .noEntry || error == .notDirectory {
          return
        }
        let cover: Inode =
          place.inode?.kind == .directory
          ? MemoryFileSystem.tree(limit: 0, permissions: 0o555)
          : try MemoryFileSystem.tree(limit: 4096).create(
            Array("empty".utf8), NewFile(kind: .regular, permissions: 0o444, user: 0, group: 0))
        try namespace.mount(cover, on: place, flags: .readOnly)
      }
    }
  }

  /// Paths that a configuration wants read-only.
  private func protect(_ namespace: MountNamespace) throws(WallError) {
    // The sentry's /proc and /sys have nothing in them that changes the host.
    for path in bundle.configuration.readonlyPaths where !path.hasPrefix("/proc/") && !path.hasPrefix("/sys/") {
      try step("read-only path \(path)") { () throws(Errno) in
        do throws(Errno) {
          let place = try walk(namespace).find(Array(path.utf8))
          try namespace.bind(place, on: place, flags: .readOnly)
        } catch  where error == .noEntry || error == .notDirectory {}
      }
    }
  }

  private func walk(_ namespace: MountNamespace) -> PathWalk {
    PathWalk(PathContext(namespace, umask: 0), FileCaller(credentials: .all))
  }

  /// A place to mount on; what is missing of it is made.
  private func place(_ path: [UInt8], isDirectory: Bool, in namespace: MountNamespace) throws(Errno) -> Path {
    let walk = walk(namespace)
    do throws(Errno) { return try walk.find(path) } catch  where error == .noEntry {}
    var made: [UInt8] = []
    let names = path.split(separator: UInt8(ascii: "/"))
    for (index, name) in names.enumerated() {
      made += [UInt8(ascii: "/")] + name
      do throws(Errno) { _ = try walk.find(made) } catch  where error == .noEntry {
        let kind: FileKind = index + 1 < names.count || isDirectory ? .directory : .regular
        try walk.make(kind, at: made, permissions: kind == .directory ? 0o755 : 0o644)
      }
    }
    return try walk.find(path)
  }

  private func step<Value>(_ what: String, _ body: () throws(Errno) -> Value) throws(WallError) -> Value {
    do throws(Errno) { return try body() } catch { throw WallError("\(what): \(error)") }
  }
}

extension MountFlags {
  /// MS_* for the attributes of mount_setattr(2).
  init(_ attributes: MountAttributes) {
    self = []
    if attributes.contains(.readOnly) { insert(.readOnly) }
    if attributes.contains(.noSetUserID) { insert(.noSetID) }
    if attributes.contains(.noDevices) { insert(.noDevices) }
    if attributes.contains(.noExecute) { insert(.noExecution) }
  }
}

extension Credentials {
  /// The sentry's own while it builds: nothing is forbidden.
  static var all: Credentials {
    var credentials = Credentials()
    credentials.effective = .max
    credentials.permitted = .max
    return credentials
  }
}
