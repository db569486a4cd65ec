import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks

/// xattr(7).
enum ExtendedAttributeCalls {
  /// How a call names its file: by a path, by a path whose link is not followed, by a descriptor.
  private enum Named { case path, link, descriptor }
  static let rows: [CallRow] = [
    CallRow(188, "setxattr", extent) { (call, task) throws(Errno) in try set(call, .path, task) },
    CallRow(189, "lsetxattr", extent) { (call, task) throws(Errno) in try set(call, .link, task) },
    CallRow(190, "fsetxattr", extent) { (call, task) throws(Errno) in try set(call, .descriptor, task) },
    CallRow(191, "getxattr", extent) { (call, task) throws(Errno) in try get(call, .path, task) },
    CallRow(192, "lgetxattr", extent) { (call, task) throws(Errno) in try get(call, .link, task) },
    CallRow(193, "fgetxattr", extent) { (call, task) throws(Errno) in try get(call, .descriptor, task) },
    CallRow(194, "listxattr", extent) { (call, task) throws(Errno) in try list(call, .path, task) },
    CallRow(195, "llistxattr", extent) { (call, task) throws(Errno) in try list(call, .link, task) },
    CallRow(196, "flistxattr", extent) { (call, task) throws(Errno) in try list(call, .descriptor, task) },
    CallRow(197, "removexattr", extent) { (call, task) throws(Errno) in try remove(call, .path, task) },
    CallRow(198, "lremovexattr", extent) { (call, task) throws(Errno) in try remove(call, .link, task) },
    CallRow(199, "fremovexattr", extent) { (call, task) throws(Errno) in try remove(call, .descriptor, task) },
  ]
  private static let extent = CallRow.Extent.part(
    "POSIX access lists: EOPNOTSUPP; in a folder of the host user.* alone")
  private static var largestValue: UInt64 { 65536 }

  private static func place(_ word: GuestWord, _ named: Named, _ task: Task) throws(Errno) -> Path {
    switch named {
    case .path: try task.place(Call.here, word.address)
    case .link: try task.place(Call.here, word.address, flags: PathFlags.noFollow)
    // AT_FDCWD is the current directory, since Linux 6.13 has setxattrat(2).
    case .descriptor: word.int32 == PathFlags.currentDirectory ? task.paths.current : try task.place(of: word)
    }
  }

  /// - Throws: ERANGE for an empty or too long name.
  private static func name(_ address: GuestAddress, _ task: Task) throws(Errno) -> [UInt8] {
    let name: [UInt8]
    do throws(Errno) {
      name = try task.memory.string(address, limit: 256)
    } catch {
      throw error == .nameTooLong ? .range : error
    }
    guard !name.isEmpty else { throw .range }
    return name
  }

  /// Who may see or set one (fs/xattr.c, xattr_permission).
  private static func check(_ name: [UInt8], _ inode: Inode, writes: Bool, _ task: Task) throws(Errno) {
    try checkAccess(name, inode, writes: writes, task)
    // Nothing behind the prefix (xattr_resolve_name of fs/xattr.c).
    if ["user.", "trusted.", "security."].contains(where: { name.elementsEqual($0.utf8) }) { throw .invalid }
  }

  private static func checkAccess(_ name: [UInt8], _ inode: Inode, writes: Bool, _ task: Task) throws(Errno) {
    func starts(_ prefix: String) -> Bool { name.starts(with: Array(prefix.utf8)) }
    let access: FileAccess = writes ? .write : .read
    if starts("user.") {
      guard inode.kind == .regular || inode.kind == .directory else { throw writes ? .notPermitted : .noData }
      let isSticky = inode.kind == .directory && inode.attributes.permissions & 0o1000 != 0
      if writes, isSticky, !task.credentials.owns(inode.attributes) { throw .notPermitted }
      return try task.credentials.check(access, of: inode.attributes)
    }
    if starts("trusted.") {
      // CAP_SYS_ADMIN.
      guard task.credentials.has(21) else { throw writes ? .notPermitted : .noData }
      return
    }
    if name == FileCapabilities.attribute, writes {
      guard task.credentials.has(Capability.setFileCapabilities) else { throw .notPermitted }
      return
    }
    if starts("security.") {
      if writes, !task.credentials.has(21) { throw .notPermitted }
      return
    }
    if !starts("system.") { try task.credentials.check(access, of: inode.attributes) }
    // POSIX access lists and whatever else there may be are nowhere.
    throw .notSupported
  }

  private static func get(_ call: Call, _ named: Named, _ task: Task) throws(Errno) -> Outcome {
    let name = try name(call.arguments.1.address, task)
    let place = try place(call.arguments.0, named, task)
    guard let inode = place.inode else { throw .noEntry }
    try check(name, inode, writes: false, task)
    return try give(try inode.extendedAttribute(name), call.arguments.2.address, call.arguments.3, task)
  }

  /// - Throws: ERANGE where there is less room; none at all asks for the size.
  private static func give(
    _ bytes: [UInt8], _ address: GuestAddress, _ room: GuestWord, _ task: Task
  ) throws(Errno) -> Outcome {
    if room.bits != 0 {
      guard UInt64(bytes.count) <= room.bits else { throw .range }
      try task.memory.store(bytes, at: address)
    }
    return .value(Int64(bytes.count))
  }

  private static func list(_ call: Call, _ named: Named, _ task: Task) throws(Errno) -> Outcome {
    guard let inode = try place(call.arguments.0, named, task).inode else { throw .noEntry }
    var bytes: [UInt8] = []
    for name in try inode.extendedAttributeNames() {
      if name.starts(with: Array("trusted.".utf8)), !task.credentials.has(21) { continue }
      bytes += name + [0]
    }
    return try give(bytes, call.arguments.1.address, call.arguments.2, task)
  }

  private static func set(_ call: Call, _ named: Named, _ task: Task) throws(Errno) -> Outcome {
    let flags = call.arguments.4.int32
    guard flags & ~3 == 0 else { throw .invalid }
    let name = try name(call.arguments.1.address, task)
    guard call.arguments.3.bits <= largestValue, let size = call.arguments.3.size else { throw .tooBig }
    let value = size == 0 ? [] : try task.memory.bytes(call.arguments.2.address, count: size)
    let inode = try task.walk.writable(try place(call.arguments.0, named, task))
    try check(name, inode, writes: true, task)
    if name == FileCapabilities.attribute, !FileCapabilities.isWellFormed(value) { throw .invalid }
    try inode.setExtendedAttribute(name, value, creates: flags & 1 != 0, replaces: flags & 2 != 0)
    inode.watchers?.happened(FileEvent.attributes, name: nil, cookie: 0)
    return .zero
  }

  private static func remove(_ call: Call, _ named: Named, _ task: Task) throws(Errno) -> Outcome {
    let name = try name(call.arguments.1.address, task)
    let inode = try task.walk.writable(try place(call.arguments.0, named, task))
    try check(name, inode, writes: true, task)
    try inode.removeExtendedAttribute(name)
    inode.watchers?.happened(FileEvent.attributes, name: nil, cookie: 0)
    return .zero
  }
}
