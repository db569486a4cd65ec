import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentrySignals
import SentryTasks

/// Sizes and what is kept: truncate(2), fallocate(2), fsync(2), hints.
enum SizeCalls {
  static let rows: [CallRow] = [
    CallRow(76, "truncate") { (call, task) throws(Errno) in
      guard call.arguments.1.int64 >= 0 else { throw .invalid }
      let place = try task.place(Call.here, call.arguments.0.address)
      try task.walk.mayTruncate(place)
      try task.checkFileSize(call.arguments.1.int64, of: place.inode)
      try task.walk.truncate(place, to: call.arguments.1.int64)
      return .zero
    },
    CallRow(77, "ftruncate") { (call, task) throws(Errno) in
      guard call.arguments.1.int64 >= 0 else { throw .invalid }
      let file = try task.descriptors.opened(call.arguments.0.int32)
      guard file.isWritable else { throw .invalid }
      if file.inode?.kind == .regular { try task.checkFileSize(call.arguments.1.int64, of: file.inode) }
      try file.truncate(to: call.arguments.1.int64)
      file.tell(FileEvent.modified)
      return .zero
    },
    CallRow(285, "fallocate", .part("files in memory: FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE, others EOPNOTSUPP"))
    { (call, task) throws(Errno) in
      // In the order of vfs_fallocate (fs/open.c).
      let (offset, length) = (call.arguments.2.int64, call.arguments.3.int64)
      let file = try task.descriptors.opened(call.arguments.0.int32)
      guard offset >= 0, length > 0 else { throw .invalid }
      try checkMode(call.arguments.1.int32)
      guard file.isWritable else { throw .badDescriptor }
      switch file.inode?.kind {
      case .fifo: throw .illegalSeek
      case .directory: throw .isDirectory
      case .regular, .blockDevice: break
      default: throw .noDevice
      }
      let (end, overflow) = offset.addingReportingOverflow(length)
      if overflow { throw .fileTooBig }
      if call.arguments.1.int32 & ~1 == 0 { try task.checkFileSize(end, of: file.inode) }
      try file.allocate(call.arguments.1.int32, offset, length)
      file.tell(FileEvent.modified)
      return .zero
    },
    CallRow(74, "fsync", .part("of a directory: without effect; of a standard stream: EINVAL")) {
      (call, task) throws(Errno) in
      try synchronize(call, task)
    },
    CallRow(75, "fdatasync", .part("of a directory: without effect; of a standard stream: EINVAL")) {
      (call, task) throws(Errno) in
      try synchronize(call, task)
    },
    CallRow(162, "sync") { (call, task) throws(Errno) in
      for mount in task.paths.namespace.mounts { try mount.root.inode?.fileSystem.synchronize() }
      return .zero
    },
    CallRow(306, "syncfs") { (call, task) throws(Errno) in
      let file = try task.descriptors.opened(call.arguments.0.int32)
      try file.inode?.fileSystem.synchronize()
      return .zero
    },
    CallRow(277, "sync_file_range", .part("the whole file is written out")) { (call, task) throws(Errno) in
      let file = try task.descriptors.opened(call.arguments.0.int32)
      let (offset, length) = (call.arguments.1.int64, call.arguments.2.int64)
      guard call.arguments.3.uint32 & ~7 == 0, offset >= 0, length >= 0, offset &+ length >= 0 else { throw .invalid }
      switch file.inode?.kind {
      case .regular, .directory, .blockDevice, .symbolicLink: break
      default: throw .illegalSeek
      }
      if file.inode?.kind == .regular { try file.synchronize() }
      return .zero
    },
    CallRow(221, "fadvise64", .part("without effect")) { (call, task) throws(Errno) in
      let file = try task.descriptors.opened(call.arguments.0.int32)
      if file.inode?.kind == .fifo { throw .illegalSeek }
      guard call.arguments.2.int64 >= 0, call.arguments.3.uint32 <= 5 else { throw .invalid }
      return .zero
    },
    CallRow(187, "readahead", .part("without effect")) { (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      guard file.isReadable else { throw .badDescriptor }
      guard file.inode?.kind == .regular else { throw .invalid }
      return .zero
    },
  ]

  /// FALLOC_FL_*: one thing at a time, and whether the size stays where it must (linux/falloc.h).
  private static func checkMode(_ mode: Int32) throws(Errno) {
    let (keepsSize, kind) = (mode & 1 != 0, mode & ~1)
    switch kind {
    case 0, 0x10, 0x40: break
    case 2: if !keepsSize { throw .notSupported }
    case 8, 0x20, 0x80: if keepsSize { throw .notSupported }
    default: throw .notSupported
    }
  }

  private static func synchronize(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let file = try task.descriptors.opened(call.arguments.0.int32)
    if file.inode?.kind == .directory { return .zero }
    try file.synchronize()
    return .zero
  }
}

extension Task {
  /// RLIMIT_FSIZE for a file that is to grow to a size (inode_newsize_ok of fs/attr.c): SIGXFSZ and EFBIG.
  func checkFileSize(_ size: Int64, of inode: Inode?) throws(Errno) {
    guard let inode else { return }
    if !inode.fileSystem.isStable { try inode.refresh() }
    guard size > inode.attributes.size, size > Int64(clamping: group.limits[Limits.fileSize].soft) else { return }
    raise(Signal.fileSize)
    throw .fileTooBig
  }
}
