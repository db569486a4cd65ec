import CLinux

/// A route-netlink socket of the network namespace that this process is in when it opens it (rtnetlink(7)).
public struct RouteSocket: ~Copyable, Sendable {
  private let descriptor: FileDescriptor

  public init() throws(SystemError) {
    let raw: UInt = 3
    descriptor = FileDescriptor(
      owning: Int32(
        try checked(
          "socket", "AF_NETLINK", systemCall(Int(SYS_socket), UInt(AF_NETLINK), raw | UInt(O_CLOEXEC), 0))))
  }

  /// Sends a request and waits for the kernel's acknowledgement; `what` names it in errors.
  public borrowing func perform(_ message: NetlinkMessage, _ what: String) throws(SystemError) {
    try send(message, what)
    try receive(what) { _, _ in }
  }

  /// Sends a dump request and hands each answer's type and body (after the netlink header) to `visit`.
  public borrowing func dump(
    _ message: NetlinkMessage, _ what: String, _ visit: (UInt16, ArraySlice<UInt8>) -> Void
  ) throws(SystemError) {
    try send(message, what)
    try receive(what, visit)
  }

  private borrowing func send(_ message: NetlinkMessage, _ what: String) throws(SystemError) {
    let bytes = message.finished
    // SAFETY: the kernel reads `count` bytes of the array during the call.
    let result = unsafe bytes.withUnsafeBufferPointer { buffer in
      let address = UInt(bitPattern: buffer.baseAddress)
      return retrying { systemCall(Int(SYS_sendto), word(descriptor.rawValue), address, UInt(buffer.count), 0, 0, 0) }
    }
    try checked("netlink", what, result)
  }

  /// Reads answers until the acknowledgement, the end of a dump, or an error.
  private borrowing func receive(
    _ what: String, _ visit: (UInt16, ArraySlice<UInt8>) -> Void
  ) throws(SystemError) {
    let errorType: UInt16 = 2
    let doneType: UInt16 = 3
    while true {
      let bytes = try File.read(descriptor.rawValue, atMost: 64 << 10)
      var offset = 0
      while offset + 16 <= bytes.count {
        let length = Int(Netlink.number(bytes[offset...], at: 0, UInt32.self))
        let type = Netlink.number(bytes[offset...], at: 4, UInt16.self)
        guard length >= 16, offset + length <= bytes.count else { throw SystemError("netlink", what, .inputOutput) }
        let body = bytes[(offset + 16)..<(offset + length)]
        switch type {
        case errorType:
          let code = Netlink.number(body, at: 0, Int32.self)
          if code != 0 { throw SystemError("netlink", what, Errno(rawValue: -code)) }
          return
        case doneType: return
        default: visit(type, body)
        }
        offset += (length + 3) & ~3
      }
      if bytes.isEmpty { throw SystemError("netlink", what, .inputOutput) }
    }
  }
}

/// Reading of netlink answers.
package enum Netlink {
  /// The number `offset` bytes into a slice, 0 where the slice ends before.
  package static func number<Number: FixedWidthInteger>(
    _ bytes: ArraySlice<UInt8>, at offset: Int, _ type: Number.Type
  ) -> Number {
    let start = bytes.startIndex + offset
    let size = Number.bitWidth / 8
    guard start >= bytes.startIndex, start + size <= bytes.endIndex else { return 0 }
    var value: Number = 0
    for index in (0..<size).reversed() { value = (value << 8) | Number(truncatingIfNeeded: bytes[start + index]) }
    return value
  }

  /// The attributes after a fixed struct of `header` bytes: type without its flags, and payload.
  package static func attributes(_ body: ArraySlice<UInt8>, after header: Int) -> [(UInt16, ArraySlice<UInt8>)] {
    var result: [(UInt16, ArraySlice<UInt8>)] = []
    var offset = body.startIndex + header
    while offset + 4 <= body.endIndex {
      let length = Int(number(body[offset...], at: 0, UInt16.self))
      guard length >= 4, offset + length <= body.endIndex else { break }
      result.append((number(body[offset...], at: 2, UInt16.self) & 0x3FFF, body[(offset + 4)..<(offset + length)]))
      offset += (length + 3) & ~3
    }
    return result
  }
}
