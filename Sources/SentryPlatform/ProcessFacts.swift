import CLinux
import Linux

/// What the host's kernel tells of a guest's thread (proc_pid_status(5)), numbers of the sentry's pid namespace but where said.
package struct ProcessFacts: Equatable {
  package var process: Int32 = 0
  package var parent: Int32 = 0
  /// It has ended, and nobody has waited for it (state Z), or that is being seen to (X).
  package var hasEnded = false
  /// Its id in the innermost pid namespace, the guests'.
  package var guestID: Int32 = 0

  init(process: Int32, guestID: Int32) {
    self.process = process
    self.guestID = guestID
  }

  /// - Returns: nil where a line is missing.
  package init?(status: [UInt8]) {
    self.init(status: status.span)
  }

  init?(status: Span<UInt8>) {
    var at = 0
    while at < status.count {
      var end = at
      while end < status.count, status[end] != 0x0a { end += 1 }
      let line = at..<end
      at = end + 1
      // Few lines are asked for: their first letters tell most apart.
      switch status[line.lowerBound] {
      case UInt8(ascii: "S"):
        guard let text = Self.text(of: "State:", in: status, line) else { continue }
        let state = text.isEmpty ? 0 : status[text.lowerBound]
        hasEnded = state == UInt8(ascii: "Z") || state == UInt8(ascii: "X")
      case UInt8(ascii: "T"):
        if let text = Self.text(of: "Tgid:", in: status, line) { process = Self.last(in: status, text) }
      case UInt8(ascii: "P"):
        if let text = Self.text(of: "PPid:", in: status, line) { parent = Self.last(in: status, text) }
      case UInt8(ascii: "N"):
        if let text = Self.text(of: "NSpid:", in: status, line) { guestID = Self.last(in: status, text) }
      default: continue
      }
      if process > 0 && guestID > 0 { return }
    }
    return nil
  }

  /// What a line says after its name and blanks; nil for another line.
  private static func text(of name: StaticString, in status: Span<UInt8>, _ line: Range<Int>) -> Range<Int>? {
    guard line.count >= name.utf8CodeUnitCount else { return nil }
    for index in 0..<name.utf8CodeUnitCount {
      // SAFETY: below the count of the name's bytes.
      if unsafe name.utf8Start[index] != status[line.lowerBound + index] { return nil }
    }
    var start = line.lowerBound + name.utf8CodeUnitCount
    while start < line.upperBound, status[start] == 0x20 || status[start] == 0x09 { start += 1 }
    return start..<line.upperBound
  }

  /// The last of a line's numbers; 0 where there is none.
  private static func last(in status: Span<UInt8>, _ text: Range<Int>) -> Int32 {
    var (value, digits) = (Int32(0), 0)
    for index in text {
      let byte = status[index]
      if byte == 0x20 || byte == 0x09 {
        digits = 0
        continue
      }
      guard byte >= 0x30, byte <= 0x39, digits < 9 else { return 0 }
      value = (digits == 0 ? 0 : value &* 10) &+ Int32(byte &- 0x30)
      digits += 1
    }
    return value
  }

  package static func number(_ digits: ArraySlice<UInt8>) -> Int32? {
    var value: Int32 = 0
    guard !digits.isEmpty, digits.count < 10 else { return nil }
    for digit in digits {
      guard digit >= 0x30, digit <= 0x39 else { return nil }
      value = value &* 10 &+ Int32(digit &- 0x30)
    }
    return value
  }
}

/// A procfs that shows the guests' threads.
struct ProcessFiles: ~Copyable {
  let folder: Int32
  /// What is faster than to read, from the first guest's first call on.
  private var numbers: ThreadNumbers?
  private var mayHaveNumbers = true

  init(folder: Int32) { self.folder = folder }

  /// Of a thread that is in a call. Of one that leads no process its parent is not told.
  /// - Returns: nil where it is gone.
  mutating func caller(_ thread: Int32) -> ProcessFacts? {
    if let facts = numbers?.facts(thread) { return facts }
    let facts = facts(thread)
    if mayHaveNumbers, let facts, facts.process == thread {
      mayHaveNumbers = false
      numbers = ThreadNumbers.make(folder, guest: thread, facts)
    }
    return facts
  }

  /// - Returns: a pidfd where one is open for the process.
  mutating func takeDescriptor(of process: Int32) -> FileDescriptor? { numbers?.takeDescriptor(of: process) }

  /// What is open for the last caller: somebody else may have its number afterwards.
  mutating func forgetDescriptor() { numbers?.forgetDescriptor() }

