import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryTasks

/// /proc/PID/maps and smaps: the host's, with files called as the guest knows them and without what is the sentry's own.
enum Mappings {
  static func maps(_ task: Task) throws(Errno) -> [UInt8] { translate(read(task, "maps"), task.kernel) }
  static func details(_ task: Task) throws(Errno) -> [UInt8] { translate(read(task, "smaps"), task.kernel) }

  private static func read(_ task: Task, _ name: StaticString) -> [UInt8] {
    task.kernel.host.records(task.group.hostID, name, limit: 16 << 20)
  }

  /// - Parameter text: lines of proc_pid_maps(5), each followed by lines of details that begin with a capital letter.
  static func translate(_ text: [UInt8], _ kernel: Kernel) -> [UInt8] {
    var shown: [UInt8] = []
    shown.reserveCapacity(text.count)
    var isShown = true
    for line in text.split(separator: 0x0a) {
      if let first = line.first, first >= 0x41, first <= 0x5a {
        if isShown { shown += line + [0x0a] }
        continue
      }
      let translated = translate(line: line, kernel)
      isShown = translated != nil
      if let translated { shown += translated + [0x0a] }
    }
    return shown
  }

  /// "start-end perms offset major:minor inode   name"
  private static func translate(line: ArraySlice<UInt8>, _ kernel: Kernel) -> [UInt8]? {
    let fields = line.split(separator: 0x20, maxSplits: 5, omittingEmptySubsequences: true)
    guard fields.count >= 5, !isOwn(fields[0]) else { return nil }
    let name = fields.count > 5 ? fields[5].drop { $0 == 0x20 } : []
    guard name.first == 0x2f || name.starts(with: Array("/memfd:".utf8)) else { return [UInt8](line) }
    let numbers = fields[3].split(separator: 0x3a).map { UInt32(String(decoding: $0, as: UTF8.self), radix: 16) ?? 0 }
    guard numbers.count == 2, let inode = UInt64(String(decoding: fields[4], as: UTF8.self)) else { return nil }
    var head: [UInt8] = []
    for field in fields[0..<3] {
      head += field
      head.append(0x20)
    }
    if let known = kernel.mappedNames[HostFile(device: Device.number(numbers[0], numbers[1]), inode: inode)] {
      head += fields[3]
      head.append(0x20)
      head += fields[4]
      return padded(head) + Text.escaped(known, [0x0a])
    }
    return head + Array("00:00 0".utf8)
  }

  /// Where guest/stub.ld puts it: far from all that the host's kernel hands out.
  private static func isOwn(_ range: ArraySlice<UInt8>) -> Bool {
    range.starts(with: Array("500000".utf8)) && range.count == 25
  }

  /// The name begins in column 74.
  private static func padded(_ head: [UInt8]) -> [UInt8] {
    head + [UInt8](repeating: 0x20, count: max(1, 73 - head.count))
  }
}

/// /proc/PID/mem.
final class ProcessMemory: Inode {
  private let subject: Subject
  init(_ system: ProcFileSystem, _ subject: Subject, _ number: UInt64) {
    self.subject = subject
    let owner = subject.owner
    super.init(
      system, .pseudo(system, .regular, 0o600, user: owner.user, group: owner.group, number: number))
  }
  override func open(_ flags: Int32, _ path: Path, _ caller: FileCaller) throws(Errno) -> OpenFile {
    MemoryFile(flags: flags, try subject.inspected(by: caller).group)
  }
  override func truncate(to size: Int64) throws(Errno) {}

  private final class MemoryFile: OpenFile {
    private weak var group: ThreadGroup?
    private let executions: UInt64
    init(flags: Int32, _ group: ThreadGroup) {
      self.group = group
      executions = group.executions
      super.init(flags: flags)
    }
    /// The memory that was there when it was opened; nil where that is gone: another program's is another file (mem_open, fs/proc/base.c).
    private var memory: GuestMemory? {
      guard let group, group.executions == executions, !group.kernel.host.isGaining(group) else { return nil }
      return group.tasks.first?.memory
    }
    override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
      guard let memory else { return 0 }
      let address = GuestAddress(UInt64(bitPattern: offset ?? position))
      var moved = 0
      while buffer.remaining > 0, moved < 1 << 20 {
        // Never past the end of a page: the next one may not be there.
        let at = address.advanced(by: moved)
        let piece = min(buffer.remaining, 4096 - Int(at.bits & 4095))
        let bytes: [UInt8]
        do throws(Errno) { bytes = try memory.bytes(at, count: piece) } catch {
          if moved > 0 { break }
          throw .inputOutput
        }
        moved += try buffer.put(bytes)
      }
      if offset == nil { position &+= Int64(moved) }
      return moved
    }
    override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
      guard let memory else { return 0 }
      let bytes = try buffer.take(1 << 20)
      do throws(Errno) {
        try memory.store(bytes, at: GuestAddress(UInt64(bitPattern: offset ?? position)))
      } catch { throw .inputOutput }
      if offset == nil { position &+= Int64(bytes.count) }
      return bytes.count
    }
    override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 {
      switch whence {
      case 0: position = offset
      case 1: position &+= offset
      default: throw .invalid
      }
      return position
    }
  }
}
