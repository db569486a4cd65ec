import CLinux
public import Linux
public import SentryABI
public import SentryFiles
public import SentryMemory
public import SentryWait

/// An internet socket: one of the host's, in the sentry's own network namespace. What a guest says goes through copies; addresses,
/// options and control messages are passed on only as far as `HostSocketRules` names them.
public final class HostSocket: SocketFile {
  let descriptor: Int32
  private let events: HostEvents
  private let changes = WaitQueue()
  /// Who connected, where it was accepted.
  private var origin: [UInt8]?

  /// - Parameter kind: SOCK_STREAM or SOCK_DGRAM.
  /// - Throws: EAFNOSUPPORT and the like.
  public static func make(domain: Int32, kind: Int32, protocolNumber: Int32, flags: Int32, _ events: HostEvents)
    throws(Errno) -> HostSocket
  {
    guard HostSocketRules.domains.contains(domain) else { throw .familyNotSupported }
    if domain != HostSocketRules.netlink, !(0..<256).contains(protocolNumber) { throw .invalid }
    guard kind == 1 || kind == 2 || domain == HostSocketRules.netlink && kind == 3 else {
      throw kind == 3 ? .notPermitted : .typeNotSupported
    }
    if domain == HostSocketRules.netlink, protocolNumber != 0 { throw .protocolNotSupported }
    let result = systemCall(
      Int(SYS_socket), word(domain), word(kind | Int32(O_CLOEXEC | O_NONBLOCK)), word(protocolNumber))
    return try HostSocket(
      owning: try HostSocket.checked(result), domain: domain, kind: kind, protocolNumber: protocolNumber, flags: flags,
      events)
  }

  private init(
    owning descriptor: Int, domain: Int32, kind: Int32, protocolNumber: Int32, flags: Int32, _ events: HostEvents
  ) throws(Errno) {
    self.descriptor = Int32(truncatingIfNeeded: descriptor)
    self.events = events
    super.init(domain: domain, kind: kind, protocolNumber: protocolNumber, flags: flags)
    do throws(Errno) { try events.watch(self.descriptor, changes) } catch {
      _ = systemCall(Int(SYS_close), word(self.descriptor))
      throw error
    }
  }

  public override func released() {
    events.forget(descriptor)
    _ = systemCall(Int(SYS_close), word(descriptor))
  }

  public override var queue: WaitQueue? { changes }

  public override var readiness: PollEvents {
    // POLLRDHUP too.
    PollEvents(rawValue: UInt32(bitPattern: Readiness.now(descriptor, POLLIN | POLLOUT | POLLPRI | 0x2000)))
  }

  @discardableResult
  static func checked(_ result: Int) throws(Errno) -> Int {
    if result >= 0 { return result }
    // The sentry's own table is full, not the guest's.
    if result == -Int(EMFILE) { throw Errno(rawValue: ENFILE) }
    throw Errno(rawValue: Int32(truncatingIfNeeded: -result))
  }

  /// A call that takes an address.
  private func call(_ number: Int, _ address: [UInt8]) throws(Errno) -> Int {
    // SAFETY: the kernel reads the bytes of the array, alive across the call.
    try Self.checked(
      unsafe address.span.withUnsafeBytes { bytes in
        systemCall(number, word(descriptor), UInt(bitPattern: bytes.baseAddress), UInt(bytes.count))
      })
  }

  public override func bind(_ address: [UInt8], _ caller: SocketCaller) throws(Errno) {
    _ = try call(Int(SYS_bind), address)
  }

  public override func listen(_ backlog: Int32, _ caller: SocketCaller) throws(Errno) {
    try Self.checked(systemCall(Int(SYS_listen), word(descriptor), word(backlog)))
  }

  /// A call that waits looks again by the same call: only that tells the host's socket that its connection is complete.
  public override func connect(_ address: [UInt8], _ caller: SocketCaller) throws(Errno) {
    do throws(Errno) {
      _ = try call(Int(SYS_connect), address)
    } catch  where error == .inProgress || error == .alreadyConnecting {
      throw isNonBlocking ? error : .again
    }
  }

