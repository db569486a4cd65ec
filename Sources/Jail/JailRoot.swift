import CLinux
import Confinement
import Formats
import Linux
import Policy
import Walls

/// The jail's own root as root builds it: the host's trees are asked for by the parent, the child puts them together in its
/// private mount namespace, which is plumbing: when the last process ends, nothing is left.
struct JailRoot {
  private let bundle: Bundle
  private let user: JailUser
  private let trees: HostTrees
  private let assembly: RootAssembly
  private let mounts: MountPlan
  private let devices: DeviceTree
  private let identity: BoxIdentity

  static func plan(_ bundle: Bundle, user: JailUser) throws(WallError) -> JailRoot {
    var isHost = false
    if case .host = bundle.root { isHost = true }
    // Programs of the host stay root's; the files of an image are the sandbox's own, as they are root's in a container.
    let identity = BoxIdentity.jail(ownsFiles: !isHost)
    var given = bundle
    given.usesInit = false
    given.configuration.mounts = Self.mounts(Self.separate(bundle))
    let trees = HostTrees()
    let assembly = try RootAssembly.plan(given, trees, identity)
    let mounts = try MountPlan.plan(given, trees, BoxIdentity.jail(ownsFiles: true))
    try trees.open()
    let owners = OwnerMaps(bundle.configuration.process.user, outside: user.id)
    try trees.finish { request throws(WallError) in try owners.namespace(for: request) }
    var devices = try DeviceTree(bundle.configuration)
    devices.isCommon = bundle.usesInit
    if mounts.hasDevices, let made = try devices.make(owner: (user.id, user.id)) { devices = made }
    return JailRoot(
      bundle: bundle, user: user, trees: trees, assembly: assembly, mounts: mounts, devices: devices,
      identity: identity)
  }

  /// The parent's copies, once the child has its own.
  func close() {
    trees.close()
    devices.close()
  }

  /// In the child: builds the root and makes it this process's (chroot(2)). A process that is in a chroot can make no user namespace
  /// either (user_namespaces(7)).
  ///
  /// A terminal is one of the jail's own devpts: `prepare` is called with the root before it is entered.
  func enter(_ channel: Int32, _ prepare: (borrowing BoxRoot) throws(SystemError) -> Void) throws(WallError) {
    do throws(SystemError) {
      try Mount.makeAllPrivate()
      for tree in mounts.layers { try OverlayMount.stage(trees.descriptors[tree]) }
    } catch {
      throw WallError("root filesystem", error)
    }
    var root = try assembly.build(trees, channel)
    if case .directory = bundle.root { root.owner = user.id }
    try BoxMounts(
      plan: mounts, trees: trees, identity: identity, devices: devices, cgroup: nil, hasNetworkNamespace: false
    ).attach(to: root)
    try ProtectedPaths(
      masked: masked, readOnly: bundle.usesInit ? [] : bundle.configuration.readonlyPaths
    ).apply(root)
    do throws(SystemError) {
      try own(root)
      try prepare(root)
      if isReadOnly { try root.mount.change(set: .readOnly) }
      try Identity.changeRoot(to: root.descriptor)
    } catch {
      throw WallError("root filesystem", error)
    }
  }

  /// Nobody but root may write /proc/sys and the like, and the sandbox is never root: they need no read-only mounts.
  private var masked: [String] {
    let hidden = bundle.policy.files.filter { $0.value.access == .hidden }.map(\.value.destination)
    if !bundle.usesInit { return bundle.configuration.maskedPaths + hidden }
    // Those of /proc that only root may read need no mask.
    return ["/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/scsi"]
      .filter(bundle.configuration.maskedPaths.contains) + hidden
  }

  /// The folders that are the sandbox's to write to: of the host's own root its home, of an image the root itself.
  private func own(_ root: borrowing BoxRoot) throws(SystemError) {
    guard !isReadOnly else { return }
    switch bundle.root {
    case .directory: return
    case .layers, .image:
      if bundle.configuration.process.user.user != 0 { return }
      try File.changeOwner("", user: user.id, group: user.id, at: root.descriptor)
    case .host:
      for path in ["root", "home", "run", "srv", "mnt", "var/lib", "var/log"] {
        try File.changeOwner(path, user: user.id, group: user.id, at: root.descriptor)
      }
    }
  }

  private var isReadOnly: Bool {
    if bundle.configuration.rootReadOnly { return true }
    switch bundle.root {
    case .directory(_, let readOnly): return readOnly
    case .layers(_, let scratch), .image(_, let scratch), .host(_, let scratch): return scratch == .none
    }
  }

