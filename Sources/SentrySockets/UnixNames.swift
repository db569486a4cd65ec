import Linux
import SentryABI
import SentryFiles

/// Names of unix sockets that are no paths (unix(7), abstract).
public final class UnixNames {
  private var sockets: [[UInt8]: UnixSocketFile] = [:]
  /// All that have a name of either kind.
  private var named: [ObjectIdentifier: UnixSocketFile] = [:]
  private var lastUnnamed: UInt32 = 0
  private var leaving: [OpenFile] = []
  private var isLettingGo = false
  /// Descriptors in messages that nobody has taken yet, of all sockets (unix_inflight of net/unix/scm.c).
  public internal(set) var inFlight = 0
  public init() {}

  /// Releases files that a socket held. One of them may be a socket that holds others, and so on as deep as a guest likes: they go
  /// one after the other, not each within the one before.
  func letGo(_ files: [OpenFile]) {
    leaving += files
    if isLettingGo { return }
    isLettingGo = true
    while let file = leaving.popLast() { file.release() }
    isLettingGo = false
  }

  func take(_ name: [UInt8], _ socket: UnixSocketFile) throws(Errno) {
    guard sockets[name] == nil else { throw .addressInUse }
    sockets[name] = socket
  }
  func give(_ name: [UInt8]) { sockets[name] = nil }
  func find(_ name: [UInt8]) -> UnixSocketFile? { sockets[name] }

  func add(_ socket: UnixSocketFile) { named[ObjectIdentifier(socket)] = socket }
  func remove(_ socket: UnixSocketFile) { named[ObjectIdentifier(socket)] = nil }

  /// /proc/net/unix: those with a name, of which alone others may want to know (unix_seq_show, net/unix/af_unix.c).
  public var listing: [UInt8] {
    var text = Array("Num       RefCount Protocol Flags    Type St Inode Path\n".utf8)
    let sorted = named.values.sorted { $0.number < $1.number }
    for socket in sorted {
      let (flags, state) = (socket.backlog == nil ? "00000000" : "00010000", socket.peer == nil ? "01" : "03")
      text += Array("0000000000000000: 00000002 00000000 \(flags) 000\(socket.kind) \(state) \(socket.number) ".utf8)
      switch socket.address {
      case .unnamed: break
      case .abstract(let name): text += [0x40] + name.map { $0 == 0 ? 0x40 : $0 }
      case .path(let path): text += path
      }
      text.append(0x0a)
    }
    return text
  }

  /// For an autobind: five hexadecimal digits.
  func unusedName() throws(Errno) -> [UInt8] {
    for _ in 0..<0x100000 {
      lastUnnamed = (lastUnnamed &+ 1) & 0xfffff
      let digits = (0..<5).map { Array("0123456789abcdef".utf8)[Int(lastUnnamed >> UInt32(16 - 4 * $0) & 15)] }
      if sockets[digits] == nil { return digits }
    }
    throw .noSpace
  }
}

/// struct sockaddr_un.
enum UnixAddress: Equatable {
  case unnamed
  case abstract([UInt8])
  case path([UInt8])

  /// - Throws: EINVAL for another family or length.
  init(_ bytes: [UInt8]) throws(Errno) {
    guard bytes.count >= 2, bytes.count <= 110, bytes.little16(0) == 1 else { throw .invalid }
    let name = Array(bytes[2...])
    if name.isEmpty {
      self = .unnamed
    } else if name[0] == 0 {
      self = .abstract(Array(name[1...]))
    } else {
      self = .path(Array(name.prefix { $0 != 0 }))
    }
  }

  var encoded: [UInt8] {
    switch self {
    case .unnamed: [1, 0]
    case .abstract(let name): [1, 0, 0] + name
    case .path(let path): [1, 0] + path + [0]
    }
  }
}
