import CLinux
import Linux

/// A guest's call as the kernel tells of it: `struct seccomp_notif` with its `struct seccomp_data` (linux/seccomp.h), 80 bytes.
struct Notification: BitwiseCopyable {
  var id: UInt64 = 0
  /// The thread, as the sentry's pid namespace numbers it.
  var thread: Int32 = 0
  var flags: UInt32 = 0
  var number: Int32 = 0
  var architecture: UInt32 = 0
  var instructionPointer: UInt64 = 0
  var arguments: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0)
}

/// The sentry's end of the filter (seccomp_unotify(2)).
struct NotificationListener: ~Copyable {
  let descriptor: FileDescriptor

  /// _IOC of '!' (linux/seccomp.h); the macros do not import.
  private static let receive: UInt = 0xc050_2100
  private static let send: UInt = 0xc018_2101
  private static let add: UInt = 0x4018_2103
  private static let setFlags: UInt = 0x4008_2104

  init(owning descriptor: consuming FileDescriptor) {
    self.descriptor = descriptor
    // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6: both sides share a CPU. Older kernels know no flag, and go on without.
    let synchronous: UInt = 1
    _ = systemCall(Int(SYS_ioctl), word(self.descriptor.rawValue), Self.setFlags, synchronous)
  }

  /// Waits for the next call; nil where it was gone before it could be taken.
  borrowing func next() -> Notification? {
    var notification = Notification()
    // SAFETY: the kernel fills the 80 bytes, which it wants zeroed.
    let result = unsafe withUnsafeMutablePointer(to: &notification) { pointer in
      systemCall(Int(SYS_ioctl), word(descriptor.rawValue), Self.receive, UInt(bitPattern: pointer))
    }
    return result < 0 ? nil : notification
  }

  /// Waits for the next call until a tick (Ticks); nil then, and where it was gone before it could be taken.
  borrowing func nextUntilTick() -> Notification? {
    var notification = Notification()
    // SAFETY: as above.
    let result = unsafe withUnsafeMutablePointer(to: &notification) { pointer in
      unsafe immure_ticked_ioctl(Int(descriptor.rawValue), Self.receive, pointer)
    }
    return result < 0 ? nil : notification
  }

  /// Whether a call waits to be taken.
  borrowing func hasNext() -> Bool { Readiness.now(descriptor.rawValue, POLLIN) & POLLIN != 0 }

  /// Answers with a value, or where `error` is below zero with that; whoever is gone is none to be told.
  borrowing func answer(_ id: UInt64, value: Int64, error: Int32 = 0) { respond(id, value, error, 0) }

  /// Lets the host's kernel perform the call with the registers that it has.
  borrowing func proceed(_ id: UInt64) { respond(id, 0, 0, 1) }

  private borrowing func respond(_ id: UInt64, _ value: Int64, _ error: Int32, _ flags: UInt32) {
    // struct seccomp_notif_resp: id, val, error, flags.
    var answer = (id, value, error, flags)
    // SAFETY: 24 bytes in the struct's order, alive across the call.
    unsafe withUnsafeMutablePointer(to: &answer) { pointer in
      // A tick that meets it while a guest's thread has the listener's lock ends it (mutex_lock_interruptible in seccomp_notify_send): who
      // called would wait for ever.
      while true {
        let result = systemCall(Int(SYS_ioctl), word(descriptor.rawValue), Self.send, UInt(bitPattern: pointer))
        if result != -Int(EINTR) { return }
      }
    }
  }

  /// Puts an open file into the table of the thread that is in the call; close-on-exec. SECCOMP_ADDFD_FLAG_SEND, which would answer with it, is not
  /// used: a tick that ends the wait for it leaves the call answered and the file not there (seccomp_notify_addfd, kernel/seccomp.c).
  /// - Parameter number: nil takes the lowest free one.
  /// - Returns: the number that it has there.
  borrowing func inject(_ file: Int32, as number: Int32?, during id: UInt64) throws(Errno) -> Int32 {
    let setsNumber: UInt32 = 1
    // struct seccomp_notif_addfd: id, flags, srcfd, newfd, newfd_flags.
    var request = (
      id, number == nil ? 0 : setsNumber, UInt32(bitPattern: file), UInt32(bitPattern: number ?? 0),
      UInt32(bitPattern: O_CLOEXEC)
    )
    // SAFETY: 24 bytes in the struct's order, alive across the call.
    let result = unsafe withUnsafeMutablePointer(to: &request) { pointer in
      // As an answer it may meet a tick.
      while true {
        let result = systemCall(Int(SYS_ioctl), word(descriptor.rawValue), Self.add, UInt(bitPattern: pointer))
        if result != -Int(EINTR) { return result }
      }
    }
    if result < 0 { throw Errno(rawValue: Int32(truncatingIfNeeded: -result)) }
    return Int32(truncatingIfNeeded: result)
  }
}
