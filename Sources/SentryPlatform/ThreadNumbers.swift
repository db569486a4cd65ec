import CLinux
import Linux

/// What a thread is called and whose it is, without a text to be read: pid namespaces that are open translate numbers (ioctl_nsfs(2), Linux
/// 6.11), and a pidfd tells a process's parent (PIDFD_GET_INFO, Linux 6.13).
struct ThreadNumbers: ~Copyable {
  private let own: FileDescriptor
  private let guests: FileDescriptor
  /// The process that was asked about last, and its pidfd.
  private var process: Int32 = 0
  private var descriptor: FileDescriptor?

  /// NS_GET_PID_IN_PIDNS and NS_GET_TGID_IN_PIDNS (linux/nsfs.h): of a thread by the caller's number, its number and its process's in a namespace.
  private static let thread: UInt = 0x8004_b708
  private static let leader: UInt = 0x8004_b709
  /// PIDFD_GET_INFO with `struct pidfd_info` as it was at first (linux/pidfd.h).
  private static let information: UInt = 0xc040_ff0b

  /// - Parameters:
  ///   - processes: the root of a procfs.
  ///   - guest: a thread of the guests', in a call.
  ///   - facts: what its status says.
  /// - Returns: nil on a kernel that does not translate, or lets nobody see the guest's namespace.
  static func make(_ processes: Int32, guest: Int32, _ facts: ProcessFacts) -> ThreadNumbers? {
    do throws(SystemError) {
      var numbers = ThreadNumbers(
        own: try File.open("self/ns/pid", O_RDONLY, at: processes),
        guests: try File.open("\(guest)/ns/pid", O_RDONLY, at: processes))
      if numbers.facts(guest) != facts { return nil }
      return numbers
    } catch { return nil }
  }

  private init(own: consuming FileDescriptor, guests: consuming FileDescriptor) {
    self.own = own
    self.guests = guests
  }

  /// - Returns: nil where the thread is gone or something is not told. Of a thread that leads no process the parent is 0; whether it has ended is not
  ///   told.
  mutating func facts(_ thread: Int32) -> ProcessFacts? {
    let guestID = systemCall(Int(SYS_ioctl), word(guests.rawValue), Self.thread, word(thread))
    let process = systemCall(Int(SYS_ioctl), word(own.rawValue), Self.leader, word(thread))
    guard guestID > 0, process > 0 else { return nil }
    var facts = ProcessFacts(
      process: Int32(truncatingIfNeeded: process), guestID: Int32(truncatingIfNeeded: guestID))
    if facts.process != thread { return facts }
    guard let parent = parent(thread) else { return nil }
    facts.parent = parent
    return facts
  }

  private mutating func parent(_ process: Int32) -> Int32? {
    let result = systemCall(Int(IMMURE_SYS_pidfd_open), word(process), 0)
    if result < 0 { return nil }
    let opened = FileDescriptor(owning: Int32(truncatingIfNeeded: result))
    // mask, cgroupid, then 32 bits each: pid, tgid, ppid, eight ids, exit_code.
    var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
    // SAFETY: the kernel fills the 64 bytes that the request's number names.
    let told = unsafe withUnsafeMutablePointer(to: &words) {
      systemCall(Int(SYS_ioctl), word(opened.rawValue), Self.information, UInt(bitPattern: $0))
    }
    if told < 0 { return nil }
    self.process = process
    descriptor = consume opened
    return Int32(truncatingIfNeeded: words.3 & 0xffff_ffff)
  }

  /// The pidfd of the process that was asked about last, if it is this one.
  mutating func takeDescriptor(of process: Int32) -> FileDescriptor? {
    guard self.process == process else { return nil }
    return descriptor.take()
  }

  mutating func forgetDescriptor() { descriptor = nil }
}
