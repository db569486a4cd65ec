import CLinux
package import Formats
package import Linux
package import Walls

/// The box's /dev: the few nodes that every program may have, the links that programs expect, and nothing of the host's.
package struct DeviceTree {
  package struct Node: Equatable {
    var path: String
    var type = DeviceConfiguration.Kind.character
    var major: UInt32
    var minor: UInt32
    var mode: UInt32 = 0o666
    /// Inside the box.
    var user: UInt32 = 0
    var group: UInt32 = 0
    var device: UInt64 { immure_makedev(major, minor) }
    var kind: UInt32 {
      switch type {
      case .character: UInt32(S_IFCHR)
      case .block: UInt32(S_IFBLK)
      case .fifo: UInt32(S_IFIFO)
      }
    }
  }
  /// runtime-spec config-linux.md, "Default Devices" (numbers: Documentation/admin-guide/devices.txt).
  package static let standard: [Node] = [
    Node(path: "null", major: 1, minor: 3), Node(path: "zero", major: 1, minor: 5),
    Node(path: "full", major: 1, minor: 7), Node(path: "random", major: 1, minor: 8),
    Node(path: "urandom", major: 1, minor: 9), Node(path: "tty", major: 5, minor: 0),
  ]

  package let nodes: [Node]
  /// Of the file system that they are in.
  private var attributes: MountAttributes
  private var data: [String]
  private var isReadOnly = false
  /// Whether shm is everybody's own folder in it and the standard nodes stay root's: for a box that has one user who is not root.
  package var isCommon = false
  /// Made by the parent as root, with real nodes; nil where the child makes it of bind mounts.
  package private(set) var made: Int32?

  /// The parent's copy of what it made.
  package func close() {
    if let made { _ = FileDescriptor(owning: made) }
  }

  package init(_ configuration: RuntimeConfiguration) throws(WallError) {
    var nodes = Self.standard
    for device in configuration.devices {
      guard device.path.hasPrefix("/dev/"), !device.path.split(separator: "/").contains("..") else {
        throw WallError("device \(device.path): its path must be below /dev")
      }
      let path = String(device.path.dropFirst(5))
      // Always a link to the multiplexer of the box's own devpts (config-linux.md, "Default Devices"): the host's would hand out
      // terminals of the host.
      if path == "ptmx" { continue }
      nodes.removeAll { $0.path == path }
      nodes.append(
        Node(
          path: path, type: device.kind, major: device.major, minor: device.minor, mode: device.mode & 0o777,
          user: device.user, group: device.group))
    }
    self.nodes = nodes
    made = nil
    attributes = [.noSetUserID, .noExecute]
    data = ["size=64k", "mode=755"]
    if let mount = configuration.mounts.last(where: { $0.destination == "/dev" && $0.type == "tmpfs" }) {
      let options = try MountOptions(mount)
      attributes = options.attributes.subtracting([.readOnly, .noDevices]).union(.noSetUserID)
      isReadOnly = options.attributes.contains(.readOnly)
      data = options.data
    }
  }

  /// The same, with what the parent made and sent.
  package func with(made: Int32) -> DeviceTree {
    var tree = self
    tree.made = made
    return tree
  }

  private func fileSystem(owner: (user: UInt32, group: UInt32)) throws(SystemError) -> DetachedMount {
    let context = try FileSystemContext("tmpfs")
    for option in data {
      let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
      if parts.count == 2 { try context.set(parts[0], parts[1]) } else { try context.set(option) }
    }
    if owner.user != 0 || owner.group != 0, !isCommon {
      try context.set("uid", "\(owner.user)")
      try context.set("gid", "\(owner.group)")
    }
    return try context.mount(attributes)
  }

  /// As root: a file system of the host's own, so that its nodes work in a box that could not have made them, owned by the
  /// box's root. Nil where making nodes is refused (a container around us).
  package func make(owner: (user: UInt32, group: UInt32)) throws(WallError) -> DeviceTree? {
    let mask = Identity.setUmask(0)
    defer { Identity.setUmask(mask) }
    do throws(SystemError) {
      let mount = try fileSystem(owner: owner)
      let folder = mount.descriptor.rawValue
      for node in nodes {
        try makeParents(of: node.path, at: folder)
        do throws(SystemError) {
          try File.makeNode(node.path, mode: node.kind | node.mode, device: node.device, at: folder)
        } catch  where error.errno == .notPermitted {
          return nil
        }
        let (user, group) = (owner.user &+ node.user, owner.group &+ node.group)
        if user != 0 || group != 0, !(isCommon && Self.standard.contains(node)) {
          try File.changeOwner(node.path, user: user, group: group, at: folder)
        }
      }
      try makeFixtures(folder)
      try own(folder, owner)
      return with(made: mount.release())
    } catch {
      throw WallError("/dev", error)
    }
  }

  /// Attaches it, made before or now of the host's nodes.
  package func attach(onto target: Int32) throws(SystemError) {
    if let made { return try Mount.attach(made, onto: target) }
    let mount = try fileSystem(owner: (0, 0))
    let folder = mount.descriptor.rawValue
    try mount.attach(onto: target)
    for node in nodes {
      try makeParents(of: node.path, at: folder)
      if node.type == .fifo {
        try File.makeNode(node.path, mode: node.kind | node.mode, device: 0, at: folder)
        continue
      }
      let tree = try hostNode(node)
      let place = try File.open(node.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o666, at: folder)
      try tree.attach(onto: place.rawValue)
    }
    try makeFixtures(folder)
  }

  /// The host's node of that path, if it is the device that it should be.
  private func hostNode(_ node: Node) throws(SystemError) -> DetachedMount {
    let tree = try DetachedMount.clone("/dev/" + node.path, recursive: false)
    let status = try File.status("", at: tree.descriptor.rawValue)
    guard UInt32(status.st_mode) & UInt32(S_IFMT) == node.kind, UInt64(status.st_rdev) == node.device else {
      throw SystemError("open", "/dev/\(node.path): not the device \(node.major):\(node.minor)", .noDevice)
    }
    try tree.change(set: [.noSetUserID, .noExecute], propagation: .private)
    return tree
  }

  private func makeParents(of path: String, at folder: Int32) throws(SystemError) {
    guard let parent = File.parent(of: path) else { return }
    try makeParents(of: parent, at: folder)
    do throws(SystemError) { try File.makeDirectory(parent, at: folder) } catch  where error.errno == .exists {}
  }

  /// Folders and links are the box's root's too.
  private func own(_ folder: Int32, _ owner: (user: UInt32, group: UInt32)) throws(SystemError) {
    if owner.user == 0 && owner.group == 0 || isCommon { return }
    var names = ["pts", "shm", "mqueue", "ptmx", "fd", "stdin", "stdout", "stderr"]
    for node in nodes {
      var parent = File.parent(of: node.path)
      while let path = parent, !path.isEmpty, path != "/" {
        if !names.contains(path) { names.append(path) }
        parent = File.parent(of: path)
      }
    }
    for name in names { try File.changeOwner(name, user: owner.user, group: owner.group, at: folder) }
  }

  private func makeFixtures(_ folder: Int32) throws(SystemError) {
    for name in ["pts", "shm", "mqueue"] {
      try File.makeDirectory(name, mode: isCommon && name == "shm" ? 0o1777 : 0o755, at: folder)
    }
    try File.symlink("pts/ptmx", at: "ptmx", in: folder)
    try File.symlink("/proc/self/fd", at: "fd", in: folder)
    try File.symlink("/proc/self/fd/0", at: "stdin", in: folder)
    try File.symlink("/proc/self/fd/1", at: "stdout", in: folder)
    try File.symlink("/proc/self/fd/2", at: "stderr", in: folder)
  }
}
