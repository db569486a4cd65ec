import CLinux
import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryWait

/// Sending and receiving.
extension UnixSocketFile {
  func sendMessage(_ buffer: inout GuestBuffer, _ message: OutgoingMessage, _ caller: SocketCaller?)
    throws(Errno)
    -> Int
  {
    blockedOn = nil
    if message.flags & MessageFlags.outOfBand != 0 { throw .notSupported }
    if isWriteShut { throw .brokenPipe }
    let credentials = message.credentials ?? self.credentials(caller)
    return kind == 1
      ? try sendStream(&buffer, message, credentials) : try sendRecord(&buffer, message, caller, credentials)
  }

  private func credentials(_ caller: SocketCaller?) -> PeerCredentials {
    guard let caller else { return creator }
    return PeerCredentials(
      process: caller.process, user: caller.credentials.user, group: caller.credentials.group)
  }

  private func sendStream(_ buffer: inout GuestBuffer, _ message: OutgoingMessage, _ credentials: PeerCredentials)
    throws(Errno) -> Int
  {
    if message.destination?.isEmpty == false { throw peerCredentials == nil ? .notSupported : .isConnected }
    guard let peer else { throw peerCredentials == nil ? .notConnected : .brokenPipe }
    if peer.isReadShut || peer.isReleased { throw .brokenPipe }
    if buffer.remaining == 0 { return 0 }
    let space = QueuedBytes.bound(sendBuffer) - peer.queued
    if space <= 0 { throw .again }
    let bytes = try buffer.take(min(space, 65536))
    peer.append(Record(bytes: bytes, files: message.files, credentials: credentials, source: address))
    return bytes.count
  }

  /// What the sentry itself sends on a stream (sendfile(2), splice(2)).
  func storeStream(_ bytes: [UInt8]) throws(Errno) -> Int {
    guard kind == 1 else { throw .invalid }
    if isWriteShut { throw .brokenPipe }
    guard let peer else { throw peerCredentials == nil ? .notConnected : .brokenPipe }
    if peer.isReadShut || peer.isReleased { throw .brokenPipe }
    let space = QueuedBytes.bound(sendBuffer) - peer.queued
    if space <= 0 { throw .again }
    let taken = Array(bytes.prefix(space))
    peer.append(Record(bytes: taken, credentials: creator, source: address))
    return taken.count
  }

  private func sendRecord(
    _ buffer: inout GuestBuffer, _ message: OutgoingMessage, _ caller: SocketCaller?, _ credentials: PeerCredentials
  ) throws(Errno) -> Int {
    var target = peer
    if let destination = message.destination, !destination.isEmpty {
      if kind == 5 { throw peer == nil ? .notConnected : .isConnected }
      guard let caller else { throw .destinationRequired }
      target = try find(destination, caller)
    }
    guard let target else {
      if isRefused {
        isRefused = false
        lastPeer = nil
        throw .connectionRefused
      }
      if kind == 5 { throw peerCredentials == nil ? .notConnected : .brokenPipe }
      throw .notConnected
    }
    if target.isReadShut || target.isReleased { throw .brokenPipe }
    if kind == 2, let only = target.peer, only !== self { throw .notPermitted }
    guard buffer.remaining <= sendBuffer - 32 else { throw .messageTooLong }
    if QueuedBytes.isFull, buffer.remaining > QueuedBytes.least { throw Errno(rawValue: ENOBUFS) }
    // A queue that is not empty takes no more than it has room for; an empty one takes any message.
    if !target.records.isEmpty, !target.hasRoom(sender: self) {
      blockedOn = target.room
      throw .again
    }
    let wanted = buffer.remaining
    let bytes = try buffer.take(wanted)
    guard bytes.count == wanted else { throw .badAddress }
    target.append(Record(bytes: bytes, files: message.files, credentials: credentials, source: address))
    return wanted
  }

  private func append(_ record: Record) {
    for file in record.files { file.retain() }
    queued += record.bytes.count
    // Small pieces of a stream are kept as one.
    if kind == 1, record.files.isEmpty, let last = records.indices.last, records[last].files.isEmpty,
      records[last].credentials == record.credentials, records[last].bytes.count < 16384
    {
      records[last].bytes += record.bytes
      charge(record.bytes.count)
    } else {
      records.append(record)
      names.inFlight += record.files.count
      charge(record.bytes.count + QueuedBytes.perMessage)
    }
    changes.wake(.readable)
  }

