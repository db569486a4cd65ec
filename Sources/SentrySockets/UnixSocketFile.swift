public import Linux
public import SentryABI
public import SentryFiles
public import SentryMemory
public import SentryWait

/// A unix socket (unix(7)): stream, datagram or sequenced packets.
public final class UnixSocketFile: SocketFile {
  struct Record {
    var bytes: [UInt8]
    var start = 0
    var files: [OpenFile] = []
    var credentials: PeerCredentials
    var source: UnixAddress
    var left: Int { bytes.count - start }
  }
  /// What a socket's queue holds, in bytes (net.core.wmem_default), and in datagrams (net.unix.max_dgram_qlen).
  static let standardBuffer = 212_992
  static let longestQueue = 512

  let changes = WaitQueue()
  /// Those who wait for room here.
  let room = WaitQueue()
  var records: [Record] = []
  var queued = 0
  /// What its records take of `QueuedBytes`.
  private var charged = 0
  var sendBuffer = UnixSocketFile.standardBuffer
  var receiveBuffer = UnixSocketFile.standardBuffer
  var address: UnixAddress = .unnamed
  unowned let names: UnixNames
  var boundInode: Inode?
  /// Whom it is connected to.
  var peer: UnixSocketFile?
  /// The name of one that was connected and has gone.
  var lastPeer: UnixAddress?
  /// Datagram sockets that are connected to this one.
  var connectedFrom: [ObjectIdentifier: UnixSocketFile] = [:]
  var peerCredentials: PeerCredentials?
  /// A datagram socket whose peer has gone: its next send says so.
  var isRefused = false
  let creator: PeerCredentials
  /// Accepting, with those who connected and were not accepted yet.
  var backlog: Int?
  var pending: [UnixSocketFile] = []
  var isReadShut = false
  var isWriteShut = false
  var isReleased = false
  var passesCredentials = false
  /// SO_LINGER, and what else is remembered without effect, by the option's number.
  var isLingering = false
  var kept: [Int32: Int32] = [:]
  /// SO_ERROR.
  var failure: Errno?

  public init(kind: Int32, flags: Int32, names: UnixNames, creator: PeerCredentials) {
    self.names = names
    self.creator = creator
    super.init(domain: 1, kind: kind, protocolNumber: 0, flags: flags)
  }

  func charge(_ bytes: Int) {
    charged += bytes
    QueuedBytes.add(bytes)
  }
  deinit { QueuedBytes.add(-charged) }

  var isConnecting: Bool { kind != 2 }
  /// Its inode's.
  var number: UInt64 { inode?.number ?? 0 }

  /// socketpair(2).
  public static func pair(kind: Int32, flags: Int32, names: UnixNames, creator: PeerCredentials) -> (
    UnixSocketFile, UnixSocketFile
  ) {
    let one = UnixSocketFile(kind: kind, flags: flags, names: names, creator: creator)
    let two = UnixSocketFile(kind: kind, flags: flags, names: names, creator: creator)
    one.join(two)
    two.join(one)
    return (one, two)
  }

  func join(_ other: UnixSocketFile) {
    peer = other
    peerCredentials = other.creator
    if kind == 2 { other.connectedFrom[ObjectIdentifier(self)] = self }
  }

  public override var queue: WaitQueue? { changes }

  public override var readiness: PollEvents {
    var events: PollEvents = []
    if backlog != nil {
      return pending.isEmpty ? [] : .readable
    }
    if !records.isEmpty { events.insert(.readable) }
    let isEnded = isConnecting && (peer == nil || peer?.isReleased == true)
    if isReadShut || isEnded && peerCredentials != nil || peer?.isWriteShut == true && isConnecting {
      events.formUnion([.readable, .readHangup])
    }
    if isConnecting && isEnded || isReadShut && isWriteShut { events.insert(.hangup) }
    if failure != nil { events.insert(.error) }
    if canSend { events.insert(.writable) }
    return events
  }

  private var canSend: Bool {
    guard let peer, !peer.isReleased else { return true }
    return peer.hasRoom(sender: self)
  }

  func hasRoom(sender: UnixSocketFile) -> Bool {
    records.count < Self.longestQueue && !QueuedBytes.isFull
      && (kind == 2 ? queued < receiveBuffer : queued < sender.sendBuffer)
  }

  public override func released() {
    isReleased = true
    switch address {
    case .abstract(let name): names.give(name)
    case .path: if boundInode?.attachment === self { boundInode?.attachment = nil }
    case .unnamed: break
    }
    if address != .unnamed { names.remove(self) }
    boundInode = nil
    let hadData = !records.isEmpty
    let files = records.flatMap(\.files)
    names.inFlight -= files.count
    names.letGo(files)
    records.removeAll()
    queued = 0
    charge(-charged)
    for socket in pending { socket.retain() }
    names.letGo(pending)
    pending.removeAll()
    if let peer {
      if kind == 2 {
        peer.connectedFrom[ObjectIdentifier(self)] = nil
      } else if hadData {
        peer.failure = .connectionReset
      }
      peer.changes.wake([.readable, .writable, .hangup, .readHangup])
      if isConnecting {
        peer.lastPeer = address
        peer.peer = nil
      }
    }
    for socket in connectedFrom.values where socket.peer === self {
      socket.isRefused = true
      socket.lastPeer = address
      socket.peer = nil
      socket.changes.wake(.writable)
    }
    connectedFrom.removeAll()
    peer = nil
    room.wake(.any)
  }

  public override func shutdown(_ how: Int32) throws(Errno) {
    guard (0...2).contains(how) else { throw .invalid }
    if how != 1 { isReadShut = true }
    if how != 0 { isWriteShut = true }
    let both: PollEvents = [.readable, .writable, .readHangup, .hangup]
    changes.wake(both)
    room.wake(.any)
    if isConnecting { peer?.changes.wake(both) }
  }

  public override func name() throws(Errno) -> [UInt8] { address.encoded }
  public override func peerName() throws(Errno) -> [UInt8] {
    guard let name = peer?.address ?? lastPeer else { throw .notConnected }
    return name.encoded
  }

  public override func bind(_ address: [UInt8], _ caller: SocketCaller) throws(Errno) { try bindName(address, caller) }
  public override func listen(_ backlog: Int32, _ caller: SocketCaller) throws(Errno) {
    try startListening(backlog, caller)
  }
  public override func connect(_ address: [UInt8], _ caller: SocketCaller) throws(Errno) {
    try connectTo(address, caller)
  }
  public override func accept() throws(Errno) -> SocketFile { try acceptNext() }
  public override func send(_ buffer: inout GuestBuffer, _ message: OutgoingMessage, _ caller: SocketCaller?)
    throws(Errno) -> Int
  { try sendMessage(&buffer, message, caller) }
  public override func receive(_ buffer: inout GuestBuffer, flags: Int32) throws(Errno) -> IncomingMessage {
    try receiveMessage(&buffer, flags: flags)
  }
  public override func control(_ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller) throws(Errno) -> Int64
  {
    try answer(request, argument, caller)
  }
  public override func option(_ level: Int32, _ name: Int32, limit: Int) throws(Errno) -> [UInt8] {
    try ownOption(level, name, limit: limit)
  }
  public override func setOption(_ level: Int32, _ name: Int32, _ value: [UInt8]) throws(Errno) {
    try setOwnOption(level, name, value)
  }

  public override func store(_ bytes: [UInt8], at offset: Int64?) throws(Errno) -> Int {
    if offset != nil { throw .illegalSeek }
    return try storeStream(bytes)
  }
}
