import CLinux
public import Linux

/// A process's descriptors (the kernel's `files_struct`): shared by threads, copied by fork.
public final class DescriptorTable {
  public struct Entry {
    public let file: OpenFile
    public var closesOnExec: Bool
  }
  private var entries: [Entry?] = []
  /// No number below it is free.
  private var firstFree = 0
  /// RLIMIT_NOFILE's soft limit: numbers are below it.
  public var limit: Int32
  /// Tasks that share it.
  public private(set) var users = 1

  /// Files that the host's table of the process has under the guest's numbers, since a mapping was made of them.
  private var mirrors: [Int32: Mirror] = [:]
  /// Numbers that the host's kernel was told to close by one of several threads, since they were mirrored last.
  private var closing: Set<Int32> = []
  /// Who must know when a number is let go.
  public var answers: DescriptorAnswers?
  private struct Mirror {
    let file: ObjectIdentifier
    let isWritable: Bool
  }

  public init(limit: Int32 = 1024) { self.limit = limit }

  public func share() { users += 1 }

  /// A task leaves; the last one closes all.
  public func leave() {
    users -= 1
    if users == 0 { closeAll() }
  }

  /// For fork(2) and unshare(2).
  public func copy() -> DescriptorTable {
    let copy = DescriptorTable(limit: limit)
    copy.entries = entries
    copy.firstFree = firstFree
    // The host copies its own table.
    copy.mirrors = mirrors
    for entry in entries { entry?.file.retain() }
    return copy
  }

  /// For a task that leaves a shared one: what the host's table has by the time that it parts, nobody knows.
  public func copyApart() -> DescriptorTable {
    let copy = copy()
    copy.mirrors = [:]
    return copy
  }

  /// - Throws: EBADF.
  public func file(_ number: Int32) throws(Errno) -> OpenFile { try entry(number).file }

  /// As most calls ask for it: what O_PATH opened is as if it were none (fdget of linux/file.h).
  /// - Throws: EBADF.
  public func opened(_ number: Int32) throws(Errno) -> OpenFile {
    let file = try file(number)
    guard file.flags & OpenFlags.path == 0 else { throw .badDescriptor }
    return file
  }

  public func entry(_ number: Int32) throws(Errno) -> Entry {
    guard number >= 0, Int(number) < entries.count, let entry = entries[Int(number)] else { throw .badDescriptor }
    return entry
  }

  /// Takes the lowest free number.
  /// - Throws: EMFILE; EINVAL where `least` is beyond the limit (F_DUPFD).
  public func add(_ file: OpenFile, closesOnExec: Bool, atLeast least: Int32 = 0) throws(Errno) -> Int32 {
    guard least >= 0, least < limit else { throw least == 0 ? .tooManyFiles : .invalid }
    var number = max(Int(least), firstFree)
    while number < entries.count, entries[number] != nil { number += 1 }
    guard number < Int(limit) else { throw .tooManyFiles }
    if OpenFile.areTooMany { throw Errno(rawValue: ENFILE) }
    if Int(least) <= firstFree { firstFree = number + 1 }
    place(file, at: number, closesOnExec)
    return Int32(truncatingIfNeeded: number)
  }

  /// dup2(2): what had the number is closed.
  /// - Throws: EBADF for a number beyond the limit.
  public func set(_ number: Int32, to file: OpenFile, closesOnExec: Bool) throws(Errno) {
    guard number >= 0, number < limit else { throw .badDescriptor }
    if OpenFile.areTooMany { throw Errno(rawValue: ENFILE) }
    let before = Int(number) < entries.count ? entries[Int(number)] : nil
    if before != nil { answers?.lost(number) }
    place(file, at: Int(number), closesOnExec)
    if let before { letGo(before) }
  }

  private func place(_ file: OpenFile, at number: Int, _ closesOnExec: Bool) {
    file.retain()
    while entries.count <= number { entries.append(nil) }
    entries[number] = Entry(file: file, closesOnExec: closesOnExec)
  }

  /// - Throws: EBADF.
  public func setCloseOnExec(_ number: Int32, _ on: Bool) throws(Errno) {
    if try entry(number).closesOnExec == on { return }
    answers?.changed(number)
    entries[Int(number)]?.closesOnExec = on
  }

  /// - Throws: EBADF.
  public func close(_ number: Int32) throws(Errno) {
    let entry = try entry(number)
    entries[Int(number)] = nil
    firstFree = min(firstFree, Int(number))
    answers?.lost(number)
    letGo(entry)
  }

  /// A process loses its range locks of a file with any descriptor of that file (fcntl_locking(2)).
  private func letGo(_ entry: Entry) {
    entry.file.inode?.locks?.unlock(ObjectIdentifier(self))
    entry.file.closing(ObjectIdentifier(self))
    entry.file.release()
  }

  /// close_range(2) without its flags: numbers that name nothing are passed over.
  public func close(_ range: ClosedRange<UInt32>) {
    for number in entries.indices where range.contains(UInt32(truncatingIfNeeded: number)) {
      let entry = entries[number]
      entries[number] = nil
      firstFree = min(firstFree, number)
      if let entry {
        answers?.lost(Int32(truncatingIfNeeded: number))
        letGo(entry)
      }
    }
  }

  /// What execve(2) closes.
  /// - Returns: the numbers, for mirrors that the host's kernel holds.
  public func closeOnExec() -> [Int32] {
    // All of them are close-on-exec.
    mirrors = [:]
    var closed: [Int32] = []
    for number in entries.indices {
      guard let entry = entries[number], entry.closesOnExec else { continue }
      entries[number] = nil
      firstFree = min(firstFree, number)
      letGo(entry)
      closed.append(Int32(truncatingIfNeeded: number))
    }
    return closed
  }

  private func closeAll() { close(0...UInt32.max) }

  /// Whether the host's table has this number's file already, good for such a mapping.
  public func isMirrored(_ number: Int32, isWritable: Bool) -> Bool {
    guard let mirror = mirrors[number], let entry = try? entry(number) else { return false }
    return mirror.file == ObjectIdentifier(entry.file) && mirror.isWritable == isWritable
  }

  /// The host's table now has this number's file.
  public func mirror(_ number: Int32, isWritable: Bool) {
    guard let entry = try? entry(number) else { return }
    answers?.changed(number)
    mirrors[number] = Mirror(file: ObjectIdentifier(entry.file), isWritable: isWritable)
  }

  public func hasMirror(_ number: Int32) -> Bool { mirrors[number] != nil }

  /// The number is closed: whether the host's kernel must close it too (the call is then performed by it).
  public func takeMirror(_ number: Int32) -> Bool {
    guard mirrors.removeValue(forKey: number) != nil else { return false }
    if users > 1 { closing.insert(number) }
    return true
  }

  /// Before the host's table gets another file under the number: whether a thread may still be closing the one before.
  public func takeClosing(_ number: Int32) -> Bool { closing.remove(number) != nil }

  /// Numbers in use, ascending (/proc/PID/fd).
  public var numbers: [Int32] {
    entries.indices.filter { entries[$0] != nil }.map { Int32(truncatingIfNeeded: $0) }
  }
}