  func receiveMessage(_ buffer: inout GuestBuffer, flags: Int32) throws(Errno) -> IncomingMessage {
    if flags & MessageFlags.outOfBand != 0 { throw .notSupported }
    if backlog != nil { throw .invalid }
    if records.isEmpty { return try receiveNothing(flags) }
    let peeks = flags & MessageFlags.peek != 0
    let message = kind == 1 ? try receiveStream(&buffer, peeks) : try receiveRecord(&buffer, flags, peeks)
    if !peeks {
      room.wake(.any)
      if isConnecting { peer?.changes.wake(.writable) }
      for socket in connectedFrom.values { socket.changes.wake(.writable) }
    }
    return message
  }

  private func receiveNothing(_ flags: Int32) throws(Errno) -> IncomingMessage {
    if let failure {
      self.failure = nil
      throw failure
    }
    if isReadShut {
      // One of datagrams tells only those who wait (unix_dgram_recvmsg).
      if kind == 2, isNonBlocking || flags & MessageFlags.dontWait != 0 { throw .again }
      return IncomingMessage()
    }
    if isConnecting {
      guard let peer else {
        if peerCredentials == nil { throw kind == 1 ? .invalid : .notConnected }
        return IncomingMessage()
      }
      if peer.isWriteShut { return IncomingMessage() }
    }
    throw .again
  }

  private func receiveStream(_ buffer: inout GuestBuffer, _ peeks: Bool) throws(Errno) -> IncomingMessage {
    var message = IncomingMessage()
    var index = 0
    while index < records.count, buffer.remaining > 0 {
      let record = records[index]
      // Descriptors end what is taken at once, they do not begin it (unix_stream_read_generic).
      if message.count > 0, record.credentials != message.credentials, passesCredentials { break }
      let count: Int
      do throws(Errno) {
        count = try unsafe record.bytes.span.extracting(record.start...).withUnsafeBytes {
          (bytes) throws(Errno) -> Int in
          // SAFETY: the span's bytes live across the copy.
          try unsafe buffer.put(bytes)
        }
      } catch {
        if message.count > 0 { break }
        throw error
      }
      message.count += count
      message.credentials = record.credentials
      if !record.files.isEmpty {
        message.files = record.files
        if peeks {
          for file in record.files { file.retain() }
        } else {
          records[index].files = []
          names.inFlight -= record.files.count
        }
      }
      let isWhole = count == record.left
      if peeks {
        index += 1
      } else {
        queued -= count
        if isWhole {
          records.removeFirst()
          charge(-record.bytes.count - QueuedBytes.perMessage)
        } else {
          records[0].start += count
        }
      }
      if !isWhole || !message.files.isEmpty { break }
    }
    return finished(message)
  }

  private func receiveRecord(_ buffer: inout GuestBuffer, _ flags: Int32, _ peeks: Bool) throws(Errno)
    -> IncomingMessage
  {
    var message = IncomingMessage()
    let record = records[0]
    let count = try buffer.put(record.bytes)
    message.count = count
    if count < record.bytes.count {
      message.flags |= MessageFlags.truncated
      if flags & MessageFlags.truncated != 0 { message.count = record.bytes.count }
    }
    // Linux marks no record's end here (unix_seqpacket_recvmsg of net/unix/af_unix.c).
    message.source = kind == 2 && record.source != .unnamed ? record.source.encoded : []
    message.credentials = record.credentials
    message.files = record.files
    if peeks {
      for file in record.files { file.retain() }
    } else {
      records.removeFirst()
      queued -= record.bytes.count
      names.inFlight -= record.files.count
      charge(-record.bytes.count - QueuedBytes.perMessage)
    }
    return finished(message)
  }

  private func finished(_ message: IncomingMessage) -> IncomingMessage {
    var message = message
    if !passesCredentials { message.credentials = nil }
    return message
  }

  func answer(_ request: UInt32, _ argument: GuestWord, _ caller: ControlCaller) throws(Errno) -> Int64 {
    let count: Int
    switch request {
    case 0x541B: count = kind == 1 ? queued : records.first?.bytes.count ?? 0  // FIONREAD
    case 0x5411: count = peer?.queued ?? 0  // TIOCOUTQ
    case 0x8910...0x8942: return try HostSocket.askInterface(request, argument, caller)
    default: throw .notTerminal
    }
    try caller.memory.store(Int32(truncatingIfNeeded: count), at: argument.address)
    return 0
  }
}
