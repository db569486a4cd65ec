import CLinux
public import Linux
public import SentryFiles
public import SentryWait

/// signalfd(2). The host's kernel keeps what is pending for a guest's threads, so reading is its own: a signalfd of the host takes the
/// signals of whoever reads it. The sentry only knows when there are some.
public final class SignalFile: OpenFile {
  private let descriptor: Int32
  private let changes: WaitQueue
  private var mask: UInt64
  /// Bits of signals that are pending for the task that made it.
  private let pending: () -> UInt64

  /// - Parameter mask: a sigset_t; SIGKILL and SIGSTOP in it are passed over.
  public init(mask: UInt64, flags: Int32, queue: WaitQueue, _ pending: @escaping () -> UInt64) throws(Errno) {
    self.mask = mask
    changes = queue
    self.pending = pending
    descriptor = try SignalFile.host(-1, mask, flags)
    super.init(flags: flags | 2)
  }

  public override func released() { _ = systemCall(Int(SYS_close), word(descriptor)) }

  public func setMask(_ new: UInt64) throws(Errno) {
    _ = try SignalFile.host(descriptor, new, 0)
    mask = new
    changes.wake(.readable)
  }

  public override var queue: WaitQueue? { changes }
  public override var readableBands: UInt32 { 0 }
  public override func seek(to offset: Int64, from whence: Int32) throws(Errno) -> Int64 { position }
  public override var readiness: PollEvents { pending() & mask != 0 ? .readable : [] }
  /// read(2) of the host's own.
  public override var nativeReader: Int32? { descriptor }

  private static func host(_ descriptor: Int32, _ mask: UInt64, _ flags: Int32) throws(Errno) -> Int32 {
    var set = mask
    // SAFETY: signalfd4 reads the eight bytes of the set.
    let result = unsafe withUnsafePointer(to: &set) { pointer in
      systemCall(
        Int(SYS_signalfd4), word(descriptor), UInt(bitPattern: pointer), 8,
        UInt(O_CLOEXEC) | UInt(bitPattern: Int(flags & O_NONBLOCK)))
    }
    if result < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
    return Int32(truncatingIfNeeded: result)
  }
}
