public import CLinux

/// How a process ended.
public enum ExitStatus: Equatable, Hashable, Sendable {
  case exited(Int32)
  case signaled(Int32)

  /// From a wait status (wait(2)).
  public init(waitStatus: Int32) {
    self =
      immure_wifsignaled(waitStatus) != 0
      ? .signaled(immure_wtermsig(waitStatus)) : .exited(immure_wexitstatus(waitStatus))
  }

  /// A shell's and Docker's number: the exit code, or 128 + the signal.
  public var code: Int32 {
    switch self {
    case .exited(let code): code
    case .signaled(let signal): 128 + signal
    }
  }
}

/// A process named so that a reused pid is never mistaken for it: its pid, its start time and the boot it belongs to.
public struct ProcessIdentity: Equatable, Hashable, Sendable {
  public let pid: Int32
  /// Clock ticks after boot: field 22 of /proc/PID/stat (proc(5)).
  public let startTime: UInt64

  public init(pid: Int32, startTime: UInt64) {
    self.pid = pid
    self.startTime = startTime
  }

  /// The identity of a process that exists now; nil when there is none, or it is a zombie.
  public init?(pid: Int32) {
    guard pid > 0, let text = try? File.text("/proc/\(pid)/stat") else { return nil }
    // The command name stands in parentheses and may hold anything; fields count from after the last one.
    guard let close = text.utf8.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = text[text.index(after: close)...].split(separator: " ")
    guard fields.count > 19, fields[0] != "Z", fields[0] != "X", let ticks = UInt64(fields[19]) else { return nil }
    self.init(pid: pid, startTime: ticks)
  }

  /// Whether this very process still runs.
  public var isAlive: Bool { ProcessIdentity(pid: pid) == self }

  /// A pidfd for this very process, or nil when it is gone: opened first, then checked, so no reuse slips between.
  public func open() throws(SystemError) -> FileDescriptor? {
    let result = systemCall(Int(IMMURE_SYS_pidfd_open), word(pid), 0)
    if result == -Int(ESRCH) || result == -Int(EINVAL) { return nil }
    let descriptor = FileDescriptor(owning: Int32(try checked("pidfd_open", "\(pid)", result)))
    if isAlive { return consume descriptor }
    return nil
  }

  /// A copy of a descriptor of this very process, close-on-exec (pidfd_getfd(2), Linux 5.6; wants the power to trace it). Nil where it
  /// is gone or has no such descriptor.
  public func copyDescriptor(_ number: Int32) throws(SystemError) -> FileDescriptor? {
    guard let process = try open() else { return nil }
    let result = systemCall(Int(IMMURE_SYS_pidfd_getfd), word(process.rawValue), word(number), 0)
    if result == -Int(ESRCH) || result == -Int(EBADF) { return nil }
    return FileDescriptor(owning: Int32(try checked("pidfd_getfd", "\(pid)", result)))
  }
}

/// Arguments of clone3(2) that the runtime uses.
public struct CloneArguments: Sendable {
  /// CLONE_NEW* and other flags; a pidfd is always asked for.
  public var flags: UInt64
  /// A cgroup v2 directory that the child is born into (CLONE_INTO_CGROUP, Linux 5.7).
  public var cgroup: Int32?
  public init(flags: UInt64, cgroup: Int32? = nil) {
    self.flags = flags
    self.cgroup = cgroup
  }
}

/// A child of this process.
public struct Child: ~Copyable, Sendable {
  public let pid: Int32
  /// Readable when the child has ended (pidfd_open(2)).
  public let descriptor: FileDescriptor

  public init(pid: Int32, descriptor: consuming FileDescriptor) {
    self.pid = pid
    self.descriptor = descriptor
  }

  /// Waits for the end and reaps; nil when `block` is false and it still runs.
  public func wait(block: Bool = true) throws(SystemError) -> ExitStatus? {
    try Process.wait(pid, block: block)
  }

  /// Sends a signal through the pidfd, so to no other process.
  public func signal(_ number: Int32) throws(SystemError) {
    try Process.signal(descriptor: descriptor.rawValue, number)
  }
}

/// This process and its children.
public enum Process {
  public static var id: Int32 { Int32(systemCall(Int(SYS_getpid))) }
  /// getppid(2).
  public static var parent: Int32 { Int32(systemCall(Int(SYS_getppid))) }
  public static var effectiveUser: UInt32 { UInt32(systemCall(Int(SYS_geteuid))) }
  public static var effectiveGroup: UInt32 { UInt32(systemCall(Int(SYS_getegid))) }
  public static var user: UInt32 { UInt32(systemCall(Int(SYS_getuid))) }
  public static var group: UInt32 { UInt32(systemCall(Int(SYS_getgid))) }

  /// This command's arguments, the first being the name it was called by.
  public static var arguments: [String] { unsafe strings(immure_argv()) }
  /// The environment as "NAME=value" strings, in order.
  public static var environment: [String] { unsafe strings(immure_environ()) }

  private static func strings(_ vector: UnsafePointer<UnsafeMutablePointer<CChar>?>?) -> [String] {
    var result: [String] = []
    guard var cursor = unsafe vector else { return result }
    // SAFETY: the kernel's argument and environment vectors end with a null pointer.
    while let entry = unsafe cursor.pointee {
      unsafe result.append(String(cString: entry))
      unsafe cursor += 1
    }
    return result
  }

