import CLinux
import Guest
import Linux
import SentryWait

/// Where commands outside ask the sentry for further programs: a socket in the sandbox's own folder, which is the caller's alone.
final class ControlSocket: Waiter {
  /// What came with a request; the descriptors are the callee's.
  struct Asked {
    let request: ExecRequest
    let message: InitMessage
    let replies: OwnedDescriptor
    let streams: [OwnedDescriptor]
    /// What is to be run, where it is none of the sandbox's.
    let program: OwnedDescriptor?
  }
  private let listener: Int32
  private let events: HostEvents
  private let queue = WaitQueue()
  private let asked: (Asked) -> Void
  /// Who connected and has not spoken yet; the oldest is forgotten beyond a few.
  private var callers: [Caller] = []
  private static let limit = 16

  init(owning listener: Int32, _ events: HostEvents, _ asked: @escaping (Asked) -> Void) throws(SystemError) {
    self.listener = listener
    self.events = events
    self.asked = asked
    try FileDescriptor.setNonBlocking(listener, true)
    super.init()
    queue.add(self, for: .readable)
    do throws(Errno) { try events.watch(listener, queue, isUrgent: false) } catch {
      throw SystemError("epoll", "control", error)
    }
  }

  override func wake(_ told: PollEvents) {
    // Until nobody waits any more (EAGAIN).
    while let connection = try? PacketSocket.accept(listener) {
      if callers.count >= Self.limit { callers.removeFirst().end() }
      // Without an epoll entry it could not be heard: it is dropped, and its command says so.
      if let caller = try? Caller(OwnedDescriptor(connection), self) { callers.append(caller) }
    }
  }

  private func hear(_ caller: Caller) {
    callers.removeAll { $0 === caller }
    var descriptors: [Int32] = []
    let packet =
      (try? PacketSocket.receive(caller.connection.rawValue, limit: 64 << 10, descriptors: &descriptors)) ?? []
    let given = descriptors.map { OwnedDescriptor(FileDescriptor(owning: $0)) }
    caller.end()
    guard let request = ExecRequest(decoding: packet), given.count == request.descriptors,
      let text = try? File.read(given[1].rawValue, atMost: InitMessage.limit + 64, at: 0),
      let message = try? InitMessage(decoding: text.span)
    else {
      for descriptor in given { descriptor.close() }
      return
    }
    given[1].close()
    let program = request.bringsProgram ? given.last : nil
    asked(
      Asked(
        request: request, message: message, replies: given[0],
        streams: Array(given[2..<(given.count - (program == nil ? 0 : 1))]), program: program))
  }

  private final class Caller: Waiter {
    let connection: OwnedDescriptor
    private unowned let socket: ControlSocket
    private let queue = WaitQueue()

    init(_ connection: OwnedDescriptor, _ socket: ControlSocket) throws(Errno) {
      self.connection = connection
      self.socket = socket
      super.init()
      do throws(SystemError) { try FileDescriptor.setNonBlocking(connection.rawValue, true) } catch {
        throw error.errno
      }
      queue.add(self)
      try socket.events.watch(connection.rawValue, queue, isUrgent: false)
    }

    /// One that was readable at once is told so by the first wait.
    override func wake(_ told: PollEvents) {
      if !told.isDisjoint(with: [.readable, .hangup, .error, .readHangup]) { socket.hear(self) }
    }

    func end() {
      leave()
      socket.events.forget(connection.rawValue)
      connection.close()
    }
  }
}

/// A further program's signals, as the command outside sends them, and what is told to it, on one socket.
final class ExecReplies: Waiter {
  private let socket: OwnedDescriptor
  private let queue = WaitQueue()
  private let events: HostEvents
  var signalled: (Int32) -> Void = { _ in }

  init(_ socket: OwnedDescriptor, _ events: HostEvents) throws(Errno) {
    self.socket = socket
    self.events = events
    super.init()
    do throws(SystemError) { try FileDescriptor.setNonBlocking(socket.rawValue, true) } catch { throw error.errno }
    queue.add(self)
    try events.watch(socket.rawValue, queue, isUrgent: false)
  }

  func tell(_ reply: InitReply) {
    // With nobody left to hear it there is nothing to do.
    do throws(SystemError) { try reply.send(to: socket.rawValue) } catch {}
  }

  func end() {
    leave()
    events.forget(socket.rawValue)
    socket.close()
  }

  override func wake(_ told: PollEvents) {
    while let bytes = try? File.read(socket.rawValue, atMost: 4) {
      // The command outside is gone, and the program with it, as in every wall.
      if bytes.isEmpty {
        signalled(SIGKILL)
        return
      }
      if bytes.count == 4 { signalled(Int32(bytes[0])) }
    }
  }
}
