import CLinux

/// Short messages with descriptors between a process and its child, over a SOCK_SEQPACKET pair (unix(7), SCM_RIGHTS).
public enum PacketSocket {
  /// Most descriptors in one message (SCM_MAX_FD).
  public static let descriptorLimit = 253

  /// Sends one message; at most `descriptorLimit` descriptors go with it.
  public static func send(_ socket: Int32, _ bytes: [UInt8], descriptors: [Int32] = []) throws(SystemError) {
    let control = controlMessage(descriptors)
    // SAFETY: msghdr, iovec and both buffers live across the call; lengths are the buffers' own.
    let result = unsafe bytes.withUnsafeBufferPointer { data in
      unsafe control.withUnsafeBufferPointer { control in
        var vector = (UInt(bitPattern: data.baseAddress), UInt(data.count))
        return unsafe withUnsafeMutablePointer(to: &vector) { vector in
          var header = unsafe msghdr()
          unsafe header.msg_iov = UnsafeMutableRawPointer(vector).assumingMemoryBound(to: iovec.self)
          unsafe header.msg_iovlen = 1
          if !control.isEmpty {
            unsafe header.msg_control = UnsafeMutableRawPointer(mutating: control.baseAddress)
            unsafe header.msg_controllen = control.count
          }
          return unsafe withUnsafePointer(to: &header) { pointer in
            let address = UInt(bitPattern: pointer)
            return pastReset { systemCall(Int(SYS_sendmsg), word(socket), address, UInt(MSG_NOSIGNAL)) }
          }
        }
      }
    }
    try checked("sendmsg", "\(socket)", result)
  }

  /// Receives one message of at most `limit` bytes, and the descriptors that came with it, close-on-exec, appended to
  /// `descriptors` (the caller owns them). Empty when the other end is closed.
  public static func receive(
    _ socket: Int32, limit: Int = 4096, descriptors: inout [Int32]
  ) throws(SystemError) -> [UInt8] {
    var control = [UInt8](repeating: 0, count: 16 + 4 * descriptorLimit + 8)
    var controlLength = 0
    var failure = 0
    // SAFETY: the kernel fills at most the capacities it is told, and says how much.
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { storage, count in
      unsafe control.withUnsafeMutableBufferPointer { control in
        var vector = (UInt(bitPattern: storage.baseAddress), UInt(limit))
        unsafe withUnsafeMutablePointer(to: &vector) { vector in
          var header = unsafe msghdr()
          unsafe header.msg_iov = UnsafeMutableRawPointer(vector).assumingMemoryBound(to: iovec.self)
          unsafe header.msg_iovlen = 1
          unsafe header.msg_control = UnsafeMutableRawPointer(control.baseAddress)
          unsafe header.msg_controllen = control.count
          let result = unsafe withUnsafeMutablePointer(to: &header) { pointer in
            let address = UInt(bitPattern: pointer)
            return pastReset {
              systemCall(Int(SYS_recvmsg), word(socket), address, UInt(MSG_CMSG_CLOEXEC))
            }
          }
          if result < 0 { failure = result } else { count = result }
          unsafe controlLength = header.msg_controllen
        }
      }
    }
    try checked("recvmsg", "\(socket)", failure)
    descriptors += parse(control, controlLength)
    return bytes
  }

  /// The other end closed with a message of ours unread: the kernel tells that once, before what the other end had said (net/unix/af_unix.c,
  /// unix_release_sock; skb_try_recv_datagram asks for the error first). What it had said is there still, and then its end.
  private static func pastReset(_ call: () -> Int) -> Int {
    let result = retrying(call)
    return result == -Int(ECONNRESET) ? retrying(call) : result
  }

  /// One cmsghdr of SCM_RIGHTS: length (64 bits), level, type, then the descriptors, padded to 8 bytes.
  private static func controlMessage(_ descriptors: [Int32]) -> [UInt8] {
    if descriptors.isEmpty { return [] }
    var bytes: [UInt8] = []
    func append<T: FixedWidthInteger>(_ value: T) {
      for shift in stride(from: 0, to: T.bitWidth, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> T(shift))) }
    }
    append(UInt64(16 + 4 * descriptors.count))
    append(Int32(SOL_SOCKET))
    append(Int32(SCM_RIGHTS))
    for descriptor in descriptors { append(descriptor) }
    while bytes.count % 8 != 0 { bytes.append(0) }
    return bytes
  }

  private static func parse(_ control: [UInt8], _ length: Int) -> [Int32] {
    func number(_ offset: Int, _ count: Int) -> Int {
      (0..<count).reduce(0) { $0 | Int(control[offset + $1]) << (8 * $1) }
    }
    var descriptors: [Int32] = []
    var offset = 0
    while offset + 16 <= min(length, control.count) {
      let size = number(offset, 8)
      guard size >= 16, offset + size <= control.count else { break }
      if number(offset + 8, 4) == Int(SOL_SOCKET), number(offset + 12, 4) == Int(SCM_RIGHTS) {
        for at in stride(from: offset + 16, to: offset + size - 3, by: 4) {
          descriptors.append(Int32(truncatingIfNeeded: number(at, 4)))
        }
      }
      offset += (size + 7) & ~7
    }
    return descriptors
  }
}