  /// The value of an environment variable as the process was started with it.
  public static func environment(_ name: String) -> String? {
    let prefix = name + "="
    for entry in environment where entry.hasPrefix(prefix) { return String(entry.dropFirst(prefix.count)) }
    return nil
  }

  /// clone3(2) without a stack of its own: returns twice, nil in the child. Only sound while this process has one thread. Where a
  /// filter says that there is no clone3 (Docker's does: it cannot look into the struct), clone(2) with the same flags.
  public static func clone(_ arguments: CloneArguments) throws(SystemError) -> Child? {
    var descriptor: Int32 = -1
    var raw = immure_clone_args()
    raw.flags = arguments.flags | IMMURE_CLONE_PIDFD
    // A child of this process's parent tells that one as this one does (clone(2), CLONE_PARENT).
    raw.exit_signal = arguments.flags & UInt64(CLONE_PARENT) != 0 ? 0 : UInt64(SIGCHLD)
    if let cgroup = arguments.cgroup {
      raw.flags |= IMMURE_CLONE_INTO_CGROUP
      raw.cgroup = UInt64(cgroup)
    }
    // SAFETY: both structs live across the call; the child gets a copy of this stack and goes on from here.
    let result = unsafe withUnsafeMutablePointer(to: &descriptor) { pidfd in
      raw.pidfd = UInt64(UInt(bitPattern: pidfd))
      let made = unsafe withUnsafeMutablePointer(to: &raw) { pointer in
        systemCall(
          Int(IMMURE_SYS_clone3), UInt(bitPattern: pointer), UInt(MemoryLayout<immure_clone_args>.size))
      }
      // The older call has the signal in the low byte of its flags, 32 of them, and the pidfd's place third (clone(2)).
      guard made == -Int(ENOSYS), raw.flags >> 32 == 0, raw.flags & 0xff == 0 else { return made }
      return systemCall(Int(SYS_clone), UInt(raw.flags | raw.exit_signal), 0, UInt(bitPattern: pidfd), 0, 0)
    }
    if try checked("clone3", "", result) == 0 { return nil }
    return Child(pid: Int32(result), descriptor: FileDescriptor(owning: descriptor))
  }

  /// Waits for a child's end and reaps it; nil when `block` is false and it still runs.
  public static func wait(_ pid: Int32, block: Bool = true) throws(SystemError) -> ExitStatus? {
    var status: Int32 = 0
    // SAFETY: wait4 fills one Int32.
    let result = unsafe withUnsafeMutablePointer(to: &status) { pointer in
      let address = UInt(bitPattern: pointer)
      return retrying { systemCall(Int(SYS_wait4), word(pid), address, block ? 0 : UInt(WNOHANG), 0) }
    }
    if try checked("wait4", "\(pid)", result) == 0 { return nil }
    return ExitStatus(waitStatus: status)
  }

  /// pidfd_send_signal(2).
  public static func signal(descriptor: Int32, _ number: Int32) throws(SystemError) {
    try checked(
      "pidfd_send_signal", "\(number)", systemCall(Int(SYS_pidfd_send_signal), word(descriptor), word(number), 0, 0))
  }

  /// kill(2).
  public static func signal(pid: Int32, _ number: Int32) throws(SystemError) {
    try checked("kill", "\(pid)", systemCall(Int(SYS_kill), word(pid), word(number)))
  }

  /// execve(2), or execveat(2) from a descriptor: replaces this image; returns only with an error. An empty path runs the
  /// descriptor itself. A path alone is execve's, which every seccomp profile knows.
  public static func execute(
    descriptor: Int32 = AT_FDCWD, _ path: String, arguments: [String], environment: [String]
  ) -> SystemError {
    let flags = path.isEmpty ? AT_EMPTY_PATH : 0
    let result = withVector(arguments) { argv in
      withVector(environment) { envp in
        path.withPathAddress {
          descriptor == AT_FDCWD && !path.isEmpty
            ? systemCall(Int(SYS_execve), $0, argv, envp)
            : systemCall(Int(SYS_execveat), word(descriptor), $0, argv, envp, word(flags))
        }
      }
    }
    return SystemError("exec", path, Errno(rawValue: Int32(-result)))
  }

  /// Calls `body` with the address of a null-terminated vector of C strings, valid for the call only.
  package static func withVector(_ strings: [String], _ body: (UInt) -> Int) -> Int {
    let bytes = strings.map { Array($0.utf8) + [0] }
    var offsets: [Int] = []
    var flat: [UInt8] = []
    for string in bytes {
      offsets.append(flat.count)
      flat.append(contentsOf: string)
    }
    // SAFETY: the vector's addresses point into `flat`, which both closures keep alive.
    return unsafe flat.withUnsafeBufferPointer { buffer in
      let base = UInt(bitPattern: buffer.baseAddress)
      let vector = offsets.map { base + UInt($0) } + [0]
      return unsafe vector.withUnsafeBufferPointer { body(UInt(bitPattern: $0.baseAddress)) }
    }
  }

  /// Ends this process at once, without running anything of the runtime's; by a trap where a seccomp filter lets it not exit.
  public static func exit(_ code: Int32) -> Never {
    _ = systemCall(Int(SYS_exit_group), word(code))
    immure_trap()
  }
}
