import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks

/// Names: directories listed, made and left, links, renames.
enum DirectoryCalls {
  static let rows: [CallRow] = [
    CallRow(78, "getdents") { (call, task) throws(Errno) in try list(call, isOld: true, task) },
    CallRow(217, "getdents64") { (call, task) throws(Errno) in try list(call, isOld: false, task) },
    CallRow(83, "mkdir") { (call, task) throws(Errno) in
      try makeDirectory(Call.here, call.arguments.0.address, call.arguments.1.uint32, task)
    },
    CallRow(258, "mkdirat") { (call, task) throws(Errno) in
      try makeDirectory(call.arguments.0, call.arguments.1.address, call.arguments.2.uint32, task)
    },
    CallRow(84, "rmdir") { (call, task) throws(Errno) in
      try remove(Call.here, call.arguments.0.address, PathFlags.removeDirectory, task)
    },
    CallRow(87, "unlink") { (call, task) throws(Errno) in try remove(Call.here, call.arguments.0.address, 0, task) },
    CallRow(263, "unlinkat") { (call, task) throws(Errno) in
      try remove(call.arguments.0, call.arguments.1.address, call.arguments.2.int32, task)
    },
    CallRow(82, "rename") { (call, task) throws(Errno) in
      try rename(Call.here, call.arguments.0.address, Call.here, call.arguments.1.address, 0, task)
    },
    CallRow(264, "renameat") { (call, task) throws(Errno) in
      try rename(
        call.arguments.0, call.arguments.1.address, call.arguments.2, call.arguments.3.address, 0, task)
    },
    CallRow(316, "renameat2", .part("RENAME_WHITEOUT: EINVAL")) { (call, task) throws(Errno) in
      try rename(
        call.arguments.0, call.arguments.1.address, call.arguments.2, call.arguments.3.address,
        call.arguments.4.uint32, task)
    },
    CallRow(86, "link") { (call, task) throws(Errno) in
      try link(Call.here, call.arguments.0.address, Call.here, call.arguments.1.address, 0, task)
    },
    CallRow(265, "linkat") { (call, task) throws(Errno) in
      try link(
        call.arguments.0, call.arguments.1.address, call.arguments.2, call.arguments.3.address,
        call.arguments.4.int32, task)
    },
    CallRow(88, "symlink") { (call, task) throws(Errno) in
      try makeLink(call.arguments.0.address, Call.here, call.arguments.1.address, task)
    },
    CallRow(266, "symlinkat") { (call, task) throws(Errno) in
      try makeLink(call.arguments.0.address, call.arguments.1, call.arguments.2.address, task)
    },
    CallRow(133, "mknod", .part("devices other than the sentry's own cannot be opened: ENXIO")) {
      (call, task) throws(Errno) in
      try makeNode(Call.here, call.arguments.0.address, call.arguments.1.uint32, call.arguments.2.uint32, task)
    },
    CallRow(259, "mknodat", .part("devices other than the sentry's own cannot be opened: ENXIO")) {
      (call, task) throws(Errno) in
      try makeNode(
        call.arguments.0, call.arguments.1.address, call.arguments.2.uint32, call.arguments.3.uint32, task)
    },
    CallRow(79, "getcwd") { (call, task) throws(Errno) in try currentDirectory(call, task) },
    CallRow(80, "chdir") { (call, task) throws(Errno) in
      task.paths.current = try directory(try task.place(Call.here, call.arguments.0.address), task)
      return .zero
    },
    CallRow(81, "fchdir") { (call, task) throws(Errno) in
      guard let place = try task.descriptors.file(call.arguments.0.int32).path else { throw .notDirectory }
      task.paths.current = try directory(place, task)
      return .zero
    },
    CallRow(161, "chroot") { (call, task) throws(Errno) in
      let place = try directory(try task.place(Call.here, call.arguments.0.address), task)
      // CAP_SYS_CHROOT.
      guard task.credentials.has(18) else { throw .notPermitted }
      task.paths.root = place
      // What "/" leads to is not one thing any more.
      task.kernel.board?.turnOff()
      return .zero
    },
    CallRow(95, "umask") { (call, task) throws(Errno) in
      let before = task.paths.umask
      task.paths.umask = call.arguments.0.uint32 & 0o777
      return .value(Int64(before))
    },
  ]

  private static func list(_ call: Call, isOld: Bool, _ task: Task) throws(Errno) -> Outcome {
    let file = try task.descriptors.file(call.arguments.0.int32)
    guard let directory = file as? OpenDirectory else { throw file is PathFile ? .badDescriptor : .notDirectory }
    var records = DirectoryRecords(room: Int(min(call.arguments.2.uint32, 1 << 20)), isOld: isOld)
    let before = directory.position
    try directory.entries(task.caller) { entry in
      records.add(inode: entry.inode, next: entry.next, kind: entry.kind.rawValue, name: entry.name)
    }
    if records.bytes.isEmpty {
      if records.isFull { throw .invalid }
      return .zero
    }
    do throws(Errno) {
      try task.memory.store(records.bytes, at: call.arguments.1.address)
    } catch {
      directory.position = before
      throw error
    }
    return .value(Int64(records.bytes.count))
  }

