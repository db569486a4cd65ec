import Linux
import SentryABI
public import SentryFiles
public import SentryTasks

/// proc(5): what the sentry knows of its guests, as files.
public final class ProcFileSystem: PseudoFileSystem {
  let kernel: Kernel
  private init(_ kernel: Kernel) {
    self.kernel = kernel
    super.init(type: "proc", magic: 0x9fa0)
  }

  /// A tree to be mounted at /proc.
  public static func tree(_ kernel: Kernel) -> Inode { ProcRoot(ProcFileSystem(kernel)) }
}

/// /proc itself: processes by number, and files about the machine.
final class ProcRoot: PseudoDirectory {
  private let system: ProcFileSystem
  private let fixed: FixedDirectory

  init(_ system: ProcFileSystem) {
    self.system = system
    fixed = FixedDirectory(system)
    super.init(system, number: 1)
    MachineFiles.add(to: fixed, system)
    fixed.add("sys", KernelSettings.tree(system))
    fixed.add("sysvipc", SystemVFiles.tree(system))
    fixed.add(
      "self",
      GeneratedLink(system) { (caller) throws(Errno) in
        guard caller.process > 0 else { throw .noEntry }
        return .text(Text.number(caller.process))
      })
    fixed.add(
      "thread-self",
      GeneratedLink(system) { (caller) throws(Errno) in
        guard caller.process > 0 else { throw .noEntry }
        return .text(Text.number(caller.process) + Array("/task/".utf8) + Text.number(caller.thread))
      })
    for (name, target) in [("mounts", "self/mounts"), ("net", "self/net")] {
      fixed.add(name, GeneratedLink(system) { (_) throws(Errno) in .text(Array(target.utf8)) })
    }
  }

  override func lookup(_ name: [UInt8], _ caller: FileCaller) throws(Errno) -> Inode? {
    if let id = Text.number(name) {
      // A thread's number leads to its directory too, though none lists it.
      guard let task = system.kernel.shown(id), !system.kernel.isGone(task.group)
      else { return nil }
      return ProcessDirectory(system, Subject(task), isThread: false)
    }
    return try fixed.lookup(name, caller)
  }

  override func create(_ name: [UInt8], _ file: NewFile) throws(Errno) -> Inode { throw .noEntry }

  override func list(_ caller: FileCaller) throws(Errno) -> [DirectoryEntry] {
    var entries = try fixed.list(caller)
    let first = Int64(entries.count) + 3
    for id in system.kernel.groups.keys.sorted() {
      guard let task = system.kernel.shown(id), !system.kernel.isGone(task.group) else { continue }
      entries.append(
        DirectoryEntry(name: Text.number(id), inode: Subject(task).number(0), kind: .directory, next: first + Int64(id))
      )
    }
    return entries
  }
}

/// The thread that a file of proc is about: by its number, and by the time when its process began, so that a file that stays open does not
/// come to speak of another process.
struct Subject {
  let kernel: Kernel
  let id: Int32
  let began: UInt64

  init(_ task: Task) {
    kernel = task.kernel
    id = task.id
    began = task.group.traits.startTime
  }

  /// - Throws: ESRCH where it has ended.
  func task() throws(Errno) -> Task {
    guard let task = kernel.shown(id), task.group.traits.startTime == began, !kernel.isGone(task.group) else {
      throw .noProcess
    }
    return task
  }

  /// - Parameter file: which of its files, below 2^18.
  func number(_ file: UInt64) -> UInt64 {
    (began & 0xff_ffff) << 40 | UInt64(UInt32(bitPattern: id) & 0x3f_ffff) << 18 | (file & 0x3_ffff)
  }

  /// What ptrace(2) may read, these files may tell (ptrace_may_access, PTRACE_MODE_READ_FSCREDS).
  /// - Throws: EACCES, ESRCH.
  func inspected(by caller: FileCaller) throws(Errno) -> Task {
    let task = try task()
    if let other = caller.task as? Task, other.group === task.group { return task }
    // It is about to be more than that.
    if kernel.host.isGaining(task.group) { throw .accessDenied }
    let (mine, its) = (caller.credentials, task.credentials)
    if mine.has(19) { return task }
    let isSame =
      [its.user, its.effectiveUser, its.savedUser].allSatisfy { $0 == mine.fileUser }
      && [its.group, its.effectiveGroup, its.savedGroup].allSatisfy { $0 == mine.fileGroup }
    guard isSame, task.group.traits.isDumpable, its.permitted & ~mine.effective == 0 else { throw .accessDenied }
    return task
  }

  /// Whom its files belong to (task_dump_owner, fs/proc/base.c).
  var owner: (user: UInt32, group: UInt32) {
    guard let task = kernel.shown(id), task.group.traits.isDumpable else { return (0, 0) }
    return (task.credentials.effectiveUser, task.credentials.effectiveGroup)
  }
}

/// Text of numbers.
enum Text {
  static func number(_ value: Int32) -> [UInt8] { Array(String(value).utf8) }

  /// A decimal number as a name: no sign, no zero in front.
  static func number(_ name: [UInt8]) -> Int32? {
    guard let first = name.first, first != 0x30 || name.count == 1, name.count <= 10 else { return nil }
    var value: Int64 = 0
    for digit in name {
      guard digit >= 0x30, digit <= 0x39 else { return nil }
      value = value * 10 + Int64(digit - 0x30)
    }
    return Int32(exactly: value)
  }

  /// As proc writes names in lists: blanks and backslashes in octal (mangle, fs/proc_namespace.c).
  static func escaped(_ name: [UInt8], _ special: [UInt8] = [0x20, 0x09, 0x0a, 0x5c]) -> [UInt8] {
    var text: [UInt8] = []
    for byte in name {
      if special.contains(byte) {
        text += [0x5c, 0x30 + byte >> 6, 0x30 + (byte >> 3 & 7), 0x30 + (byte & 7)]
      } else {
        text.append(byte)
      }
    }
    return text
  }

  static func hexadecimal(_ value: UInt64, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }
}
