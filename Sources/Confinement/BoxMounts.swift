import CLinux
import Formats
package import Linux
package import Walls

/// Puts the mounts into the root, in the child, each by descriptor onto a place that was resolved within the root.
package struct BoxMounts {
  package let plan: MountPlan
  package let trees: HostTrees
  package let identity: BoxIdentity
  package let devices: DeviceTree
  package let cgroup: Cgroup?
  package let hasNetworkNamespace: Bool

  package init(
    plan: MountPlan, trees: HostTrees, identity: BoxIdentity, devices: DeviceTree, cgroup: Cgroup?,
    hasNetworkNamespace: Bool
  ) {
    self.plan = plan
    self.trees = trees
    self.identity = identity
    self.devices = devices
    self.cgroup = cgroup
    self.hasNetworkNamespace = hasNetworkNamespace
  }

  private static let procMagic = 0x9fa0
  /// What other tools are known to put over files of /proc (lxcfs); anything else there could deceive the box's builder.
  private static let procFiles: Set<String> = [
    "cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo",
  ]

  package func attach(to root: borrowing BoxRoot) throws(WallError) {
    for item in plan.items {
      do throws(SystemError) {
        try attach(item, root)
      } catch {
        throw WallError("mount \(item.destination): \(error)")
      }
    }
    if let path = plan.workingDirectory {
      // What prevents it, a file in its place or a link in circles, is told by who enters it.
      do throws(SystemError) { _ = try root.make(path, .directory) } catch {}
    }
  }

  private func attach(_ item: MountPlan.Item, _ root: borrowing BoxRoot) throws(SystemError) {
    switch item.source {
    case .tree(let index):
      let target = try place(item, root, isFile: trees.isFile[index])
      try Mount.attach(trees.descriptors[index], onto: target.rawValue)
    case .lent(let index):
      let target = try place(item, root, isFile: false)
      let none = try RootAssembly.memory(4096)
      try OverlayMount.stage(none.descriptor.rawValue)
      let tree = trees.descriptors[index]
      var refusal: SystemError?
      if let mount = try OverlayMount.withoutSockets(
        tree, none: none.descriptor.rawValue, userAttributes: identity.map != nil, refusal: &refusal)
      {
        try mount.attach(onto: target.rawValue)
      } else {
        try Mount.attach(tree, onto: target.rawValue)
      }
    case .devices:
      let target = try kernelPlace(item.destination, root)
      try devices.attach(onto: target.rawValue)
    case .overlay(let layers):
      let target = try place(item, root, isFile: false)
      try OverlayMount.make(layers, item.options, trees, identity).attach(onto: target.rawValue)
    case .fileSystem(let type):
      let isKernels = type != "tmpfs" || item.destination.hasPrefix("/dev/")
      let target = try isKernels ? kernelPlace(item.destination, root) : place(item, root, isFile: false)
      switch type {
      case "sysfs": try attachSysfs(item, root, target.rawValue)
      case "cgroup", "cgroup2":
        try CgroupMount(cgroup: cgroup, attributes: item.options.attributes).attach(onto: target.rawValue)
      default:
        let mount = try fileSystem(type, item)
        if item.options.copiesUp { try TreeCopy.copy(from: target.rawValue, to: mount.descriptor.rawValue) }
        try mount.attach(onto: target.rawValue)
        if item.options.propagation != .private { try mount.change(propagation: item.options.propagation) }
      }
    }
  }

  /// /proc, /sys and /dev of a hostile image may be links; they are never followed.
  private func kernelPlace(_ path: String, _ root: borrowing BoxRoot) throws(SystemError) -> FileDescriptor {
    try root.make(path, .directory, noSymlinks: true)
  }

  private func place(_ item: MountPlan.Item, _ root: borrowing BoxRoot, isFile: Bool) throws(SystemError)
    -> FileDescriptor
  {
    let target = try root.make(item.destination, isFile ? .file : .directory)
    if try File.fileSystemKind(target.rawValue) == Self.procMagic,
      !Self.procFiles.contains(where: { item.destination == "/proc/" + $0 })
    {
      throw SystemError("mount", "onto /proc", .notPermitted)
    }
    return target
  }

  private func fileSystem(_ type: String, _ item: MountPlan.Item) throws(SystemError) -> DetachedMount {
    let context = try FileSystemContext(type)
    for flag in item.options.flags { try context.set(flag) }
    for option in item.options.data {
      let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
      if parts.count == 2 {
        // An id that the box's map does not have cannot own anything in it.
        if parts[0] == "gid", let group = UInt32(parts[1]), !identity.hasGroup(group) { continue }
        if parts[0] == "uid", let user = UInt32(parts[1]), !identity.hasUser(user) { continue }
        do throws(SystemError) { try context.set(parts[0], parts[1]) } catch
          where error.errno == .invalid && type == "devpts" && parts[0] == "gid"
        {
          // A group that the user namespace around us has not: the terminals are then their users' own groups'.
        }
      } else if option != "newinstance" {
        try context.set(option)
      }
    }
    return try context.mount(item.options.attributes)
  }

  /// A new sysfs shows the box's own network only, and wants a network namespace that the box owns; else it is the host's,
  /// read-only, without the host's control groups.
  private func attachSysfs(_ item: MountPlan.Item, _ root: borrowing BoxRoot, _ target: Int32) throws(SystemError) {
    if hasNetworkNamespace || identity.map == nil {
      do throws(SystemError) {
        return try fileSystem("sysfs", item).attach(onto: target)
      } catch  where error.errno == .notPermitted {}
    }
    let host = try DetachedMount.clone("/sys", recursive: true)
    try host.change(
      set: item.options.attributes.union(.readOnly), propagation: .private, recursive: true)
    try host.attach(onto: target)
    let groups = try root.find(item.destination + "/fs/cgroup")
    let nothing = try FileSystemContext("tmpfs")
    try nothing.set("nr_inodes", "2")
    try nothing.mount(item.options.attributes.union(.readOnly)).attach(onto: groups.rawValue)
  }
}
