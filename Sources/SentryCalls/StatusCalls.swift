import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks

/// What files are: the stat family, access(2), readlink(2), statfs(2).
enum StatusCalls {
  static let rows: [CallRow] = [
    CallRow(4, "stat") { (call, task) throws(Errno) in
      try status(try task.place(Call.here, call.arguments.0.address), call.arguments.1.address, task)
    },
    CallRow(5, "fstat") { (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      try task.memory.store(try record(of: file).kernelStatus, at: call.arguments.1.address)
      task.askedStatus(of: file, call.arguments.0.int32)
      return .zero
    },
    CallRow(6, "lstat") { (call, task) throws(Errno) in
      let place = try task.place(Call.here, call.arguments.0.address, flags: PathFlags.noFollow)
      return try status(place, call.arguments.1.address, task)
    },
    CallRow(262, "newfstatat") { (call, task) throws(Errno) in
      let record = try status(call.arguments.0, call.arguments.1.address, call.arguments.3.int32, task).record
      try task.memory.store(record.kernelStatus, at: call.arguments.2.address)
      return .zero
    },
    CallRow(
      332, "statx",
      .part("stx_attributes but for STATX_ATTR_MOUNT_ROOT; STATX_DIOALIGN, STATX_MNT_ID_UNIQUE, STATX_SUBVOL")
    ) { (call, task) throws(Errno) in try statx(call, task) },
    CallRow(21, "access") { (call, task) throws(Errno) in
      try access(Call.here, call.arguments.0.address, call.arguments.1.uint32, flags: 0, task)
    },
    CallRow(269, "faccessat") { (call, task) throws(Errno) in
      try access(call.arguments.0, call.arguments.1.address, call.arguments.2.uint32, flags: 0, task)
    },
    CallRow(439, "faccessat2") { (call, task) throws(Errno) in
      try access(
        call.arguments.0, call.arguments.1.address, call.arguments.2.uint32, flags: call.arguments.3.int32, task)
    },
    CallRow(89, "readlink") { (call, task) throws(Errno) in
      try readLink(Call.here, call.arguments.0.address, call.arguments.1.address, call.arguments.2.int32, task)
    },
    CallRow(267, "readlinkat") { (call, task) throws(Errno) in
      try readLink(
        call.arguments.0, call.arguments.1.address, call.arguments.2.address, call.arguments.3.int32, task)
    },
    CallRow(137, "statfs") { (call, task) throws(Errno) in
      try fileSystem(try task.place(Call.here, call.arguments.0.address), call.arguments.1.address, task)
    },
    CallRow(138, "fstatfs") { (call, task) throws(Errno) in
      guard let place = try task.descriptors.file(call.arguments.0.int32).path else { throw .notImplemented }
      return try fileSystem(place, call.arguments.1.address, task)
    },
  ]

  // MARK: stat

  static func record(_ inode: Inode) throws(Errno) -> StatusRecord { try inode.status() }

  /// Of an open file; one that has no inode looks like the kernel's anonymous ones.
  private static func record(of file: OpenFile) throws(Errno) -> StatusRecord {
    if let inode = file.inode { return try record(inode) }
    var record = StatusRecord()
    record.mode = 0o600
    return record
  }

  private static func status(_ place: Path, _ address: GuestAddress, _ task: Task) throws(Errno) -> Outcome {
    guard let inode = place.inode else { throw .noEntry }
    try task.memory.store(try record(inode).kernelStatus, at: address)
    return .zero
  }

  private static func status(
    _ directory: GuestWord, _ address: GuestAddress, _ flags: Int32, _ task: Task
  ) throws(Errno) -> (record: StatusRecord, place: Path?) {
    // A descriptor of anything, with or without a path: of flags, nothing more is asked (vfs_fstatat of fs/stat.c).
    let known = PathFlags.noFollow | PathFlags.noAutomount | PathFlags.emptyPath | PathFlags.synchronization
    if flags & PathFlags.emptyPath != 0, directory.int32 >= 0, try isEmpty(address, orWrong: flags & ~known != 0, task)
    {
      let file = try task.descriptors.file(directory.int32)
      task.askedStatus(of: file, directory.int32, empty: address)
      return (try record(of: file), file.path)
    }
    guard flags & ~known == 0 else { throw .invalid }
    let place = try task.place(directory, address, flags: flags, takesNull: true)
    guard let inode = place.inode else { throw .noEntry }
    return (try record(inode), place)
  }

  /// - Parameter orWrong: something else is: a path that cannot be read is not told then.
  private static func isEmpty(_ path: GuestAddress, orWrong: Bool, _ task: Task) throws(Errno) -> Bool {
    if path.isNull { return true }
    do throws(Errno) {
      return try task.memory.load(path, as: UInt8.self) == 0
    } catch {
      throw orWrong ? .invalid : error
    }
  }

  private static func statx(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let flags = call.arguments.2.int32
    guard flags & PathFlags.synchronization != PathFlags.synchronization,
      call.arguments.3.uint32 & 0x8000_0000 == 0
    else { throw .invalid }
    let (record, place) = try status(call.arguments.0, call.arguments.1.address, flags, task)
    let bytes = record.statx(
      mount: place.map { UInt64(UInt32(bitPattern: $0.mount.id)) },
      isMountRoot: place.map { $0.dentry === $0.mount.root } ?? false)
    try task.memory.store(bytes, at: call.arguments.4.address)
    return .zero
  }

  // MARK: access

  private static func access(
    _ directory: GuestWord, _ address: GuestAddress, _ mode: UInt32, flags: Int32, _ task: Task
  ) throws(Errno) -> Outcome {
    guard mode & ~7 == 0, flags & ~(PathFlags.effectiveAccess | PathFlags.noFollow | PathFlags.emptyPath) == 0 else {
      throw .invalid
    }
    let place: Path
    var walk = task.walk
    if flags & PathFlags.effectiveAccess == 0 { walk = PathWalk(task.paths, real(task)) }
    let path = flags & PathFlags.emptyPath != 0 && address.isNull ? [] : try task.text(address)
    if path.isEmpty, flags & PathFlags.emptyPath != 0 {
      place = try task.place(directory, address, flags: flags)
    } else {
      let start = try task.start(directory, path)
      defer { task.asked(for: path, followsLast: flags & PathFlags.noFollow == 0) }
      place = try walk.find(path, from: start, followsLast: flags & PathFlags.noFollow == 0)
    }
    if mode != 0 { try walk.check(FileAccess(rawValue: mode), place) }
    return .zero
  }

  /// Who the caller really is: access(2) asks for a set-user-id program's user.
  private static func real(_ task: Task) -> FileCaller {
    var credentials = task.credentials
    credentials.fileUser = credentials.user
    credentials.fileGroup = credentials.group
    if credentials.securebits & 4 == 0 { credentials.effective = credentials.user == 0 ? credentials.permitted : 0 }
    return FileCaller(credentials: credentials, process: task.group.id, thread: task.id, task: task)
  }

  // MARK: readlink, statfs

  private static func readLink(
    _ directory: GuestWord, _ address: GuestAddress, _ target: GuestAddress, _ size: Int32, _ task: Task
  ) throws(Errno) -> Outcome {
    guard size > 0 else { throw .invalid }
    let path = try task.text(address)
    let place: Path
    if path.isEmpty, directory.int32 != PathFlags.currentDirectory {
      guard let there = try task.descriptors.file(directory.int32).path else { throw .noEntry }
      guard there.inode?.kind == .symbolicLink else { throw .noEntry }
      place = there
    } else {
      defer { task.asked(for: path, followsLast: false) }
      place = try task.walk.find(path, from: try task.start(directory, path), followsLast: false)
    }
    guard let inode = place.inode else { throw .noEntry }
    guard inode.kind == .symbolicLink else { throw .invalid }
    let text: [UInt8]
    switch try inode.readLink(task.caller) {
    case .text(let found): text = found
    case .place(_, let shown): text = shown
    }
    let shown = Array(text.prefix(Int(size)))
    try task.memory.store(shown, at: target)
    return .value(Int64(shown.count))
  }

  private static func fileSystem(_ place: Path, _ address: GuestAddress, _ task: Task) throws(Errno) -> Outcome {
    guard let inode = place.inode else { throw .noEntry }
    let found = try inode.fileSystem.statistics()
    var bytes: [UInt8] = []
    bytes.append(little: UInt64(bitPattern: found.magic))
    bytes.append(little: UInt64(bitPattern: found.blockSize))
    for count in [found.blocks, found.freeBlocks, found.availableBlocks, found.files, found.freeFiles] {
      bytes.append(little: count)
    }
    bytes.append(little: inode.fileSystem.device)
    bytes.append(little: UInt64(bitPattern: found.nameLength))
    bytes.append(little: UInt64(bitPattern: found.blockSize))
    // ST_VALID, then MS_RDONLY and its neighbours, which have the same bits (statfs(2)).
    bytes.append(little: 0x20 | place.mount.flags.rawValue & 0x40f | (place.isReadOnly ? 1 : 0))
    bytes.append(contentsOf: repeatElement(0, count: 32))
    try task.memory.store(bytes, at: address)
    return .zero
  }
}
