import CLinux
import Formats
import Linux
import Walls

/// One conversation over D-Bus as a client: authentication by the socket's own credentials (EXTERNAL), calls one at a time, signals
/// kept meanwhile. Every wait is bounded.
final class BusConnection {
  enum Reply {
    case values([BusValue])
    /// An error's name ("org.freedesktop.systemd1.NoSuchUnit") and words.
    case failure(name: String, text: String)
  }

  private let socket: OwnedDescriptor
  private let address: String
  private var received: [UInt8] = []
  private var serial: UInt32 = 0
  private var signals: [BusMessage] = []
  private static let patience: UInt64 = 30_000
  private static let nudge: UInt64 = 100
  /// Whether a message has come: the peer is past authentication then.
  private var isHeard = false
  private static let keptSignals = 4096

  /// Connects and authenticates; `throughBus` is whether a bus stands between (and wants a Hello), not the peer itself.
  init(_ path: String, throughBus: Bool) throws(WallError) {
    address = path
    socket = try Self.connect(path)
    try authenticate()
    if throughBus {
      _ = try demand(
        try call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", []), "Hello")
    }
  }

  private static func connect(_ path: String) throws(WallError) -> OwnedDescriptor {
    do throws(SystemError) {
      let folder = try File.open(File.parent(of: path) ?? "/", O_PATH | O_DIRECTORY)
      return OwnedDescriptor(
        try UnixSocket.connect(String(path.split(separator: "/").last ?? ""), in: folder.rawValue))
    } catch {
      throw WallError("systemd at \(path)", error)
    }
  }

  private func failure(_ text: String) -> WallError { WallError("systemd at \(address): \(text)") }

  // MARK: Bytes

  private func send(_ bytes: [UInt8]) throws(WallError) {
    var sent = 0
    do throws(SystemError) {
      while sent < bytes.count {
        let count = try UnixSocket.send(socket.rawValue, bytes.span.extracting(sent...))
        // What is sent fits into any socket's buffer; a peer that reads nothing of it is not one to wait for.
        if count == 0 { throw SystemError("send", address, .again) }
        sent += count
      }
    } catch {
      throw WallError("systemd at \(address)", error)
    }
  }

  private func receive(before deadline: UInt64) throws(WallError) {
    let now = Clock.monotonicNanoseconds()
    guard now < deadline else { throw failure("no answer within \(Self.patience / 1000) s") }
    let left = (deadline - now) / 1_000_000 + 1
    let isReady: Bool
    do throws(SystemError) {
      isReady = try Readiness.wait(socket.rawValue, milliseconds: isHeard ? left : min(left, Self.nudge))
      if isReady {
        let bytes = try File.read(socket.rawValue, atMost: 64 << 10)
        if bytes.isEmpty { throw SystemError("read", address, .brokenPipe) }
        received += bytes
      }
    } catch {
      throw WallError("systemd at \(address)", error)
    }
    if !isReady && !isHeard && serial > 0 { try ping() }
  }

  /// systemd's own end keeps a first message that it reads together with BEGIN until something else comes (seen with systemd 252, when the
  /// two arrive at once): it is given something else.
  private func ping() throws(WallError) {
    serial += 1
    var message = BusMessage(.call, serial: serial)
    message.path = "/"
    message.interface = "org.freedesktop.DBus.Peer"
    message.member = "Ping"
    let noReplyExpected: UInt8 = 1
    message.flags = noReplyExpected
    let bytes: [UInt8]
    do throws(FormatError) { bytes = try message.encoded() } catch { throw failure("Ping: \(error)") }
    try send(bytes)
  }

  private static func deadline() -> UInt64 { Clock.monotonicNanoseconds() + patience * 1_000_000 }

  // MARK: Authentication

  /// No identity is spelled out: a number would be wrong in a user namespace, and the peer has the socket's credentials.
  private func authenticate() throws(WallError) {
    try send([0] + Array("AUTH EXTERNAL\r\n".utf8))
    var line = try self.line()
    if line == "DATA" || line.hasPrefix("DATA ") {
      try send(Array("DATA\r\n".utf8))
      line = try self.line()
    }
    guard line == "OK" || line.hasPrefix("OK ") else {
      throw failure("it refuses this user (\"\(FormatError.presentable(line))\")")
    }
    try send(Array("BEGIN\r\n".utf8))
  }

  private func line() throws(WallError) -> String {
    let deadline = Self.deadline()
    while true {
      if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
        let text = String(decoding: received[..<end], as: UTF8.self)
        received.removeFirst(end + 1)
        return text.hasSuffix("\r") ? String(text.dropLast()) : text
      }
      guard received.count < 4096 else { throw failure("it does not speak D-Bus") }
      try receive(before: deadline)
    }
  }

  // MARK: Messages

  private func message(before deadline: UInt64) throws(WallError) -> BusMessage {
    while true {
      do throws(FormatError) {
        if received.count >= BusMessage.prefix {
          let length = try BusMessage.length(of: received)
          if received.count >= length {
            let message = try BusMessage(bytes: Array(received[..<length]))
            received.removeFirst(length)
            isHeard = true
            return message
          }
        }
      } catch {
        throw failure("a message that is none: \(error)")
      }
      try receive(before: deadline)
    }
  }

  func call(_ destination: String, _ path: String, _ interface: String, _ member: String, _ body: [BusValue])
    throws(WallError) -> Reply
  {
    serial += 1
    var message = BusMessage(.call, serial: serial)
    message.destination = destination
    message.path = path
    message.interface = interface
    message.member = member
    message.body = body
    let bytes: [UInt8]
    do throws(FormatError) { bytes = try message.encoded() } catch { throw failure("\(member): \(error)") }
    try send(bytes)
    let deadline = Self.deadline()
    let asked = serial
    while true {
      let answer = try self.message(before: deadline)
      switch answer.kind {
      case .reply where answer.replySerial == asked: return .values(answer.body)
      case .failure where answer.replySerial == asked:
        var text = ""
        if case .string(let words) = answer.body.first { text = words }
        return .failure(name: answer.errorName ?? "", text: text)
      case .signal where signals.count < Self.keptSignals: signals.append(answer)
      // Nobody calls a client, and what answers a call of nobody's is no matter.
      case .call, .reply, .failure, .signal: break
      }
    }
  }

  func demand(_ reply: Reply, _ what: String) throws(WallError) -> [BusValue] {
    switch reply {
    case .values(let values): return values
    case .failure(let name, let text):
      throw failure("\(what): \(FormatError.presentable(text)) (\(FormatError.presentable(name)))")
    }
  }

  /// The next signal that `isWanted`, among those that came already or later.
  func signal(where isWanted: (BusMessage) -> Bool) throws(WallError) -> BusMessage {
    if let index = signals.firstIndex(where: isWanted) { return signals.remove(at: index) }
    let deadline = Self.deadline()
    while true {
      let message = try self.message(before: deadline)
      if message.kind == .signal, isWanted(message) { return message }
    }
  }
}
