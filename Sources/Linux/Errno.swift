import CLinux

/// An error number of the kernel (errno(3)), positive.
public struct Errno: Error, Equatable, Hashable, Sendable, RawRepresentable, CustomStringConvertible {
  public let rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let notPermitted = Errno(rawValue: EPERM)
  public static let noEntry = Errno(rawValue: ENOENT)
  public static let noProcess = Errno(rawValue: ESRCH)
  public static let interrupted = Errno(rawValue: EINTR)
  public static let inputOutput = Errno(rawValue: EIO)
  public static let tooBig = Errno(rawValue: E2BIG)
  public static let execFormat = Errno(rawValue: ENOEXEC)
  public static let noSuchDevice = Errno(rawValue: ENXIO)
  public static let fileTooBig = Errno(rawValue: EFBIG)
  public static let noLocks = Errno(rawValue: ENOLCK)
  public static let deadlock = Errno(rawValue: EDEADLK)
  public static let stale = Errno(rawValue: ESTALE)
  public static let overflow = Errno(rawValue: EOVERFLOW)
  public static let tooManyLinks = Errno(rawValue: EMLINK)
  public static let textBusy = Errno(rawValue: ETXTBSY)
  public static let badDescriptor = Errno(rawValue: EBADF)
  public static let noChild = Errno(rawValue: ECHILD)
  public static let again = Errno(rawValue: EAGAIN)
  public static let noMemory = Errno(rawValue: ENOMEM)
  public static let accessDenied = Errno(rawValue: EACCES)
  public static let badAddress = Errno(rawValue: EFAULT)
  public static let tooManyFiles = Errno(rawValue: EMFILE)
  public static let illegalSeek = Errno(rawValue: ESPIPE)
  public static let busy = Errno(rawValue: EBUSY)
  public static let exists = Errno(rawValue: EEXIST)
  public static let crossDevice = Errno(rawValue: EXDEV)
  public static let noDevice = Errno(rawValue: ENODEV)
  public static let notDirectory = Errno(rawValue: ENOTDIR)
  public static let isDirectory = Errno(rawValue: EISDIR)
  public static let invalid = Errno(rawValue: EINVAL)
  public static let notTerminal = Errno(rawValue: ENOTTY)
  public static let noSpace = Errno(rawValue: ENOSPC)
  public static let readOnlyFileSystem = Errno(rawValue: EROFS)
  public static let brokenPipe = Errno(rawValue: EPIPE)
  public static let range = Errno(rawValue: ERANGE)
  public static let nameTooLong = Errno(rawValue: ENAMETOOLONG)
  public static let notImplemented = Errno(rawValue: ENOSYS)
  public static let notEmpty = Errno(rawValue: ENOTEMPTY)
  public static let loop = Errno(rawValue: ELOOP)
  public static let noData = Errno(rawValue: ENODATA)
  public static let notSupported = Errno(rawValue: EOPNOTSUPP)
  public static let connectionRefused = Errno(rawValue: ECONNREFUSED)
  public static let timedOut = Errno(rawValue: ETIMEDOUT)

  /// The C library's text, such as "No such file or directory".
  public var description: String {
    // SAFETY: strerror returns a NUL-terminated string; the runtime has one thread, and the copy is made at once.
    unsafe strerror(rawValue).map { unsafe String(cString: $0) } ?? "error \(rawValue)"
  }
}

/// A system call that failed: which, on what, and why.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
  public let call: String
  /// The path, descriptor or name the call was about; empty where there is none.
  public let subject: String
  public let errno: Errno

  public init(_ call: String, _ subject: String = "", _ errno: Errno) {
    self.call = call
    self.subject = subject
    self.errno = errno
  }

  public var description: String {
    subject.isEmpty ? "\(call): \(errno)" : "\(call) \(subject): \(errno)"
  }
}

/// A raw system call: the result, or -errno. Arguments that are addresses must stay valid for the call.
@inline(__always)
package func systemCall(
  _ number: Int, _ a: UInt = 0, _ b: UInt = 0, _ c: UInt = 0, _ d: UInt = 0, _ e: UInt = 0, _ f: UInt = 0
) -> Int {
  Int(immure_syscall(number, a, b, c, d, e, f))
}

/// The result of a raw system call, or its error with the call's name and subject.
@inline(__always)
@discardableResult
package func checked(
  _ call: StaticString, _ subject: @autoclosure () -> String = "", _ result: Int
) throws(SystemError) -> Int {
  if result < 0 && result >= -4095 {
    throw SystemError(call.description, subject(), Errno(rawValue: Int32(-result)))
  }
  return result
}

/// A descriptor or other signed argument as a register holds it.
@inline(__always)
package func word(_ value: Int32) -> UInt { UInt(bitPattern: Int(value)) }

extension String {
  /// Calls `body` with the address of the string's NUL-terminated bytes, valid for the call only.
  @inline(__always)
  package func withPathAddress<R>(_ body: (UInt) -> R) -> R {
    // SAFETY: the address is used by one system call inside `body`, while withCString keeps the bytes alive.
    unsafe withCString { pointer in body(UInt(bitPattern: pointer)) }
  }
}

/// Runs a system call again while a signal interrupts it (EINTR).
@inline(__always)
package func retrying(_ call: () -> Int) -> Int {
  while true {
    let result = call()
    if result != -Int(EINTR) { return result }
  }
}
