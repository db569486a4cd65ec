import CLinux
public import Linux
import SentryABI
public import SentryFiles
public import SentryWait

/// pidfd_open(2): a process, whatever comes to have its number later. Readable once it has ended.
public final class ProcessFile: OpenFile {
  public let group: ThreadGroup
  /// The host's own, for waitid(2), which is the host's.
  public let descriptor: Int32

  /// - Throws: ESRCH where the process has been waited for; EMFILE and its like.
  public init(_ group: ThreadGroup, flags: Int32) throws(Errno) {
    guard group.hostID > 0 else { throw .noProcess }
    let result = systemCall(Int(IMMURE_SYS_pidfd_open), word(group.hostID), word(flags & O_NONBLOCK))
    if result < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
    descriptor = Int32(truncatingIfNeeded: result)
    self.group = group
    super.init(flags: flags | 2)
  }

  public override func released() { _ = systemCall(Int(SYS_close), word(descriptor)) }
  public override var queue: WaitQueue? { group.ends }
  public override var readiness: PollEvents { group.traits.hasEnded ? .readable : [] }
}

/// A directory of procfs that stands for a process (pidfd_send_signal(2) takes it in a descriptor's stead).
public protocol ProcessPlace: AnyObject {
  /// Nil where it has been waited for, or the directory is a thread's.
  var process: ThreadGroup? { get }
}