  /// Each file system in memory costs a start about as much as forty files do. Of `run`'s own, /dev/shm is as bounded, and as little to
  /// run programs from, as a folder of /dev; and /tmp beside the host's programs is a folder of the root that lies in memory itself.
  private static func separate(_ bundle: Bundle) -> [MountConfiguration] {
    guard bundle.usesInit else { return bundle.configuration.mounts }
    var shared = ["/dev/shm"]
    if case .host(_, .memory) = bundle.root { shared.append("/tmp") }
    // A mount of the user's own there comes later.
    var seen: [String] = []
    return bundle.configuration.mounts.filter { mount in
      guard shared.contains(mount.destination), !seen.contains(mount.destination) else { return true }
      seen.append(mount.destination)
      return mount.type != "tmpfs"
    }
  }

  /// /proc shows the sandbox's own processes only (hidepid, proc(5)); sysfs, message queues and control groups would be the host's
  /// and are not there; volumes appear as the sandbox's own.
  private static func mounts(_ given: [MountConfiguration]) -> [MountConfiguration] {
    given.compactMap { mount in
      var mount = mount
      if ["sysfs", "mqueue", "cgroup", "cgroup2"].contains(mount.type) { return nil }
      if mount.type == "proc" { mount.options.append("hidepid=2") }
      if mount.type == "devpts" { mount.options.removeAll { $0.hasPrefix("gid=") } }
      let isBind = mount.type == "bind" || mount.options.contains("bind") || mount.options.contains("rbind")
      if isBind, !mount.options.contains("idmap") { mount.options.append("idmap") }
      return mount
    }
  }
}

/// User namespaces that exist only to translate owners of mounted files (mount_setattr(2), MOUNT_ATTR_IDMAP): what one id owns on the
/// disk appears as the sandbox's, and what the sandbox writes is that id's on the disk.
final class OwnerMaps {
  private let insideUser: UInt32
  private let insideGroup: UInt32
  private let outside: UInt32
  private var namespaces: [(user: UInt32, group: UInt32, isImage: Bool, descriptor: Int32)] = []

  init(_ user: UserConfiguration, outside: UInt32) {
    insideUser = user.user
    insideGroup = user.group
    self.outside = outside
  }

  deinit { for namespace in namespaces { _ = FileDescriptor(owning: namespace.descriptor) } }

  /// For image layers the owner is the user whom the image runs as; for a folder of the host's, whoever owns it.
  func namespace(for request: HostTrees.Request) throws(WallError) -> Int32? {
    do throws(SystemError) {
      switch request.owners {
      case .asTheyAre: return nil
      case .translated where request.what == "image layer" || request.what == "root filesystem":
        return try namespace(insideUser, insideGroup, isImage: true)
      case .translated, .translatedIfPossible:
        let status = try File.status(request.path)
        // Everybody may read it already, and nobody is to write.
        let isPublic = UInt32(status.st_mode) & 0o005 == 0o005
        if isPublic, request.set.contains(.readOnly) { return nil }
        return try namespace(status.st_uid, status.st_gid, isImage: false)
      }
    } catch {
      throw WallError("\(request.what) \(request.path)", error)
    }
  }

  private func namespace(_ user: UInt32, _ group: UInt32, isImage: Bool) throws(SystemError) -> Int32 {
    if let known = namespaces.first(where: { $0.user == user && $0.group == group && $0.isImage == isImage }) {
      return known.descriptor
    }
    let gate = try DescriptorPair.pipe()
    guard let child = try Process.clone(CloneArguments(flags: Namespaces.user)) else {
      // Waits until the parent has what it wants, or is gone.
      _ = try? File.read(gate.first.rawValue, atMost: 1)
      Process.exit(0)
    }
    defer { reap(child) }
    try File.writeExisting("/proc/\(child.pid)/uid_map", map(user, isImage))
    try File.writeExisting("/proc/\(child.pid)/gid_map", map(group, isImage))
    let descriptor = try File.open("/proc/\(child.pid)/ns/user", O_RDONLY).release()
    namespaces.append((user, group, isImage, descriptor))
    return descriptor
  }

  /// An image that runs as somebody else keeps its root's files root's, whom the sandbox is not.
  private func map(_ id: UInt32, _ isImage: Bool) -> String {
    (isImage && id != 0 ? "0 0 1\n" : "") + "\(id) \(outside) 1\n"
  }

  private func reap(_ child: borrowing Child) {
    // It is ours and does nothing: neither call can fail in a way that matters.
    try? child.signal(SIGKILL)
    _ = try? child.wait()
  }
}
