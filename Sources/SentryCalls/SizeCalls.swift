import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks

/// Sizes and what is kept: truncate(2), fallocate(2), fsync(2), hints.
enum SizeCalls {
  static let rows: [CallRow] = [
    CallRow(76, "truncate", .part("RLIMIT_FSIZE")) { (call, task) throws(Errno) in
      guard call.arguments.1.int64 >= 0 else { throw .invalid }
      try task.walk.truncate(try task.place(Call.here, call.arguments.0.address), to: call.arguments.1.int64)
      return .zero
    },
    CallRow(77, "ftruncate", .part("RLIMIT_FSIZE")) { (call, task) throws(Errno) in
      guard call.arguments.1.int64 >= 0 else { throw .invalid }
      let file = try task.descriptors.file(call.arguments.0.int32)
      if file.flags & OpenFlags.path != 0 { throw .badDescriptor }
      guard file.isWritable else { throw .invalid }
      try file.truncate(to: call.arguments.1.int64)
      file.tell(FileEvent.modified)
      return .zero
    },
    CallRow(285, "fallocate", .part("ranges collapsed, zeroed or inserted")) { (call, task) throws(Errno) in
      let (offset, length) = (call.arguments.2.int64, call.arguments.3.int64)
      guard offset >= 0, length > 0 else { throw .invalid }
      let file = try task.descriptors.file(call.arguments.0.int32)
      guard file.isWritable else { throw .badDescriptor }
      guard !offset.addingReportingOverflow(length).overflow else { throw .fileTooBig }
      if file.inode?.kind == .fifo { throw .illegalSeek }
      try file.allocate(call.arguments.1.int32, offset, length)
      file.tell(FileEvent.modified)
      return .zero
    },
    CallRow(74, "fsync") { (call, task) throws(Errno) in try synchronize(call, task) },
    CallRow(75, "fdatasync") { (call, task) throws(Errno) in try synchronize(call, task) },
    CallRow(162, "sync") { (call, task) throws(Errno) in
      for mount in task.paths.namespace.mounts { try mount.root.inode?.fileSystem.synchronize() }
      return .zero
    },
    CallRow(306, "syncfs") { (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      if file.flags & OpenFlags.path != 0 { throw .badDescriptor }
      try file.inode?.fileSystem.synchronize()
      return .zero
    },
    CallRow(277, "sync_file_range") { (call, task) throws(Errno) in
      guard call.arguments.3.uint32 & ~7 == 0, call.arguments.1.int64 >= 0, call.arguments.2.int64 >= 0 else {
        throw .invalid
      }
      let file = try task.descriptors.file(call.arguments.0.int32)
      switch file.inode?.kind {
      case .regular, .directory, .blockDevice, .symbolicLink: break
      default: throw .illegalSeek
      }
      if file.inode?.kind == .regular { try file.synchronize() }
      return .zero
    },
    CallRow(221, "fadvise64") { (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      if file.flags & OpenFlags.path != 0 { throw .badDescriptor }
      if file.inode?.kind == .fifo { throw .illegalSeek }
      guard call.arguments.2.int64 >= 0, call.arguments.3.uint32 <= 5 else { throw .invalid }
      return .zero
    },
    CallRow(187, "readahead") { (call, task) throws(Errno) in
      let file = try task.descriptors.file(call.arguments.0.int32)
      guard file.isReadable else { throw .badDescriptor }
      guard file.inode?.kind == .regular else { throw .invalid }
      return .zero
    },
  ]

  private static func synchronize(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let file = try task.descriptors.file(call.arguments.0.int32)
    if file.flags & OpenFlags.path != 0 { throw .badDescriptor }
    if file.inode?.kind == .directory { return .zero }
    try file.synchronize()
    return .zero
  }
}