  public override func accept() throws(Errno) -> SocketFile {
    var bytes = [UInt8](repeating: 0, count: 128)
    var length: UInt32 = 128
    // SAFETY: the kernel fills at most `length` bytes of the array and tells how many.
    let result = unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe withUnsafeMutablePointer(to: &length) { length in
        systemCall(
          Int(SYS_accept4), word(descriptor), UInt(bitPattern: bytes.baseAddress), UInt(bitPattern: length),
          UInt(O_CLOEXEC | O_NONBLOCK))
      }
    }
    let socket = try HostSocket(
      owning: try Self.checked(result), domain: domain, kind: kind, protocolNumber: protocolNumber, flags: 0, events)
    socket.origin = Array(bytes.prefix(Int(min(length, 128))))
    return socket
  }

  public override func shutdown(_ how: Int32) throws(Errno) {
    try Self.checked(systemCall(Int(SYS_shutdown), word(descriptor), word(how)))
  }

  public override func name() throws(Errno) -> [UInt8] { try address(Int(SYS_getsockname)) }
  /// Also of one that has gone by then.
  public override func originName() throws(Errno) -> [UInt8] {
    if let origin { return origin }
    return try peerName()
  }
  public override func peerName() throws(Errno) -> [UInt8] { try address(Int(SYS_getpeername)) }

  private func address(_ number: Int) throws(Errno) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 128)
    var length: UInt32 = 128
    // SAFETY: the kernel fills at most `length` bytes of the array and tells how many.
    let result = unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe withUnsafeMutablePointer(to: &length) { length in
        systemCall(number, word(descriptor), UInt(bitPattern: bytes.baseAddress), UInt(bitPattern: length))
      }
    }
    try Self.checked(result)
    return Array(bytes.prefix(Int(min(length, 128))))
  }

  public override func send(_ buffer: inout GuestBuffer, _ message: OutgoingMessage, _ caller: SocketCaller?)
    throws(Errno)
    -> Int
  {
    guard message.files.isEmpty else { throw .invalid }
    if kind != 1, buffer.remaining > 65535 { throw .messageTooLong }
    var copy = buffer
    let wanted = min(buffer.remaining, 65536)
    var bytes = try copy.take(wanted)
    if kind != 1, bytes.count < wanted { throw .badAddress }
    if domain == HostSocketRules.netlink { HostSocketRules.restrictNetlink(&bytes) }
    let flags = message.flags & HostSocketRules.sendFlags | MessageFlags.dontWait | MessageFlags.noSignal
    let count = try transfer(
      Int(SYS_sendmsg), bytes, message.destination ?? [], message.control, flags)
    buffer.skip(count)
    return count
  }

  public override func store(_ bytes: [UInt8], at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    if domain == HostSocketRules.netlink { throw .invalid }
    return try transfer(Int(SYS_sendmsg), bytes, [], [], MessageFlags.dontWait | MessageFlags.noSignal)
  }

  /// sendmsg(2) of copies.
  private func transfer(_ number: Int, _ bytes: [UInt8], _ name: [UInt8], _ control: [UInt8], _ flags: Int32)
    throws(Errno)
    -> Int
  {
    var (bytes, name, control) = (bytes, name, control)
    // SAFETY: the kernel reads the three arrays, whose lengths it is told, alive across the call.
    let result = unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe name.withUnsafeMutableBytes { name in
        unsafe control.withUnsafeMutableBytes { control in
          var part = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
          return unsafe withUnsafeMutablePointer(to: &part) { part in
            var header = unsafe msghdr(
              msg_name: name.count > 0 ? name.baseAddress : nil, msg_namelen: UInt32(name.count), msg_iov: part,
              msg_iovlen: 1, msg_control: control.count > 0 ? control.baseAddress : nil, msg_controllen: control.count,
              msg_flags: 0)
            return unsafe withUnsafeMutablePointer(to: &header) { header in
              systemCall(number, word(descriptor), UInt(bitPattern: header), word(flags))
            }
          }
        }
      }
    }
    return try Self.checked(result)
  }

  public override func receive(_ buffer: inout GuestBuffer, flags: Int32) throws(Errno) -> IncomingMessage {
    var message = IncomingMessage()
    var bytes = [UInt8](repeating: 0, count: min(buffer.remaining, 65536))
    var name = [UInt8](repeating: 0, count: 128)
    var control = [UInt8](repeating: 0, count: 512)
    var told: (name: UInt32, control: Int, flags: Int32) = (0, 0, 0)
    let asked = flags & HostSocketRules.receiveFlags | MessageFlags.dontWait
    // SAFETY: the kernel fills at most the arrays' lengths, which it is told, and tells how much; all are alive across the call.
    let result = unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe name.withUnsafeMutableBytes { name in
        unsafe control.withUnsafeMutableBytes { control in
          var part = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
          return unsafe withUnsafeMutablePointer(to: &part) { part in
            var header = unsafe msghdr(
              msg_name: name.baseAddress, msg_namelen: 128, msg_iov: part, msg_iovlen: 1,
              msg_control: control.baseAddress, msg_controllen: control.count, msg_flags: 0)
            let result = unsafe withUnsafeMutablePointer(to: &header) { header in
              systemCall(Int(SYS_recvmsg), word(descriptor), UInt(bitPattern: header), word(asked))
            }
            unsafe told = (header.msg_namelen, header.msg_controllen, header.msg_flags)
            return result
          }
        }
      }
    }
    try Self.checked(result)
    message.source = Array(name.prefix(Int(min(told.name, 128))))
    message.control = Array(control.prefix(told.control))
    message.flags = told.flags & ~MessageFlags.closesOnExec
    message.count = result
    bytes.removeLast(max(0, bytes.count - result))
    let put = try buffer.put(bytes)
    if kind == 1 { message.count = put }
    return message
  }

  public override func option(_ level: Int32, _ name: Int32, limit: Int) throws(Errno) -> [UInt8] {
    guard HostSocketRules.isReadable(level, name) else { throw .noSuchOption }
    var bytes = [UInt8](repeating: 0, count: max(0, min(limit, 512)))
    var length = UInt32(bytes.count)
    // SAFETY: the kernel fills at most `length` bytes of the array and tells how many.
    let result = unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe withUnsafeMutablePointer(to: &length) { length in
        systemCall(
          Int(SYS_getsockopt), word(descriptor), word(level), word(name), UInt(bitPattern: bytes.baseAddress),
          UInt(bitPattern: length))
      }
    }
    try Self.checked(result)
    return Array(bytes.prefix(Int(min(length, 512))))
  }

  public override func setOption(_ level: Int32, _ name: Int32, _ value: [UInt8]) throws(Errno) {
    guard HostSocketRules.isWritable(level, name) else { throw .noSuchOption }
    // SAFETY: the kernel reads the bytes of the array, alive across the call.
    try Self.checked(
      unsafe value.span.withUnsafeBytes { bytes in
        systemCall(
          Int(SYS_setsockopt), word(descriptor), word(level), word(name), UInt(bitPattern: bytes.baseAddress),
          UInt(bytes.count))
      })
  }

  public override func control(_ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller) throws(Errno) -> Int64
  {
    try Self.control(descriptor, request, argument, caller)
  }

  /// Questions about interfaces, which sockets of any family answer.
  static func askInterface(_ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller) throws(Errno) -> Int64 {
    let result = try checked(systemCall(Int(SYS_socket), 2, UInt(2 | O_CLOEXEC), 0))
    let descriptor = FileDescriptor(owning: Int32(truncatingIfNeeded: result))
    return try control(descriptor.rawValue, request, argument, caller)
  }

  private static func control(
    _ descriptor: Int32, _ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller
  ) throws(Errno) -> Int64 {
    if request == HostSocketRules.listInterfaces { return try interfaces(descriptor, argument, caller) }
    guard let size = HostSocketRules.requests[request] else { throw .notTerminal }
    var bytes = try caller.memory.bytes(argument.address, count: size)
    // SAFETY: the kernel reads and fills as many bytes as the request says, and the array has them.
    let result = unsafe bytes.withUnsafeMutableBytes { bytes in
      systemCall(Int(SYS_ioctl), word(descriptor), UInt(request), UInt(bitPattern: bytes.baseAddress))
    }
    try checked(result)
    try caller.memory.store(bytes, at: argument.address)
    return Int64(result)
  }

  /// SIOCGIFCONF: struct ifconf, whose pointer is the guest's: a list of the sentry's own goes to the host instead (netdevice(7)).
  private static func interfaces(_ descriptor: Int32, _ argument: GuestWord, _ caller: ControlCaller) throws(Errno)
    -> Int64
  {
    let asked = try caller.memory.bytes(argument.address, count: 16)
    let (room, address) = (Int32(bitPattern: asked.little32(0)), GuestWord(asked.little64(8)).address)
    guard room >= 0 else { throw .invalid }
    // Without a place for them their size is asked; there are never as many as this.
    var list = [UInt8](repeating: 0, count: address.isNull ? 0 : min(Int(room), 64 << 10))
    var length: Int32 = 0
    // SAFETY: the kernel fills at most as many bytes of the array as the structure says, and tells how many; both are alive across the call.
    let result = unsafe list.withUnsafeMutableBytes { list in
      var question = (
        Int64(list.count), UInt64(address.isNull ? 0 : UInt(bitPattern: list.baseAddress))
      )
      let result = unsafe withUnsafeMutablePointer(to: &question) { question in
        systemCall(
          Int(SYS_ioctl), word(descriptor), UInt(HostSocketRules.listInterfaces), UInt(bitPattern: question))
      }
      length = Int32(truncatingIfNeeded: question.0)
      return result
    }
    try checked(result)
    if !address.isNull {
      list.removeLast(list.count - min(list.count, Int(max(0, length))))
      if !list.isEmpty { try caller.memory.store(list, at: address) }
    }
    try caller.memory.store(length, at: argument.address)
    return 0
  }
}
