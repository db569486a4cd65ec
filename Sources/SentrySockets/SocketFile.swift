public import Linux
public import SentryABI
public import SentryFiles
public import SentryMemory
public import SentryWait

/// Who makes a socket call.
public struct SocketCaller {
  public let walk: PathWalk
  public let names: UnixNames
  public let process: Int32
  public var credentials: Credentials { walk.caller.credentials }
  public init(walk: PathWalk, names: UnixNames, process: Int32) {
    self.walk = walk
    self.names = names
    self.process = process
  }
}

/// struct ucred (unix(7)).
public struct PeerCredentials: Equatable, Sendable {
  public var process: Int32
  public var user: UInt32
  public var group: UInt32
  public init(process: Int32, user: UInt32, group: UInt32) {
    self.process = process
    self.user = user
    self.group = group
  }
  public static let size = 12
  public init(_ bytes: [UInt8], at start: Int) {
    process = Int32(bitPattern: bytes.little32(start))
    user = bytes.little32(start + 4)
    group = bytes.little32(start + 8)
  }
  public var encoded: [UInt8] {
    var bytes: [UInt8] = []
    for part in [UInt32(bitPattern: process), user, group] { bytes.append(little: part) }
    return bytes
  }
}

/// MSG_* of send(2) and recv(2).
public enum MessageFlags {
  public static let outOfBand: Int32 = 0x1
  public static let peek: Int32 = 0x2
  public static let controlTruncated: Int32 = 0x8
  public static let truncated: Int32 = 0x20
  public static let dontWait: Int32 = 0x40
  public static let waitAll: Int32 = 0x100
  public static let errorQueue: Int32 = 0x2000
  public static let noSignal: Int32 = 0x4000
  public static let more: Int32 = 0x8000
  public static let closesOnExec: Int32 = 0x4000_0000
}

/// What goes with the bytes of a send(2).
public struct OutgoingMessage {
  /// A struct sockaddr; nil for none.
  public var destination: [UInt8]?
  public var files: [OpenFile] = []
  public var credentials: PeerCredentials?
  /// Control messages for the host's own sockets, as the guest wrote them.
  public var control: [UInt8] = []
  public var flags: Int32 = 0
  public init() {}
}

/// What came with the bytes of a recv(2).
public struct IncomingMessage {
  /// Bytes moved; with MSG_TRUNC the whole length of the datagram.
  public var count = 0
  public var source: [UInt8] = []
  /// Held for whoever takes them.
  public var files: [OpenFile] = []
  public var credentials: PeerCredentials?
  public var control: [UInt8] = []
  public var flags: Int32 = 0
  public init() {}
}

/// A socket (socket(7)). As with every file nothing blocks: EAGAIN, and `blockedOn` or `queue` to wait in.
open class SocketFile: OpenFile {
  public final let domain: Int32
  /// SOCK_STREAM (1), SOCK_DGRAM (2) and so on.
  public final let kind: Int32
  public final let protocolNumber: Int32
  /// SO_RCVTIMEO and SO_SNDTIMEO, in nanoseconds; 0 for ever.
  public final var receiveTimeout: UInt64 = 0
  public final var sendTimeout: UInt64 = 0
  /// Where a send that threw EAGAIN waits, if not in `queue`.
  public final var blockedOn: WaitQueue?

  public init(domain: Int32, kind: Int32, protocolNumber: Int32, flags: Int32) {
    self.domain = domain
    self.kind = kind
    self.protocolNumber = protocolNumber
    super.init(flags: flags | 2)
  }

  /// POLLWRBAND of all but TCP (tcp_poll of net/ipv4/tcp.c).
  public final override var writableBands: UInt32 { domain != 1 && kind == 1 ? 0x100 : 0x300 }
  public final override var writesWhole: Bool { kind == 1 }

  open func bind(_ address: [UInt8], _ caller: SocketCaller) throws(Errno) { throw .notSupported }
  open func listen(_ backlog: Int32, _ caller: SocketCaller) throws(Errno) { throw .notSupported }
  /// - Throws: EAGAIN while nobody connects.
  open func accept() throws(Errno) -> SocketFile { throw .notSupported }
  /// - Throws: EAGAIN where it waits; EINPROGRESS if it is O_NONBLOCK.
  open func connect(_ address: [UInt8], _ caller: SocketCaller) throws(Errno) { throw .notSupported }
  open func send(_ buffer: inout GuestBuffer, _ message: OutgoingMessage, _ caller: SocketCaller?) throws(Errno) -> Int
  {
    throw .notSupported
  }
  open func receive(_ buffer: inout GuestBuffer, flags: Int32) throws(Errno) -> IncomingMessage { throw .notSupported }
  open func shutdown(_ how: Int32) throws(Errno) { throw .notSupported }
  /// struct sockaddr of its own.
  open func name() throws(Errno) -> [UInt8] { throw .notSupported }
  open func peerName() throws(Errno) -> [UInt8] { throw .notConnected }
  /// Who connected, as accept(2) tells.
  open func originName() throws(Errno) -> [UInt8] { try peerName() }
  /// getsockopt(2), but for what `SocketOptions` answers for all.
  open func option(_ level: Int32, _ name: Int32, limit: Int) throws(Errno) -> [UInt8] { throw .noSuchOption }
  open func setOption(_ level: Int32, _ name: Int32, _ value: [UInt8]) throws(Errno) { throw .noSuchOption }

  public final override func read(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    if buffer.remaining == 0 { return 0 }
    let message = try receive(&buffer, flags: 0)
    // read(2) has no place for descriptors.
    for file in message.files { file.release() }
    return message.count
  }

  public final override func write(_ buffer: inout GuestBuffer, at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    return try send(&buffer, OutgoingMessage(), nil)
  }
}
