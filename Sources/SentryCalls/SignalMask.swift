import Linux
import SentryABI
import SentryMemory
import SentrySignals
import SentryTasks

/// The signal mask that ppoll(2), pselect(2) and epoll_pwait(2) take for as long as they wait.
enum SignalMask {
  /// - Parameter address: of a sigset_t; null leaves the mask as it is.
  /// - Throws: EINVAL for a set of another size than the kernel's 8 bytes, EFAULT.
  static func replace(_ address: GuestAddress, size: UInt64, _ task: Task) throws(Errno) {
    if address.isNull { return }
    guard size == 8 else { throw .invalid }
    let bits = try task.memory.load(address, as: UInt64.self)
    guard task.parked?.mask == nil else { return }
    task.parked?.mask = SignalBits(bits)
    task.kernel.masked(task)
  }
}
