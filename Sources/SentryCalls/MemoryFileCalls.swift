import Linux
import SentryABI
import SentryFileSystems
import SentryFiles
import SentryMemory
import SentryTasks

/// memfd_create(2).
enum MemoryFileCalls {
  static let rows: [CallRow] = [
    CallRow(319, "memfd_create", .part("MFD_HUGETLB: EINVAL")) { (call, task) throws(Errno) in try create(call, task) }
  ]
  /// Bytes of all memory files together; what they take counts with the guest's memory.
  private static var limit: UInt64 { 1 << 40 }

  private static func create(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let flags = call.arguments.1.uint32
    // CLOEXEC, ALLOW_SEALING, NOEXEC_SEAL, EXEC (linux/memfd.h); the last two exclude each other.
    guard flags & ~0x1b == 0, flags & 0x18 != 0x18 else { throw .invalid }
    let name: [UInt8]
    do throws(Errno) {
      name = try task.memory.string(call.arguments.0.address, limit: 250)
    } catch {
      throw error == .nameTooLong ? .invalid : error
    }
    let tree = task.paths.namespace.memoryFiles ?? MemoryFileSystem.tree(limit: limit)
    task.paths.namespace.memoryFiles = tree
    let file = try MemoryFileSystem.memoryFile(
      in: tree, name: name, permissions: flags & 8 != 0 ? 0o666 : 0o777, takesSeals: flags & 0xa != 0, task.caller)
    file.flags |= OpenFlags.largeFile
    file.opener = task.identity
    file.retain()
    defer { file.release() }
    // F_SEAL_EXEC.
    if flags & 8 != 0 { try file.addSeals(0x20) }
    return .value(Int64(try task.descriptors.add(file, closesOnExec: flags & 1 != 0)))
  }
}
