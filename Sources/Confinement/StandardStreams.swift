import CLinux
package import Linux

/// Descriptors 0, 1 and 2, and the session they belong to.
package enum StandardStreams {
  /// The far end of a terminal becomes 0, 1 and 2.
  package static func take(_ far: Int32) throws(SystemError) {
    for number in [0, 1, 2] as [Int32] { try FileDescriptor.replace(number, with: far) }
    _ = FileDescriptor(owning: far)
  }

  /// setsid(2), and with a terminal TIOCSCTTY on descriptor 0.
  package static func beginSession(hasTerminal: Bool) throws(SystemError) {
    // A group leader already (EPERM) has no session to leave.
    _ = systemCall(Int(SYS_setsid))
    if hasTerminal {
      try checked("ioctl(TIOCSCTTY)", "0", systemCall(Int(SYS_ioctl), 0, IMMURE_TIOCSCTTY, 0))
    }
  }
}
