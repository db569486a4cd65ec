import CLinux

/// Packet sockets with a name in a folder (unix(7), SOCK_SEQPACKET): close-on-exec, and calls on them wait.
extension PacketSocket {
  /// Listens as `name` in the open folder, for the caller only (mode 0600).
  public static func listen(_ name: String, in directory: Int32, backlog: Int32 = 8) throws(SystemError)
    -> FileDescriptor
  {
    let socket = try make()
    let bound = UnixSocket.withAddress(name, directory) { systemCall(Int(SYS_bind), word(socket.rawValue), $0, $1) }
    try checked("bind", name, bound)
    // Nobody can connect before listen(2), so there is no moment in which others could.
    try File.changeMode(name, 0o600, at: directory)
    try checked("listen", name, systemCall(Int(SYS_listen), word(socket.rawValue), word(backlog)))
    return socket
  }

  /// Connects to `name` in the open folder; ECONNREFUSED when nobody listens any more.
  public static func connect(_ name: String, in directory: Int32) throws(SystemError) -> FileDescriptor {
    let socket = try make()
    let result = UnixSocket.withAddress(name, directory) { address, length in
      retrying { systemCall(Int(SYS_connect), word(socket.rawValue), address, length) }
    }
    try checked("connect", name, result)
    return socket
  }

  /// Waits for the next caller.
  public static func accept(_ listener: Int32) throws(SystemError) -> FileDescriptor {
    while true {
      let result = retrying { systemCall(Int(SYS_accept4), word(listener), 0, 0, UInt(O_CLOEXEC)) }
      // The caller went away again before it was served.
      if result == -Int(ECONNABORTED) { continue }
      return FileDescriptor(owning: Int32(try checked("accept4", "\(listener)", result)))
    }
  }

  private static func make() throws(SystemError) -> FileDescriptor {
    let packets: UInt = 5
    let result = systemCall(Int(SYS_socket), UInt(AF_UNIX), packets | UInt(O_CLOEXEC), 0)
    return FileDescriptor(owning: Int32(try checked("socket", "AF_UNIX", result)))
  }
}
