import CLinux
package import Linux

/// What a box sees at /sys/fs/cgroup: its own group of each hierarchy and nothing beside or above it, whichever versions the host has.
///
/// Each is a bind mount of the group's own folder, so that it shows the box's group also where there is no cgroup namespace, and a root
/// group's files (release_agent, CVE-2022-0492) are out of reach.
package struct CgroupMount {
  package let cgroup: Cgroup?
  package let attributes: MountAttributes

  package init(cgroup: Cgroup?, attributes: MountAttributes) {
    self.cgroup = cgroup
    self.attributes = attributes
  }

  /// Nothing where the box stands in no group of its own.
  package func attach(onto target: Int32) throws(SystemError) {
    guard let cgroup, let first = cgroup.places.first else { return }
    if cgroup.places.count == 1, first.isUnified { return try bind(first.path, onto: target) }
    let memory = try FileSystemContext("tmpfs")
    try memory.set("mode", "755")
    let folders = try memory.mount(attributes.subtracting(.readOnly))
    let base = folders.descriptor.rawValue
    try folders.attach(onto: target)
    var hierarchies: [(name: String, device: UInt64, inode: UInt64)] = []
    for place in cgroup.places {
      let name = place.controller?.rawValue ?? "unified"
      let status = try File.status(place.path)
      let (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
      if let same = hierarchies.first(where: { $0.device == device && $0.inode == inode }) {
        // Controllers that are mounted together (cpu and cpuacct).
        try File.symlink(same.name, at: name, in: base)
        continue
      }
      hierarchies.append((name, device, inode))
      try File.makeDirectory(name, at: base)
      let folder = try File.open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW, at: base)
      try bind(place.path, onto: folder.rawValue)
    }
    if attributes.contains(.readOnly) { try folders.change(set: .readOnly) }
  }

  private func bind(_ path: String, onto target: Int32) throws(SystemError) {
    let mount = try DetachedMount.clone(path, recursive: false)
    try mount.change(set: attributes, propagation: .private)
    try mount.attach(onto: target)
  }
}
