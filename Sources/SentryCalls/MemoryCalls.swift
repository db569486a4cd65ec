import CLinux
import Linux
import SentryABI
import SentryFiles
import SentryTasks

/// Memory: the host's kernel keeps every guest's address space. The sentry decides which file a mapping is of; the rest is the caller's own
/// memory, and reaches the sentry under the strict policy only.
enum MemoryCalls {
  static let rows: [CallRow] = [
    CallRow(9, "mmap", .part("a shared mapping's writes change no times of its file")) { (call, task) throws(Errno) in
      try map(call, task)
    },
    own(10, "mprotect"), own(11, "munmap"), own(12, "brk"), own(25, "mremap"), own(26, "msync"), own(27, "mincore"),
    own(28, "madvise"), own(149, "mlock"), own(150, "munlock"), own(151, "mlockall"), own(152, "munlockall"),
    own(325, "mlock2"), own(324, "membarrier"),
    // Programs take a refusal; a key that is given and then does not protect is worse.
    CallRow(330, "pkey_alloc", .refused(.noSpace)) { (_, _) throws(Errno) in throw .noSpace },
  ]

  private static func own(_ number: Int32, _ name: String) -> CallRow {
    CallRow(number, name, .native) { (_, _) throws(Errno) in .native }
  }

  /// Where and how much, before the file is looked at.
  private static func check(_ start: UInt64, length: UInt64, offset: UInt64, _ flags: Int32) throws(Errno) {
    if length == 0 { throw .invalid }
    let end: UInt64 = 0x7fff_ffff_f000
    let (rounded, isTooLong) = length.addingReportingOverflow(4095)
    if isTooLong { throw .noMemory }
    let pages = rounded >> 12
    if (offset >> 12) &+ pages > UInt64.max >> 12 { throw .overflow }
    let size = pages << 12
    if size > end { throw .noMemory }
    if flags & (MAP_FIXED | 0x10_0000) != 0 {
      if start > end &- size { throw .noMemory }
      if start & 4095 != 0 { throw .invalid }
    }
  }

  /// A file is put into the process's table of the host's under the number that the guest knows it by, and the call performed as it stands.
  private static func map(_ call: Call, _ task: Task) throws(Errno) -> Outcome {
    let flags = call.arguments.3.int32
    if flags & MAP_ANONYMOUS != 0 { return .native }
    // In the order of ksys_mmap_pgoff and do_mmap (mm/mmap.c).
    guard call.arguments.5.bits & 4095 == 0 else { throw .invalid }
    let number = call.arguments.4.int32
    let file = try task.descriptors.file(number)
    let pathOnly: Int32 = 0o10000000
    if file.flags & pathOnly != 0 { throw .badDescriptor }
    let kind = flags & 0xf
    try check(call.arguments.0.bits, length: call.arguments.1.bits, offset: call.arguments.5.bits, flags)
    guard (1...3).contains(kind) else { throw .invalid }
    guard file.isReadable else { throw .accessDenied }
    let isShared = kind != MAP_PRIVATE
    if isShared, call.arguments.2.int32 & PROT_WRITE != 0, !file.isWritable { throw .accessDenied }
    let isWritable = isShared && file.isWritable
    if task.descriptors.isMirrored(number, isWritable: isWritable) { return .native }
    let descriptor = try file.hostDescriptor(writable: isWritable)
    try task.kernel.host.inject(descriptor, as: number, for: task)
    if let place = file.path, let name = task.paths.namespace.text(of: place, root: task.paths.namespace.root) {
      task.kernel.remember(mapped: descriptor, as: name)
    }
    task.descriptors.mirror(number, isWritable: isWritable)
    return .native
  }
}
