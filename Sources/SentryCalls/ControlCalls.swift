import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks

/// fcntl(2) and flock(2).
enum ControlCalls {
  static let rows: [CallRow] = [
    CallRow(
      72, "fcntl",
      .part(
        "F_SETLEASE, F_NOTIFY, F_GET_RW_HINT and its kin: EINVAL; F_SETOWN, F_SETSIG: remembered, no SIGIO; locks bind guests alone"
      ),
      blocksOn: "lock"
    ) { (call, task) throws(Errno) in try control(call, task) },
    CallRow(73, "flock", .part("locks bind guests alone"), blocksOn: "lock") { (call, task) throws(Errno) in
      try flock(call, task)
    },
  ]

  private static func control(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let (number, argument) = (call.arguments.0.int32, call.arguments.2)
    let entry = try task.descriptors.entry(number)
    let file = entry.file
    let command = call.arguments.1.int32
    // Only these know what to do with an O_PATH descriptor.
    if file.flags & OpenFlags.path != 0, ![0, 1, 2, 3, 1030].contains(command) { throw .badDescriptor }
    switch command {
    case 0, 1030:
      let made = try task.descriptors.add(file, closesOnExec: command == 1030, atLeast: argument.int32)
      return .value(Int64(made))
    case 1:
      task.asked(about: file, number)
      return .value(entry.closesOnExec ? 1 : 0)
    case 2:
      if entry.closesOnExec == (argument.bits & 1 != 0) { task.asked(about: file, number) }
      try task.descriptors.setCloseOnExec(number, argument.bits & 1 != 0)
      return .zero
    case 3:
      task.asked(about: file, number)
      return .value(Int64(file.flags))
    case 4:
      // An append-only file of chattr(1) isn't there, so every flag may change, the last one by owners.
      if argument.int32 & ~file.flags & OpenFlags.noAccessTime != 0, let attributes = file.inode?.attributes,
        !task.credentials.owns(attributes)
      {
        throw .notPermitted
      }
      if argument.int32 & OpenFlags.direct != 0 {
        switch file.inode?.kind {
        // A pipe's packets have the same bit (setfl of fs/fcntl.c).
        case .regular, .blockDevice, .fifo: break
        default: throw .invalid
        }
      }
      file.flags = file.flags & ~OpenFlags.settable | argument.int32 & OpenFlags.settable
      return .zero
    case 5, 36: return try LockCalls.ask(file, argument.address, isOpenFile: command == 36, task)
    case 6, 7, 37, 38:
      return try LockCalls.set(
        file, argument.address, isOpenFile: command >= 37, waits: command == 7 || command == 38, task)
    case 8:
      if argument.int32 != 0, !isThere(argument.int32, task) { throw .noProcess }
      file.owner = argument.int32
      return .zero
    case 9: return .value(Int64(file.owner))
    case 15:
      // struct f_owner_ex: thread, process or group.
      let record = try task.memory.bytes(argument.address, count: 8)
      guard record.little32(0) <= 2 else { throw .invalid }
      let id = Int32(bitPattern: record.little32(4))
      file.owner = record.little32(0) == 2 ? 0 &- id : id
      return .zero
    case 16:
      var record: [UInt8] = []
      record.append(little: UInt32(file.owner < 0 ? 2 : 1))
      record.append(little: UInt32(bitPattern: file.owner < 0 ? 0 &- file.owner : file.owner))
      try task.memory.store(record, at: argument.address)
      return .zero
    case 10:
      guard (0...64).contains(argument.int32) else { throw .invalid }
      file.signal = argument.int32
      return .zero
    case 11: return .value(Int64(file.signal))
    case 1031: return .value(try PipeCalls.capacity(of: file, wanted: argument.int32))
    case 1032: return .value(try PipeCalls.capacity(of: file, wanted: nil))
    case 1033:
      try file.addSeals(argument.int32)
      return .zero
    case 1034: return .value(Int64(try file.seals()))
    case 1025: return .value(2)
    case 1026:
      // F_NOTIFY: nothing was asked for, so nothing is to be ended where nothing is asked for (DN_MULTISHOT is a manner, no event).
      if argument.uint32 & 0x7fff_ffff == 0 { return .zero }
      throw file.inode?.kind == .directory ? .invalid : .notDirectory
    default: throw .invalid
    }
  }

  /// Whether F_SETOWN's number is that of a process, or below zero of a group.
  private static func isThere(_ id: Int32, _ task: Task) -> Bool {
    if id > 0 { return task.kernel.tasks[id] != nil || task.kernel.groups[id] != nil }
    return task.kernel.groups.values.contains { $0.processGroup == 0 &- id }
  }

  private static func flock(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let operation = call.arguments.1.int32
    guard [1, 2, 8].contains(operation & ~4) else { throw .invalid }
    let file = try task.descriptors.file(call.arguments.0.int32)
    if file.flags & OpenFlags.path != 0 { throw .badDescriptor }
    guard let inode = file.inode, operation & ~4 == 8 || file.isReadable || file.isWritable else {
      throw .badDescriptor
    }
    let owner = ObjectIdentifier(file)
    switch operation & ~4 {
    case 1, 2:
      do throws(Errno) {
        try inode.fileLocks.lockWhole(owner, isExclusive: operation & ~4 == 2)
        file.holdsLocks = true
      } catch {
        guard error == .again, operation & 4 == 0 else { throw error }
        return task.wait(on: inode.fileLocks.queue)
      }
    case 8: inode.locks?.unlockWhole(owner)
    default: throw .invalid
    }
    return .zero
  }
}