  private static func makeDirectory(
    _ directory: GuestWord, _ address: GuestAddress, _ mode: UInt32, _ task: Task
  ) throws(Errno) -> Outcome {
    let path = try task.text(address)
    try task.walk.make(.directory, at: path, from: try task.start(directory, path), permissions: mode & 0o1777)
    return .zero
  }

  private static func remove(
    _ directory: GuestWord, _ address: GuestAddress, _ flags: Int32, _ task: Task
  ) throws(Errno) -> Outcome {
    guard flags & ~PathFlags.removeDirectory == 0 else { throw .invalid }
    let path = try task.text(address)
    try task.walk.remove(path, from: try task.start(directory, path), isDirectory: flags != 0)
    return .zero
  }

  private static func rename(
    _ oldDirectory: GuestWord, _ old: GuestAddress, _ newDirectory: GuestWord, _ new: GuestAddress, _ flags: UInt32,
    _ task: Task
  ) throws(Errno) -> Outcome {
    guard flags <= 2 else { throw .invalid }
    let oldPath = try task.text(old)
    try task.walk.rename(
      oldPath, from: try task.start(oldDirectory, oldPath), flags: PathWalk.RenameFlags(rawValue: flags)
    ) { () throws(Errno) in
      let newPath = try task.text(new)
      return (newPath, try task.start(newDirectory, newPath))
    }
    return .zero
  }

  private static func link(
    _ oldDirectory: GuestWord, _ old: GuestAddress, _ newDirectory: GuestWord, _ new: GuestAddress, _ flags: Int32,
    _ task: Task
  ) throws(Errno) -> Outcome {
    guard flags & ~(PathFlags.follow | PathFlags.emptyPath) == 0 else { throw .invalid }
    let oldPath = try task.text(old)
    if oldPath.isEmpty, flags & PathFlags.emptyPath == 0 { throw .noEntry }
    let source: Path?
    let isFile = oldDirectory.int32 != PathFlags.currentDirectory && oldPath.first != UInt8(ascii: "/")
    if isFile, flags & PathFlags.emptyPath != 0 {
      // CAP_DAC_READ_SEARCH, or who it was that opened it (LOOKUP_LINKAT_EMPTY of fs/namei.c).
      let file = try task.descriptors.file(oldDirectory.int32)
      guard file.opener == task.identity || task.credentials.has(2) else { throw .noEntry }
    }
    if oldPath.isEmpty {
      source = isFile ? try task.descriptors.file(oldDirectory.int32).path : task.paths.current
    } else {
      source = try task.walk.find(
        oldPath, from: try task.start(oldDirectory, oldPath), followsLast: flags & PathFlags.follow != 0)
    }
    let path = try task.text(new)
    try task.walk.link(source, at: path, from: try task.start(newDirectory, path))
    return .zero
  }

  private static func makeLink(
    _ text: GuestAddress, _ directory: GuestWord, _ address: GuestAddress, _ task: Task
  ) throws(Errno) -> Outcome {
    let target = try task.text(text)
    guard !target.isEmpty else { throw .noEntry }
    let path = try task.text(address)
    try task.walk.makeLink(target, at: path, from: try task.start(directory, path))
    return .zero
  }

  private static func makeNode(
    _ directory: GuestWord, _ address: GuestAddress, _ mode: UInt32, _ special: UInt32, _ task: Task
  ) throws(Errno) -> Outcome {
    // No type is a regular file (mknod(2)).
    let kind = mode & 0o170000 == 0 ? FileKind.regular : FileKind(mode: mode)
    guard let kind, kind != .symbolicLink else { throw .invalid }
    if kind == .directory { throw .notPermitted }
    let path = try task.text(address)
    try task.walk.make(
      kind, at: path, from: try task.start(directory, path), permissions: mode & 0o7777,
      special: kind == .characterDevice || kind == .blockDevice ? UInt64(special) : 0)
    return .zero
  }

  /// Where a process may stand.
  private static func directory(_ place: Path, _ task: Task) throws(Errno) -> Path {
    guard let inode = place.inode else { throw .noEntry }
    guard inode.kind == .directory else { throw .notDirectory }
    if !inode.fileSystem.isStable { try inode.refresh() }
    try task.credentials.check(.execute, of: inode.attributes)
    return place
  }

  private static func currentDirectory(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let place = task.paths.current
    if place.dentry.isRemoved { throw .noEntry }
    var text = task.paths.namespace.text(of: place, root: task.paths.root)
    if text == nil, let whole = task.paths.namespace.text(of: place, root: task.paths.namespace.root) {
      text = Array("(unreachable)".utf8) + whole
    }
    guard let text else { throw .noEntry }
    guard text.count < 4096 else { throw .nameTooLong }
    guard call.arguments.1.bits > UInt64(text.count) else { throw .range }
    try task.memory.store(text + [0], at: call.arguments.0.address)
    return .value(Int64(text.count) + 1)
  }
}
