import CLinux

/// Non-blocking TCP and UDP sockets (ip(7), tcp(7), udp(7)).
public enum InternetSocket {
  /// struct sockaddr_in of an address and port.
  public static func address(_ address: IPv4Address, port: UInt16) -> [UInt8] {
    NetlinkMessage.raw(UInt16(AF_INET)) + [UInt8(port >> 8), UInt8(port & 0xFF)] + address.bytes
      + [UInt8](repeating: 0, count: 8)
  }

  /// struct sockaddr_in6 of every address of this host, IPv4's too.
  public static func anyAddress(port: UInt16) -> [UInt8] {
    NetlinkMessage.raw(UInt16(AF_INET6)) + [UInt8(port >> 8), UInt8(port & 0xFF)] + [UInt8](repeating: 0, count: 24)
  }

  public static func open(_ family: Int32, datagrams: Bool) throws(SystemError) -> FileDescriptor {
    let type: UInt = (datagrams ? 2 : 1) | UInt(O_CLOEXEC) | UInt(O_NONBLOCK)
    return FileDescriptor(
      owning: Int32(
        try checked(
          "socket", family == AF_INET6 ? "AF_INET6" : "AF_INET", systemCall(Int(SYS_socket), UInt(family), type, 0))))
  }

  /// A socket bound to `address` (and listening, for TCP).
  public static func listen(on address: [UInt8], datagrams: Bool) throws(SystemError) -> FileDescriptor {
    let family = Int32(address[0])
    let socket = try open(family, datagrams: datagrams)
    let socketLevel: UInt = 1
    let reuseAddress: UInt = 2
    if !datagrams { try setOption(socket.rawValue, socketLevel, reuseAddress, 1) }
    let ipv6Level: UInt = 41
    let onlyIPv6: UInt = 26
    if family == AF_INET6 { try setOption(socket.rawValue, ipv6Level, onlyIPv6, 0) }
    try checked("bind", "", withAddress(address) { systemCall(Int(SYS_bind), word(socket.rawValue), $0, $1) })
    if !datagrams { try checked("listen", "", systemCall(Int(SYS_listen), word(socket.rawValue), 128)) }
    return socket
  }

  private static func setOption(_ socket: Int32, _ level: UInt, _ option: UInt, _ value: Int32) throws(SystemError) {
    var value = value
    // SAFETY: the kernel reads one Int32.
    let result = unsafe withUnsafePointer(to: &value) {
      systemCall(Int(SYS_setsockopt), word(socket), level, option, UInt(bitPattern: $0), 4)
    }
    try checked("setsockopt", "\(option)", result)
  }

  /// Begins to connect; a TCP socket becomes writable when it is done.
  public static func connect(_ socket: Int32, to address: [UInt8]) throws(SystemError) {
    let result = withAddress(address) { systemCall(Int(SYS_connect), word(socket), $0, $1) }
    if result == -Int(EINPROGRESS) { return }
    try checked("connect", "", result)
  }

  /// The next connection, non-blocking; nil when none waits.
  public static func accept(_ socket: Int32) throws(SystemError) -> FileDescriptor? {
    let flags = UInt(O_CLOEXEC) | UInt(O_NONBLOCK)
    let result = retrying { systemCall(Int(SYS_accept4), word(socket), 0, 0, flags) }
    if result == -Int(EAGAIN) || result == -Int(ECONNABORTED) { return nil }
    return FileDescriptor(owning: Int32(try checked("accept4", "\(socket)", result)))
  }

  /// No more will be sent (shutdown(2), SHUT_WR).
  public static func finishSending(_ socket: Int32) { _ = systemCall(Int(SYS_shutdown), word(socket), 1) }

  /// One datagram and its sender's address; nil when none waits.
  public static func receive(_ socket: Int32) throws(SystemError) -> (bytes: [UInt8], from: [UInt8])? {
    var from = [UInt8](repeating: 0, count: 128)
    var fromLength: UInt32 = 128
    var outcome = 0
    // SAFETY: the kernel fills at most the capacities given, and says how much of each.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 65536) { storage, count in
      let address = UInt(bitPattern: storage.baseAddress)
      outcome = unsafe from.withUnsafeMutableBufferPointer { sender in
        let sender = UInt(bitPattern: sender.baseAddress)
        return unsafe withUnsafeMutablePointer(to: &fromLength) { length in
          let length = UInt(bitPattern: length)
          return retrying { systemCall(Int(SYS_recvfrom), word(socket), address, 65536, 0, sender, length) }
        }
      }
      count = max(outcome, 0)
    }
    if outcome == -Int(EAGAIN) { return nil }
    try checked("recvfrom", "\(socket)", outcome)
    return (bytes, Array(from.prefix(Int(min(fromLength, 128)))))
  }

  /// Sends one datagram; to the connected peer without an address.
  public static func send(_ socket: Int32, _ bytes: [UInt8], to address: [UInt8] = []) throws(SystemError) {
    // SAFETY: the kernel reads both arrays during the call.
    let result = unsafe bytes.withUnsafeBufferPointer { data in
      let data = UInt(bitPattern: data.baseAddress)
      return withAddress(address) { pointer, length in
        systemCall(
          Int(SYS_sendto), word(socket), data, UInt(bytes.count), UInt(MSG_NOSIGNAL), length == 0 ? 0 : pointer, length)
      }
    }
    try checked("sendto", "\(socket)", result)
  }

  /// Sends what fits of a stream's bytes from `offset`; 0 when nothing does now.
  public static func write(_ socket: Int32, _ bytes: [UInt8], from offset: Int) throws(SystemError) -> Int {
    // SAFETY: the kernel reads within the array.
    let result = unsafe bytes.withUnsafeBufferPointer { buffer in
      let address = UInt(bitPattern: buffer.baseAddress) + UInt(offset)
      return retrying {
        systemCall(Int(SYS_sendto), word(socket), address, UInt(buffer.count - offset), UInt(MSG_NOSIGNAL), 0, 0)
      }
    }
    if result == -Int(EAGAIN) { return 0 }
    return try checked("send", "\(socket)", result)
  }

  private static func withAddress(_ address: [UInt8], _ body: (UInt, UInt) -> Int) -> Int {
    // SAFETY: the kernel reads `count` bytes of the array during the call.
    unsafe address.withUnsafeBufferPointer { body(UInt(bitPattern: $0.baseAddress), UInt($0.count)) }
  }
}
