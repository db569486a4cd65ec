import CLinux
package import Formats
import Linux
package import Walls

/// The configuration's mounts, with the host's part of them asked for.
package struct MountPlan {
  package enum Source {
    case tree(Int)
    /// Read-only, and without its sockets where the kernel can.
    case lent(Int)
    case devices
    case fileSystem(String)
    case overlay(Layers)
  }
  /// Layers by their trees, the topmost first, and the folder that `upper` and `work` are in, with their names.
  package struct Layers {
    package var lower: [Int]
    package var scratch: Int?
    package var upper = ""
    package var work = ""
  }
  package struct Item {
    package var destination: String
    package var source: Source
    package var options: MountOptions
  }
  package var items: [Item] = []
  /// Where the process begins, if that is a folder which is made where the image lacks it (image-spec config.md, "WorkingDir"; runc, Docker).
  package var workingDirectory: String?
  private var translates = false
  package var hasDevices: Bool { items.contains { if case .devices = $0.source { true } else { false } } }

  /// The trees that are layers of overlays.
  package var layers: [Int] {
    items.flatMap { item -> [Int] in
      switch item.source {
      case .overlay(let layers): return layers.lower + (layers.scratch.map { [$0] } ?? [])
      case .lent(let tree): return [tree]
      case .tree, .devices, .fileSystem: return []
      }
    }
  }

  /// What every box with an init of ours has without being told (runtime-spec config-linux.md, "Default Filesystems").
  package static let standard: [MountConfiguration] = [
    MountConfiguration(destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "nodev", "noexec"]),
    MountConfiguration(
      destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "noexec", "mode=755", "size=65536k"]),
    MountConfiguration(
      destination: "/dev/pts", type: "devpts", source: "devpts",
      options: ["nosuid", "noexec", "ptmxmode=0666", "mode=0620", "gid=5"]),
    MountConfiguration(
      destination: "/dev/shm", type: "tmpfs", source: "shm",
      options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    MountConfiguration(
      destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
    MountConfiguration(
      destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]),
    MountConfiguration(
      destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", "ro"]),
  ]

  /// - Parameter translates: whether owners of volumes are translated where the configuration does not ask for that by itself.
  package static func plan(
    _ bundle: Bundle, _ trees: HostTrees, _ identity: BoxIdentity, translates: Bool = false
  ) throws(WallError) -> MountPlan {
    var plan = MountPlan()
    plan.translates = translates || bundle.usesInit
    let given = bundle.configuration.mounts
    let missing =
      bundle.usesInit
      ? standard.filter { mount in !given.contains { $0.destination == mount.destination } } : []
    for mount in missing where mount.type != "cgroup" { try plan.add(mount, bundle, trees, identity) }
    for mount in given {
      try plan.add(mount, bundle, trees, identity)
      if let directory = MountPlan.directory(bundle.root, coveredBy: mount) {
        // It appears above the memory that covers it (/tmp), and below what the user mounts later.
        let tree = HostRootPlan.workingDirectory(directory, trees, identity)
        let options = try MountOptions(MountConfiguration(destination: directory, type: "bind", source: directory))
        plan.items.append(Item(destination: directory, source: .lent(tree), options: options))
      }
    }
    // Within /sys, whoever gave that.
    for mount in missing where mount.type == "cgroup" { try plan.add(mount, bundle, trees, identity) }
    plan.workingDirectory = workingDirectory(bundle)
    return plan
  }

  /// Of the host's own root nothing is made that the host has not: there a missing folder is a mistake of the caller's.
  static func workingDirectory(_ bundle: Bundle) -> String? {
    if case .host = bundle.root { return nil }
    let path = bundle.configuration.process.workingDirectory
    return path == "/" ? nil : path
  }

  /// The host's current folder, where a new file system at `mount` would hide it.
  static func directory(_ root: RootFilesystem, coveredBy mount: MountConfiguration) -> String? {
    guard case .host(let host, _) = root, let directory = host.workingDirectory, mount.type == "tmpfs",
      directory.hasPrefix(mount.destination + "/"), !HostRootPlan.isVisible(directory, in: host)
    else { return nil }
    return directory
  }

  private mutating func add(
    _ mount: MountConfiguration, _ bundle: Bundle, _ trees: HostTrees, _ identity: BoxIdentity
  ) throws(WallError) {
    guard mount.destination.hasPrefix("/"), mount.destination != "/" else {
      throw WallError("mount \"\(mount.destination)\": the destination must be an absolute path below /")
    }
    let options = try MountOptions(mount)
    var item = Item(destination: mount.destination, source: .fileSystem(mount.type), options: options)
    if options.isBind {
      item.source = .tree(try bind(mount, options, bundle, trees, identity))
    } else if mount.type == "tmpfs" && mount.destination == "/dev" {
      item.source = .devices
    } else if mount.type == "overlay" {
      item = try overlay(mount, item, trees, identity)
    } else if !["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"].contains(mount.type) {
      throw WallError(
        "mount \(mount.destination): the type \"\(mount.type)\" is not supported: use bind, tmpfs, overlay, proc, sysfs, devpts, mqueue or cgroup"
      )
    }
    items.append(item)
  }

  private func bind(
    _ mount: MountConfiguration, _ options: MountOptions, _ bundle: Bundle, _ trees: HostTrees,
    _ identity: BoxIdentity
  ) throws(WallError) -> Int {
    guard mount.source.hasPrefix("/") else {
      throw WallError("mount \(mount.destination): the source \"\(mount.source)\" must be an absolute path")
    }
    // A read-only volume that cannot be translated shows its files as nobody's; a writable one would only refuse every write.
    let owners: HostTrees.Owners =
      !identity.mapsFiles || !(translates || options.isIDMapped)
      ? .asTheyAre : options.attributes.contains(.readOnly) ? .translatedIfPossible : .translated
    var request = HostTrees.Request(
      path: mount.source, what: "volume", recursive: options.isRecursive, owners: owners, set: options.attributes,
      clear: options.cleared,
      // `run` holds what its options say for all that is below; a configuration says rro where it means so.
      attributesBelow: bundle.usesInit, setBelow: options.attributesBelow, clearBelow: options.clearedBelow,
      propagation: options.propagation, propagationBelow: options.recursivePropagation)
    let own = !mount.userMappings.isEmpty
    // Where the wall translates files by itself, a mount without a mapping of its own is translated as all are.
    if options.isIDMapped && (own || !identity.mapsFiles) {
      // Without a mapping of its own the box's is meant (config.md, "idmap").
      let users = own ? mount.userMappings : bundle.configuration.userMappings
      let groups = own ? mount.groupMappings : bundle.configuration.groupMappings
      if users.isEmpty {
        throw WallError("mount \(mount.destination): it is to be idmapped, and neither it nor the box has mappings")
      }
      request.owners = .asTheyAre
      request.mapping = IDMapNamespace(users: users, groups: groups)
      request.mapsBelow = options.isIDMappedBelow
    }
    return trees.add(request)
  }

  private func overlay(
    _ mount: MountConfiguration, _ item: Item, _ trees: HostTrees, _ identity: BoxIdentity
  ) throws(WallError) -> Item {
    var item = item
    func value(_ key: String) -> String? {
      guard let option = item.options.data.first(where: { $0.hasPrefix(key + "=") }) else { return nil }
      item.options.data.removeAll { $0 == option }
      return String(option.dropFirst(key.utf8.count + 1))
    }
    let owners: HostTrees.Owners = identity.mapsFiles ? .translated : .asTheyAre
    func tree(_ path: String, _ what: String) -> Int {
      trees.add(HostTrees.Request(path: path, what: what, recursive: false, owners: owners))
    }
    guard let lower = value("lowerdir"), !lower.isEmpty else {
      throw WallError("mount \(mount.destination): an overlay needs the option lowerdir=PATH[:PATH…]")
    }
    let layers = lower.split(separator: ":").map { tree(String($0), "overlay's lower folder") }
    let upper = value("upperdir")
    let work = value("workdir")
    guard (upper == nil) == (work == nil) else {
      throw WallError("mount \(mount.destination): an overlay needs upperdir and workdir both, or neither")
    }
    guard let upper, let work else {
      item.source = .overlay(Layers(lower: layers))
      return item
    }
    guard let above = File.parent(of: upper), above == File.parent(of: work), above != "/" else {
      throw WallError("mount \(mount.destination): upperdir \(upper) and workdir \(work) must lie in one folder")
    }
    item.source = .overlay(
      Layers(
        lower: layers, scratch: tree(above, "overlay's upper folder"),
        upper: String(upper.dropFirst(above.utf8.count + 1)), work: String(work.dropFirst(above.utf8.count + 1))))
    return item
  }
}