  /// - Returns: nil where the thread is gone.
  func facts(_ thread: Int32) -> ProcessFacts? {
    let file = "\(thread)/status".withPathAddress {
      systemCall(Int(SYS_openat), word(folder), $0, UInt(O_RDONLY | O_CLOEXEC))
    }
    guard file >= 0 else { return nil }
    defer { _ = systemCall(Int(SYS_close), UInt(bitPattern: file)) }
    // All that is asked for stands in the first lines, which one read gives whole but to those who are in very many groups.
    let facts = unsafe withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 8) { bytes in
      // SAFETY: the kernel fills at most the allocation, of which only that is looked at.
      let count = systemCall(
        Int(SYS_read), UInt(bitPattern: file), UInt(bitPattern: bytes.baseAddress), UInt(bytes.count))
      guard count > 0 else { return ProcessFacts?.none }
      let filled = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<count])
      return unsafe ProcessFacts(status: Span(_unsafeBytes: filled))
    }
    return facts ?? contents("\(thread)/status").flatMap { ProcessFacts(status: $0) }
  }

  /// The inode of the file that a process runs, as the host knows it (/proc/PID/exe).
  /// - Throws: ESRCH where it is gone.
  func program(of process: Int32) throws(Errno) -> UInt64 {
    var status = stat()
    do throws(SystemError) {
      let file = try File.open("\(process)/exe", O_PATH, at: folder)
      // SAFETY: fstat fills one struct.
      let result = unsafe withUnsafeMutablePointer(to: &status) {
        systemCall(Int(SYS_fstat), word(file.rawValue), UInt(bitPattern: $0))
      }
      if result < 0 { throw SystemError("fstat", "exe", .noProcess) }
    } catch {
      throw .noProcess
    }
    return UInt64(status.st_ino)
  }

  /// The children that the thread made, those that live or are not waited for, in that order (CONFIG_PROC_CHILDREN). One may be missing: the
  /// host's kernel lists them step by step, and where the one that it stands at is waited for meanwhile it may leave out the next.
  func children(of thread: Int32) -> [Int32] {
    (contents("\(thread)/task/\(thread)/children") ?? []).split(separator: 0x20).compactMap { ProcessFacts.number($0) }
  }

  /// The same, with nobody missing: whom a reading lost its way at is not in the next one. So two that are equal have lost nobody.
  func allChildren(of thread: Int32) -> [Int32] {
    var found = children(of: thread)
    // Who is faster than eight readings has lost a child of his own by it.
    for _ in 0..<8 {
      let again = children(of: thread)
      if again == found { break }
      found = again
    }
    return found
  }

  /// How many threads a process has, with those that are ending: the links of its folder of them beyond a folder's own two
  /// (proc_task_getattr, fs/proc/base.c). A third of what its status costs.
  /// - Returns: 0 where it is gone.
  func threadCount(of process: Int32) -> Int {
    let opened = "\(process)/task".withPathAddress {
      systemCall(Int(SYS_openat), word(folder), $0, UInt(O_PATH | O_CLOEXEC))
    }
    guard opened >= 0 else { return 0 }
    defer { _ = systemCall(Int(SYS_close), UInt(bitPattern: opened)) }
    var status = stat()
    // SAFETY: fstat fills one struct.
    let result = unsafe withUnsafeMutablePointer(to: &status) {
      systemCall(Int(SYS_fstat), UInt(bitPattern: opened), UInt(bitPattern: $0))
    }
    return result == 0 ? max(0, Int(clamping: status.st_nlink) - 2) : 0
  }

  /// Whether a thread is there, be it as a zombie that leads the process. The folder of the process's threads does not tell: it is read step by
  /// step, and where the thread that it stands at ends, another one that lives is left out (proc_task_readdir, fs/proc/base.c).
  package static func has(_ thread: Int32, in process: Int32) -> Bool {
    systemCall(Int(SYS_tgkill), word(process), word(thread), 0) != -Int(ESRCH)
  }

  /// Whether the thread's own table has the number.
  func has(descriptor number: Int32, of thread: Int32) -> Bool {
    let opened = "\(thread)/fd/\(number)".withPathAddress {
      systemCall(Int(SYS_openat), word(folder), $0, UInt(O_PATH | O_NOFOLLOW | O_CLOEXEC))
    }
    guard opened >= 0 else { return false }
    _ = systemCall(Int(SYS_close), UInt(bitPattern: opened))
    return true
  }

  private func contents(_ path: String) -> [UInt8]? {
    // ENOENT and ESRCH say that it has ended.
    try? File.contents(path, at: folder, limit: 64 << 10)
  }
}
