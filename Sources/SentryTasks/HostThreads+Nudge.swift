import CLinux
import Linux
import SentrySignals
import SentryWait

/// A signal that is pending for a whole process, of which the host's kernel has told a thread that shall not have it now: another one is made
/// to look by itself. Only a tracer may stop a thread for that; when one comes out of a stop, it looks at all that is pending
/// (ptrace_stop, kernel/signal.c).
extension HostThreads {
  /// Has a thread look that runs, or is in a call that nobody has looked at yet.
  /// - Parameter thread: the host's number.
  func nudge(_ thread: Int32, _ kernel: Kernel) {
    begin(nudge: thread, kernel)
    finish(nudge: thread)
  }

  /// Before the call is answered in which the thread sleeps.
  func begin(nudge thread: Int32, _ kernel: Kernel) {
    // A tracer's threads look whenever they go on.
    if isTracer || nudges[thread] != nil || !stopsSoon(thread) { return }
    nudges[thread] = Nudge(thread, kernel)
  }

  /// Once nothing of the sentry's holds the thread: most often it stops at once.
  public func finish(nudge thread: Int32) {
    guard let nudge = nudges[thread] else { return }
    for _ in 0..<4 where !nudge.isDone { letOthersRun() }
    if !nudge.isDone { nudge.wait() }
  }

  /// - Returns: whether the thread had stopped, and is let go, or is gone.
  fileprivate func letGo(_ thread: Int32) -> Bool {
    var status: Int32 = 0
    // SAFETY: wait4 fills one word.
    let result = unsafe withUnsafeMutablePointer(to: &status) {
      systemCall(Int(SYS_wait4), word(thread), UInt(bitPattern: $0), UInt(__WALL | WNOHANG), 0)
    }
    if result == 0 { return false }
    if result == Int(thread), status & 0xff == 0x7f {
      // A stop of the tracer's own (an event), or before a signal, which it gets.
      _ = trace(PTRACE_DETACH, thread, 0, status >> 16 == 0 ? UInt(status >> 8 & 0xff) : 0)
    }
    return true
  }
}

/// A thread that is to stop and has not yet: it may wait for a child that borrows its memory (vfork(2)), or be in a call that comes next.
final class Nudge: Waiter {
  private unowned let kernel: Kernel
  private let thread: Int32
  private var delay: UInt64 = 50_000
  private var isWaiting = false

  init(_ thread: Int32, _ kernel: Kernel) {
    self.kernel = kernel
    self.thread = thread
  }

  /// Whether the thread looks now, or is gone.
  var isDone: Bool {
    guard kernel.host.nudges[thread] === self else { return true }
    guard kernel.host.letGo(thread) else { return false }
    kernel.host.nudges[thread] = nil
    return true
  }

  /// Looks again after 50 microseconds, and then after twice as long each time, up to 50 milliseconds.
  func wait() {
    if isWaiting { return }
    isWaiting = true
    _ = kernel.deadlines.add(self, at: kernel.now &+ delay)
    delay = min(delay &* 2, 50_000_000)
  }

  override func wake(_ events: PollEvents) {
    isWaiting = false
    if !isDone { wait() }
  }
}
