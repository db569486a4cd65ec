import CLinux
public import Linux
public import SentrySignals

/// How the sentry sends the host's signals to its guests' threads.
extension HostThreads {
  /// Whether the process is there, be it as a zombie that nobody has waited for.
  public func exists(_ group: ThreadGroup) -> Bool {
    group.hostID > 0 && systemCall(Int(SYS_kill), word(group.hostID), 0) != -Int(ESRCH)
  }

  /// kill(2).
  public func kill(_ group: ThreadGroup, _ signal: Int32) throws(Errno) {
    guard group.hostID > 0 else { throw .noProcess }
    hasSignalled = true
    try answered(systemCall(Int(SYS_kill), word(group.hostID), word(signal)))
  }

  /// tgkill(2).
  public func kill(_ task: Task, _ signal: Int32) throws(Errno) {
    guard task.hostID > 0 else { throw .noProcess }
    hasSignalled = true
    try answered(systemCall(Int(SYS_tgkill), word(task.group.hostID), word(task.hostID), word(signal)))
  }

  /// rt_sigqueueinfo(2): codes below zero other than SI_TKILL; the host's kernel lets nobody forge the others.
  public func queue(_ group: ThreadGroup, _ signal: Int32, _ info: SignalInfo) throws(Errno) {
    guard group.hostID > 0 else { throw .noProcess }
    hasSignalled = true
    let result = unsafe info.bytes.withUnsafeBytes { bytes in
      // SAFETY: a siginfo_t of 128 bytes, read by the call.
      systemCall(
        Int(SYS_rt_sigqueueinfo), word(group.hostID), word(signal), UInt(bitPattern: bytes.baseAddress))
    }
    try answered(result)
  }

  /// rt_tgsigqueueinfo(2).
  public func queue(_ task: Task, _ signal: Int32, _ info: SignalInfo) throws(Errno) {
    guard task.hostID > 0 else { throw .noProcess }
    hasSignalled = true
    let result = unsafe info.bytes.withUnsafeBytes { bytes in
      // SAFETY: as above.
      systemCall(
        Int(SYS_rt_tgsigqueueinfo), word(task.group.hostID), word(task.hostID), word(signal),
        UInt(bitPattern: bytes.baseAddress))
    }
    try answered(result)
  }

  private func answered(_ result: Int) throws(Errno) {
    if result < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
  }
}
