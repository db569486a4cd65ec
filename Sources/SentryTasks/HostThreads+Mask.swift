import CLinux
import Linux
import SentryABI
public import SentryMemory
import SentrySignals

/// The signal mask of ppoll(2) and its kin: a signal that the call lets through and the thread does not is delivered under the call's mask,
/// and the thread has its own again when the handler returns. Masks are the host's, and only a tracer may change another thread's:
/// the sentry traces the thread from the call's answer to its handler's first instruction.
extension HostThreads {
  /// Ends the call with EINTR and lets the host deliver what `mask` does not block.
  func end(_ task: Task, under mask: SignalBits) {
    if delivers(task, under: mask) { return }
    let thread = task.hostID
    // A nudge that has not come to its end has the thread stop on its way out, too.
    guard nudges.removeValue(forKey: thread) != nil || stopsSoon(thread) else {
      end(task, with: -4)
      return
    }
    let memory = task.memory
    end(task, with: -4)
    // The thread stops on its way out of the call.
    guard stop(of: thread) != nil else { return }
    var own: UInt64 = 0
    var wanted = mask.bits
    // SAFETY: each is the eight bytes that the request reads or writes.
    let changed = unsafe withUnsafeMutablePointer(to: &own) { own in
      unsafe withUnsafeMutablePointer(to: &wanted) { wanted in
        if trace(PTRACE_GETSIGMASK, thread, 8, UInt(bitPattern: own)) < 0 { return -1 }
        return trace(PTRACE_SETSIGMASK, thread, 8, UInt(bitPattern: wanted))
      }
    }
    if changed >= 0 { deliver(thread, memory, own) }
    _ = trace(PTRACE_DETACH, thread)
  }

  /// A step ends at the signal; the next one where its handler begins, with the frame on the stack.
  private func deliver(_ thread: Int32, _ memory: GuestMemory, _ own: UInt64) {
    guard let signal = step(thread) else { return }
    deliver(signal, to: thread, memory, own)
  }

  /// Lets a stopped thread do one step, or come to the signal that is there.
  /// - Returns: the signal, SIGTRAP for the step; nil where the thread is gone.
  public func step(_ thread: Int32) -> Int32? {
    trace(PTRACE_SINGLESTEP, thread) >= 0 ? stop(of: thread) : nil
  }

  /// From the stop before a signal to the one at its handler's first instruction, whose return gives the thread its own mask again.
  public func deliver(_ signal: Int32, to thread: Int32, _ memory: GuestMemory, _ own: UInt64) {
    if signal != Signal.trap {
      guard trace(PTRACE_SINGLESTEP, thread, 0, UInt(signal)) >= 0, let next = stop(of: thread) else { return }
      if next == Signal.trap, let stack = stackPointer(thread) {
        // A guest without a stack dies of it by itself.
        do throws(Errno) { try memory.store(own, at: stack.advanced(by: Self.maskInFrame)) } catch {}
        return
      }
    }
    // Nobody caught it: the thread's own mask is back at once.
    var mask = own
    // SAFETY: as above.
    _ = unsafe withUnsafeMutablePointer(to: &mask) { trace(PTRACE_SETSIGMASK, thread, 8, UInt(bitPattern: $0)) }
  }

  #if arch(x86_64)
    /// uc_sigmask in struct rt_sigframe (arch/x86/include/asm/sigframe.h), behind the return address and the ucontext before it.
    private static let maskInFrame = 8 + 40 + 256
    private func stackPointer(_ thread: Int32) -> GuestAddress? {
      var word: UInt64 = 0
      // SAFETY: PTRACE_PEEKUSER stores one word; 152 is rsp in struct user.
      let result = unsafe withUnsafeMutablePointer(to: &word) {
        trace(PTRACE_PEEKUSER, thread, 152, UInt(bitPattern: $0))
      }
      return result < 0 ? nil : GuestAddress(word)
    }
  #else
    /// uc_sigmask in struct rt_sigframe (arch/arm64/kernel/signal.c), behind siginfo, flags, link and stack.
    private static let maskInFrame = 128 + 40
    private func stackPointer(_ thread: Int32) -> GuestAddress? { nil }
  #endif

  func trace(_ request: CLinux.__ptrace_request, _ thread: Int32, _ address: UInt = 0, _ data: UInt = 0) -> Int {
    systemCall(Int(SYS_ptrace), UInt(request.rawValue), word(thread), address, data)
  }

  /// Has a thread that nobody traces stop when it next comes out of the host's kernel, or now if it runs.
  func stopsSoon(_ thread: Int32) -> Bool {
    trace(PTRACE_SEIZE, thread) >= 0 && trace(PTRACE_INTERRUPT, thread) >= 0
  }

  /// Waits for a stop of the thread, for ten seconds at most, or until it has had a processor: who doesn't come then is ended, as only a guest
  /// that is after it can manage that.
  /// - Returns: the signal; nil where the thread is gone.
  private func stop(of thread: Int32) -> Int32? {
    let patience: UInt64 = 10_000_000_000
    var limit = Clock.monotonicNanoseconds() &+ patience
    while true {
      var status: Int32 = 0
      // SAFETY: wait4 fills one word.
      let result = unsafe withUnsafeMutablePointer(to: &status) {
        systemCall(Int(SYS_wait4), word(thread), UInt(bitPattern: $0), UInt(__WALL | WNOHANG), 0)
      }
      if result == Int(thread) { return status & 0xff == 0x7f ? status >> 8 & 0xff : nil }
      if result < 0 { return nil }
      if Clock.monotonicNanoseconds() > limit {
        // It cannot go on in its own code, so one that wants to run has not been let run.
        guard self.status(thread).state == UInt8(ascii: "R") else {
          isLost(thread)
          _ = systemCall(Int(SYS_kill), word(thread), word(Signal.kill))
          return nil
        }
        limit = Clock.monotonicNanoseconds() &+ patience
      }
      letOthersRun()
    }
  }

  /// For 20 microseconds: the processor that a traced thread wants may be this one.
  public func letOthersRun() {
    var moment = timespec(tv_sec: 0, tv_nsec: 20_000)
    // SAFETY: ppoll reads one timespec.
    _ = unsafe withUnsafeMutablePointer(to: &moment) { systemCall(Int(SYS_ppoll), 0, 0, UInt(bitPattern: $0), 0) }
  }
}
