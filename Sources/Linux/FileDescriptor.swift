import CLinux

/// An owned file descriptor: closed when it goes out of scope.
public struct FileDescriptor: ~Copyable, Sendable {
  public let rawValue: Int32

  /// Takes ownership of a descriptor that nobody else closes.
  public init(owning rawValue: Int32) { self.rawValue = rawValue }

  deinit { _ = systemCall(Int(SYS_close), word(rawValue)) }

  /// Gives the descriptor up without closing it.
  public consuming func release() -> Int32 {
    let value = rawValue
    discard self
    return value
  }

  /// A second descriptor for the same open file, close-on-exec (fcntl(2), F_DUPFD_CLOEXEC).
  public func duplicate(atLeast minimum: Int32 = 3) throws(SystemError) -> FileDescriptor {
    try FileDescriptor.duplicate(rawValue, atLeast: minimum)
  }

  /// A close-on-exec copy of a descriptor that somebody else owns.
  public static func duplicate(_ raw: Int32, atLeast minimum: Int32 = 3) throws(SystemError) -> FileDescriptor {
    FileDescriptor(
      owning: Int32(
        try checked(
          "fcntl(F_DUPFD_CLOEXEC)", "\(raw)",
          systemCall(Int(SYS_fcntl), word(raw), UInt(F_DUPFD_CLOEXEC), word(minimum)))))
  }

  /// Sets or clears close-on-exec.
  public static func setCloseOnExec(_ raw: Int32, _ on: Bool) throws(SystemError) {
    try checked(
      "fcntl(F_SETFD)", "\(raw)", systemCall(Int(SYS_fcntl), word(raw), UInt(F_SETFD), on ? UInt(FD_CLOEXEC) : 0))
  }

  /// Sets or clears O_NONBLOCK on the open file.
  public static func setNonBlocking(_ raw: Int32, _ on: Bool) throws(SystemError) {
    let flags = try checked("fcntl(F_GETFL)", "\(raw)", systemCall(Int(SYS_fcntl), word(raw), UInt(F_GETFL)))
    let wanted = on ? flags | Int(O_NONBLOCK) : flags & ~Int(O_NONBLOCK)
    try checked("fcntl(F_SETFL)", "\(raw)", systemCall(Int(SYS_fcntl), word(raw), UInt(F_SETFL), UInt(wanted)))
  }

  /// Marks every descriptor from `first` up close-on-exec (close_range(2), Linux 5.11), or closes them at once.
  public static func closeRange(from first: UInt32, onExecOnly: Bool = true) throws(SystemError) {
    let closeOnExec: UInt = 1 << 2
    try checked(
      "close_range", "\(first)-",
      systemCall(
        Int(IMMURE_SYS_close_range), UInt(first), UInt(UInt32.max), onExecOnly ? closeOnExec : 0))
  }
}

/// The two ends of a pipe or socket pair.
public struct DescriptorPair: ~Copyable, Sendable {
  public var first: FileDescriptor
  public var second: FileDescriptor

  init(_ raw: (Int32, Int32)) {
    first = FileDescriptor(owning: raw.0)
    second = FileDescriptor(owning: raw.1)
  }

  /// A close-on-exec pipe: `first` reads, `second` writes (pipe2(2)).
  public static func pipe(nonBlocking: Bool = false) throws(SystemError) -> DescriptorPair {
    var ends: (Int32, Int32) = (-1, -1)
    let flags = UInt(O_CLOEXEC) | (nonBlocking ? UInt(O_NONBLOCK) : 0)
    // SAFETY: pipe2 fills the two Int32 of the tuple, which are laid out in order.
    let result = unsafe withUnsafeMutablePointer(to: &ends) { pointer in
      systemCall(Int(SYS_pipe2), UInt(bitPattern: pointer), flags)
    }
    try checked("pipe2", "", result)
    return DescriptorPair(ends)
  }

  /// A connected pair of Unix sockets, close-on-exec (socketpair(2)); `type` is SOCK_STREAM or SOCK_SEQPACKET.
  public static func sockets(sequencedPackets: Bool = false) throws(SystemError) -> DescriptorPair {
    var ends: (Int32, Int32) = (-1, -1)
    let type: UInt = (sequencedPackets ? 5 : 1) | UInt(O_CLOEXEC)
    // SAFETY: socketpair fills the two Int32 of the tuple, which are laid out in order.
    let result = unsafe withUnsafeMutablePointer(to: &ends) { pointer in
      systemCall(Int(SYS_socketpair), UInt(AF_UNIX), type, 0, UInt(bitPattern: pointer))
    }
    try checked("socketpair", "", result)
    return DescriptorPair(ends)
  }

  /// Gives both descriptors up.
  public consuming func release() -> (first: Int32, second: Int32) {
    (first.release(), second.release())
  }
}

extension FileDescriptor {
  /// Makes `number` another name for the open file `raw`, not close-on-exec, closing what it was before (dup3(2)).
  public static func replace(_ number: Int32, with raw: Int32) throws(SystemError) {
    if number == raw { return try setCloseOnExec(raw, false) }
    try checked("dup3", "\(raw) -> \(number)", systemCall(Int(SYS_dup3), word(raw), word(number), 0))
  }

  /// These descriptors become `first` and the numbers after it, not close-on-exec; copied out of the way first, for they may be each
  /// other's numbers. What had those numbers is closed: the caller keeps its own above them.
  public static func handOver(_ given: [Int32], from first: Int32) throws(SystemError) {
    var copies: [Int32] = []
    defer { for copy in copies { _ = systemCall(Int(SYS_close), word(copy)) } }
    for descriptor in given {
      copies.append(try duplicate(descriptor, atLeast: max(64, first + Int32(given.count))).release())
    }
    for (index, copy) in copies.enumerated() { try replace(first + Int32(index), with: copy) }
  }
}

extension FileDescriptor {
  /// Whether there is an open file of that number.
  public static func isOpen(_ raw: Int32) -> Bool { systemCall(Int(SYS_fcntl), word(raw), UInt(F_GETFD)) >= 0 }
}
