import CLinux
import Linux
import SentryABI
import SentryEvents
import SentryFiles
import SentryMemory
import SentryTasks

/// inotify(7).
enum FileWatchCalls {
  static let rows: [CallRow] = [
    CallRow(253, "inotify_init") { (call, task) throws(Errno) in try create(0, task) },
    CallRow(294, "inotify_init1") { (call, task) throws(Errno) in try create(call.arguments.0.int32, task) },
    CallRow(254, "inotify_add_watch", .part("what others do to a folder of the host is not told")) {
      (call, task) throws(Errno) in
      // Who watches sees reads, which then must all come here.
      defer { task.kernel.board?.change() }
      return try add(call, task)
    },
    CallRow(255, "inotify_rm_watch") { (call, task) throws(Errno) in
      try file(call, task).unwatch(call.arguments.1.int32)
      return .zero
    },
  ]

  private static func create(_ flags: Int32, _ task: Task) throws(Errno) -> Outcome {
    guard flags & ~(O_CLOEXEC | O_NONBLOCK) == 0 else { throw .invalid }
    let file = try FileWatchFile.make(flags: flags & O_NONBLOCK)
    file.path = task.kernel.unnamed.other("anon_inode:inotify")
    return try task.install(file, closesOnExec: flags & O_CLOEXEC != 0)
  }

  private static func file(_ call: Call, _ task: Task) throws(Errno) -> FileWatchFile {
    guard let file = try task.descriptors.opened(call.arguments.0.int32) as? FileWatchFile else { throw .invalid }
    return file
  }

  private static func add(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let mask = call.arguments.2.uint32
    // At least one event; nothing unknown; adding to a watch and making it excludes one another.
    guard mask & 0xf700_efff != 0 else { throw .invalid }
    _ = try task.descriptors.opened(call.arguments.0.int32)
    guard mask & 0x3000_0000 != 0x3000_0000 else { throw .invalid }
    let watches = try file(call, task)
    let walk = task.walk
    let place = try walk.find(
      try task.memory.string(call.arguments.1.address), from: nil, followsLast: mask & 0x0200_0000 == 0)
    guard let inode = place.inode else { throw .noEntry }
    if mask & 0x0100_0000 != 0, inode.kind != .directory { throw .notDirectory }
    try task.credentials.check(.read, of: inode.attributes)
    return .value(Int64(try watches.watch(inode, mask)))
  }
}
