import CLinux

/// Stream sockets with a name in a folder (unix(7)). All are close-on-exec and non-blocking.
public enum UnixSocket {
  /// Listens as `name` in the open folder, for the caller only (mode 0600); a dead socket of that name is replaced.
  public static func listen(_ name: String, in directory: Int32, backlog: Int32 = 16) throws(SystemError)
    -> FileDescriptor
  {
    let socket = try make()
    do { try File.remove(name, at: directory) } catch  where error.errno == .noEntry {}
    let bound = withAddress(name, directory) { systemCall(Int(SYS_bind), word(socket.rawValue), $0, $1) }
    try checked("bind", name, bound)
    // Nobody can connect before listen(2), so there is no moment in which others could.
    try File.changeMode(name, 0o600, at: directory)
    try checked("listen", name, systemCall(Int(SYS_listen), word(socket.rawValue), word(backlog)))
    return socket
  }

  /// Connects to `name` in the open folder; ECONNREFUSED when nobody listens any more.
  public static func connect(_ name: String, in directory: Int32) throws(SystemError) -> FileDescriptor {
    let socket = try make()
    let result = withAddress(name, directory) { address, length in
      retrying { systemCall(Int(SYS_connect), word(socket.rawValue), address, length) }
    }
    try checked("connect", name, result)
    return socket
  }

  /// The next caller; nil when there is none.
  public static func accept(_ listener: Int32) throws(SystemError) -> FileDescriptor? {
    let result = retrying {
      systemCall(Int(SYS_accept4), word(listener), 0, 0, UInt(O_CLOEXEC | O_NONBLOCK))
    }
    if result == -Int(EAGAIN) || result == -Int(ECONNABORTED) { return nil }
    return FileDescriptor(owning: Int32(try checked("accept4", "", result)))
  }

  private static func make() throws(SystemError) -> FileDescriptor {
    let result = systemCall(Int(SYS_socket), UInt(AF_UNIX), 1 | UInt(O_CLOEXEC | O_NONBLOCK), 0)
    return FileDescriptor(owning: Int32(try checked("socket", "AF_UNIX", result)))
  }

  /// A folder's path may be longer than the 107 bytes an address holds: it is named by its descriptor.
  static func withAddress(_ name: String, _ directory: Int32, _ body: (UInt, UInt) -> Int) -> Int {
    let path = Array("/proc/self/fd/\(directory)/\(name)".utf8)
    if path.count > 107 { return -Int(ENAMETOOLONG) }
    let bytes = [UInt8(AF_UNIX), 0] + path + [0]
    // SAFETY: the kernel reads the address within the call.
    return unsafe bytes.withUnsafeBytes { body(UInt(bitPattern: $0.baseAddress), UInt($0.count)) }
  }

  /// Sends bytes without SIGPIPE and without waiting; how many went, 0 when there is no room now.
  public static func send(_ socket: Int32, _ bytes: Span<UInt8>) throws(SystemError) -> Int {
    // SAFETY: the kernel reads within the span's bounds.
    let result = unsafe bytes.withUnsafeBytes { buffer in
      let address = UInt(bitPattern: buffer.baseAddress)
      let count = UInt(buffer.count)
      return retrying {
        systemCall(Int(SYS_sendto), word(socket), address, count, UInt(MSG_NOSIGNAL | MSG_DONTWAIT))
      }
    }
    if result == -Int(EAGAIN) { return 0 }
    return try checked("send", "\(socket)", result)
  }
}
