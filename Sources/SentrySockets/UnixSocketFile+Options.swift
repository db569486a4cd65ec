import CLinux
import Linux
import SentryABI
import SentryFiles
import SentryMemory
import SentryWait

/// SOL_SOCKET of unix sockets (socket(7); sk_setsockopt and sk_getsockopt of net/core/sock.c).
extension UnixSocketFile {
  /// SO_DEBUG, SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_NO_CHECK: on or off, and nothing to a unix socket.
  private static let switches: Set<Int32> = [1, 2, 5, 6, 9, 10, 11]
  private enum Name {
    static let error: Int32 = 4
    static let sendBuffer: Int32 = 7
    static let receiveBuffer: Int32 = 8
    static let priority: Int32 = 12
    static let linger: Int32 = 13
    static let reusePort: Int32 = 15
    static let passCredentials: Int32 = 16
    static let peerCredentials: Int32 = 17
    static let receiveLow: Int32 = 18
    static let sendLow: Int32 = 19
    static let accepts: Int32 = 30
    static let sendBufferForce: Int32 = 32
    static let receiveBufferForce: Int32 = 33
    static let peerGroups: Int32 = 59
  }

  func ownOption(_ level: Int32, _ name: Int32, limit: Int) throws(Errno) -> [UInt8] {
    guard level == 1 else { throw .notSupported }
    func word(_ value: Int) -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.append(little: UInt32(truncatingIfNeeded: value))
      return bytes
    }
    if Self.switches.contains(name) { return word(Int(kept[name] ?? 0)) }
    switch name {
    case Name.error:
      let value = failure?.rawValue ?? 0
      failure = nil
      return word(Int(value))
    case Name.sendBuffer: return word(sendBuffer)
    case Name.receiveBuffer: return word(receiveBuffer)
    case Name.passCredentials: return word(passesCredentials ? 1 : 0)
    case Name.peerCredentials:
      return (peerCredentials ?? PeerCredentials(process: 0, user: .max, group: .max)).encoded
    case Name.accepts: return word(backlog != nil ? 1 : 0)
    case Name.priority: return word(Int(kept[name] ?? 0))
    case Name.reusePort: return word(0)
    case Name.receiveLow: return word(Int(kept[name] ?? 1))
    case Name.sendLow: return word(1)
    case Name.linger: return word(isLingering ? 1 : 0) + word(Int(kept[name] ?? 0))
    case Name.peerGroups where peerCredentials == nil: throw Errno(rawValue: ENODATA)
    default: throw .noSuchOption
    }
  }

  /// - Parameter value: at least four bytes.
  func setOwnOption(_ level: Int32, _ name: Int32, _ value: [UInt8]) throws(Errno) {
    guard level == 1 else { throw .notSupported }
    guard value.count >= 4 else { throw .invalid }
    let number = Int32(bitPattern: value.little32(0))
    if Self.switches.contains(name) {
      kept[name] = number == 0 ? 0 : 1
      return
    }
    let size = min(Int(UInt32(bitPattern: number)), Self.standardBuffer)
    switch name {
    // Linux doubles what is asked for, within net.core.wmem_max.
    case Name.sendBuffer, Name.sendBufferForce: sendBuffer = max(4608, size * 2)
    case Name.receiveBuffer, Name.receiveBufferForce: receiveBuffer = max(2304, size * 2)
    case Name.passCredentials: passesCredentials = number != 0
    case Name.priority: kept[name] = number
    // For sockets of the internet alone.
    case Name.reusePort: if number != 0 { throw .notSupported }
    case Name.receiveLow: kept[name] = number < 0 ? .max : max(1, number)
    case Name.linger:
      guard value.count >= 8 else { throw .invalid }
      isLingering = number != 0
      if isLingering { kept[name] = Int32(bitPattern: value.little32(4)) }
    default: throw .noSuchOption
    }
  }
}
