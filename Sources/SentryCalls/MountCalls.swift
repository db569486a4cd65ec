import CLinux
import Linux
import SentryABI
import SentryFileSystems
import SentryFiles
import SentryMemory
import SentryTasks

/// Mounts by guests that have CAP_SYS_ADMIN among themselves: of the sentry's own file systems, and of parts of the tree once more. Nothing of
/// it reaches the host.
enum MountCalls {
  static let rows: [CallRow] = [
    CallRow(
      165, "mount",
      .part(
        "only tmpfs, ramfs, proc, sysfs, devpts, mqueue; others: ENODEV; propagation is always private; remounting changes flags only"
      )
    ) { (call, task) throws(Errno) in try mount(call, task) },
    CallRow(166, "umount2", .part("MNT_EXPIRE: EINVAL")) { (call, task) throws(Errno) in try unmount(call, task) },
    CallRow(155, "pivot_root") { (call, task) throws(Errno) in try pivot(call, task) },
  ]

  /// MS_* of mount(2).
  private enum Flag {
    static let remount: UInt64 = 32
    static let bind: UInt64 = 4096
    static let move: UInt64 = 8192
    static let recursive: UInt64 = 16384
    /// MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED.
    static let propagation: UInt64 = 0xf << 17
    /// What stays with a mount: MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME.
    static let kept: UInt64 = 1 | 2 | 4 | 8 | 1024
  }

  private static func mount(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let magic: UInt64 = 0xc0ed_0000
    var flags = call.arguments.3.bits & 0xffff_ffff
    if flags & 0xffff_0000 == magic { flags &= 0xffff }
    let kind = call.arguments.2.address.isNull ? [] : try task.text(call.arguments.2.address)
    let source = call.arguments.0.address.isNull ? [] : try task.text(call.arguments.0.address)
    let options = call.arguments.4.address.isNull ? [] : try task.text(call.arguments.4.address)
    let place = try task.walk.find(try task.text(call.arguments.1.address))
    try allow(task)
    let namespace = task.paths.namespace
    let kept = MountFlags(rawValue: flags & Flag.kept)
    if flags & Flag.remount != 0 {
      try checkMounted(place, namespace)
      // What bounds a tmpfs stays.
      if flags & Flag.bind == 0, !options.isEmpty { throw .invalid }
      namespace.remount(place.mount, flags: kept)
    } else if flags & Flag.bind != 0 {
      let from = try task.walk.find(source)
      guard namespace.isMounted(from.mount) else { throw .invalid }
      if flags & Flag.recursive != 0 {
        try namespace.bindAll(from, on: place)
      } else {
        try namespace.bind(from, on: place, flags: from.mount.flags)
      }
    } else if flags & Flag.propagation != 0 {
      try checkMounted(place, namespace)
    } else if flags & Flag.move != 0 {
      try namespace.move(try task.walk.find(source), to: place)
    } else {
      guard !kind.isEmpty else { throw .invalid }
      guard place.inode?.kind == .directory else { throw .notDirectory }
      try namespace.mount(try make(kind, options, task), on: place, flags: kept)
    }
    return .zero
  }

  private static func make(_ kind: [UInt8], _ options: [UInt8], _ task: Task) throws(Errno) -> Inode {
    let name = String(decoding: kind, as: UTF8.self)
    if name == "tmpfs" || name == "ramfs" {
      // Half of what the sandbox may have, as Linux gives half of the machine's.
      let limit = (task.kernel.memoryLimit ?? 2 << 30) / 2
      var wanted = TemporaryOptions()
      for option in options.split(separator: UInt8(ascii: ",")) { try wanted.take(Array(option)) }
      return MemoryFileSystem.tree(
        limit: min(wanted.size ?? limit, limit), permissions: wanted.permissions, user: wanted.user, group: wanted.group
      )
    }
    guard let inode = try task.kernel.fileSystem?(name) else { throw .noDevice }
    return inode
  }

  private static func allow(_ task: Task) throws(Errno) {
    if !task.credentials.has(Capability.administer) { throw .notPermitted }
  }

  private static func checkMounted(_ place: Path, _ namespace: MountNamespace) throws(Errno) {
    guard place.dentry === place.mount.root, namespace.isMounted(place.mount) else { throw .invalid }
  }

  private static func unmount(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (detach, noFollow, flags): (UInt32, UInt32, UInt32) = (2, 8, call.arguments.1.uint32)
    // MNT_FORCE is for file systems far away.
    guard flags & ~(detach | noFollow | 1) == 0 else { throw .invalid }
    let path = try task.text(call.arguments.0.address)
    let namespace = task.paths.namespace
    let place = namespace.uppermost(try task.walk.find(path, followsLast: flags & noFollow == 0))
    try allow(task)
    try checkMounted(place, namespace)
    if flags & detach != 0 {
      // The root of a namespace goes with it only.
      try namespace.detach(place)
    } else {
      if task.kernel.isInUse(place.mount) { throw .busy }
      try namespace.unmount(place)
    }
    return .zero
  }

  private static func pivot(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    try allow(task)
    let new = try task.walk.find(try task.text(call.arguments.0.address))
    let put = try task.walk.find(try task.text(call.arguments.1.address))
    guard new.inode?.kind == .directory, put.inode?.kind == .directory else { throw .notDirectory }
    let old = task.paths.root
    task.kernel.board?.turnOff()
    try task.paths.namespace.pivot(from: old, to: new, place: put)
    // Who stood in the old root stands in the new one (chroot_fs_refs, fs/fs_struct.c).
    for each in task.kernel.tasks.values where each.paths.namespace === task.paths.namespace {
      if each.paths.root == old { each.paths.root = new }
      if each.paths.current == old { each.paths.current = new }
    }
    return .zero
  }
}

extension Kernel {
  /// Whether a task stands in a mount or has a file of it open.
  fileprivate func isInUse(_ mount: SentryFiles.Mount) -> Bool {
    tasks.values.contains { task in
      task.paths.current.mount === mount || task.paths.root.mount === mount || task.group.executable?.mount === mount
        || task.descriptors.numbers.contains { number in
          var file: OpenFile?
          do throws(Errno) { file = try task.descriptors.file(number) } catch {}
          return file?.path?.mount === mount
        }
    }
  }
}
