import CLinux
import Linux
import SentryABI
import SentryFiles
import SentryWait

/// Names and connections.
extension UnixSocketFile {
  func bindName(_ address: [UInt8], _ caller: SocketCaller) throws(Errno) {
    let wanted = try UnixAddress(address)
    guard self.address == .unnamed else {
      switch wanted {
      // A second autobind has nothing to do.
      case .unnamed: return
      case .abstract: throw .invalid
      case .path(let path):
        // Linux makes the path before it looks at this (unix_bind_bsd): what is wrong there says so first.
        do throws(Errno) { try caller.walk.mayMake(path) } catch { throw error == .exists ? .addressInUse : error }
        throw .invalid
      }
    }
    switch wanted {
    case .unnamed:
      let name = try names.unusedName()
      try names.take(name, self)
      self.address = .abstract(name)
    case .abstract(let name):
      try names.take(name, self)
      self.address = wanted
    case .path(let path):
      let place: Path
      do throws(Errno) {
        place = try caller.walk.make(.socket, at: path, permissions: 0o777)
      } catch { throw error == .exists ? .addressInUse : error }
      place.inode?.attachment = self
      boundInode = place.inode
      self.address = wanted
    }
    names.add(self)
  }

  /// - Throws: ECONNREFUSED where nobody has the name; what the walk says of a path.
  func find(_ address: [UInt8], _ caller: SocketCaller) throws(Errno) -> UnixSocketFile {
    let found: UnixSocketFile?
    switch try UnixAddress(address) {
    case .unnamed: throw .invalid
    case .abstract(let name): found = names.find(name)
    case .path(let path):
      guard let inode = try caller.walk.find(path).inode else { throw .noEntry }
      try caller.credentials.check(.write, of: inode.attributes)
      guard inode.kind == .socket else { throw .connectionRefused }
      found = inode.attachment as? UnixSocketFile
    }
    guard let found, !found.isReleased else { throw .connectionRefused }
    guard found.kind == kind else { throw .wrongProtocol }
    return found
  }

  func startListening(_ backlog: Int32, _ caller: SocketCaller) throws(Errno) {
    guard isConnecting else { throw .notSupported }
    guard address != .unnamed, peer == nil else { throw .invalid }
    // As Linux: one more than asked for, at most net.core.somaxconn.
    self.backlog = Int(min(max(0, backlog), 4096)) + 1
    peerCredentials = PeerCredentials(
      process: caller.process, user: caller.credentials.effectiveUser, group: caller.credentials.effectiveGroup)
  }

  func connectTo(_ address: [UInt8], _ caller: SocketCaller) throws(Errno) {
    if kind == 2 {
      if address.count >= 2, address.little16(0) == 0 { return disconnect() }
      let other = try find(address, caller)
      disconnect()
      join(other)
      changes.wake(.writable)
      return
    }
    let listener = try find(address, caller)
    if OpenFile.areTooMany { throw Errno(rawValue: ENFILE) }
    guard let limit = listener.backlog, !listener.isReadShut else { throw .connectionRefused }
    if listener.pending.count >= limit {
      blockedOn = listener.room
      throw .again
    }
    // Its own state is looked at last (unix_stream_connect of net/unix/af_unix.c).
    if backlog != nil { throw .invalid }
    if peer != nil { throw .isConnected }
    let far = UnixSocketFile(kind: kind, flags: 0, names: names, creator: listener.peerCredentials ?? listener.creator)
    far.address = listener.address
    far.passesCredentials = listener.passesCredentials
    far.peer = self
    far.peerCredentials = PeerCredentials(
      process: caller.process, user: caller.credentials.effectiveUser, group: caller.credentials.effectiveGroup)
    join(far)
    listener.pending.append(far)
    changes.wake([.readable, .writable])
    listener.changes.wake(.readable)
  }

  private func disconnect() {
    peer?.connectedFrom[ObjectIdentifier(self)] = nil
    peer = nil
    peerCredentials = nil
    lastPeer = nil
    isRefused = false
  }

  func acceptNext() throws(Errno) -> SocketFile {
    guard isConnecting else { throw .notSupported }
    guard backlog != nil else { throw .invalid }
    if pending.isEmpty { throw isReadShut ? .invalid : .again }
    let socket = pending.removeFirst()
    room.wake(.any)
    return socket
  }
}
