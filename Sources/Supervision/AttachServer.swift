import CLinux
import Linux
import Walls

/// The clients at a monitor's socket: each gets what the box puts out, and may type, resize and signal.
final class AttachServer {
  static let socketName = "attach"
  /// What may wait for a client that does not read; one with more is dropped rather than hold up the box.
  private static let outboxLimit = 1 << 20
  private static let clientLimit = 64

  private let directory: SharedDescriptor
  private let listener: SharedDescriptor
  private var clients: [AttachedClient] = []
  private var listenerEntry: Int?
  private let welcome: AttachFrame

  init(_ directory: SharedDescriptor, terminal: Bool, input: Bool) throws(SystemError) {
    self.directory = directory
    listener = SharedDescriptor(try UnixSocket.listen(AttachServer.socketName, in: directory.rawValue))
    welcome = .welcome(terminal: terminal, input: input)
  }

  var isEmpty: Bool { clients.isEmpty }
  /// Whether the `run` that made the box is behind: it is waited for, as a program waits for its terminal, never dropped.
  var holdsOutputBack: Bool { clients.contains { $0.isOwner && $0.outbox.count > 64 << 10 } }
  var hasUnsent: Bool { clients.contains { !$0.outbox.isEmpty } }

  /// Clients are read only while `acceptsInput`: one that types faster than the box reads is held back.
  func prepare(_ list: inout WaitList, acceptsInput: Bool) {
    listenerEntry = clients.count < AttachServer.clientLimit ? list.add(listener.rawValue, POLLIN) : nil
    for client in clients {
      client.entry = list.add(
        client.socket.rawValue, (acceptsInput ? POLLIN : 0) | (client.outbox.isEmpty ? 0 : POLLOUT))
    }
  }

  /// What clients said since the last wait.
  func proceed(_ list: WaitList, _ take: (AttachFrame, AttachedClient) throws(WallError) -> Void)
    throws(SupervisionFailure)
  {
    for client in clients {
      let events = list.events(client.entry)
      if events & POLLIN != 0 { client.receive() }
      // A hang-up while its input is held back must not be waited for again and again.
      if events & POLLIN == 0 && events & (POLLHUP | POLLERR) != 0 { client.isGone = true }
      while let frame = client.next() {
        if frame == .detach {
          client.hasDetached = true
          client.isGone = true
          break
        }
        do throws(WallError) { try take(frame, client) } catch { throw .wall(error) }
      }
      client.flush()
    }
    if list.events(listenerEntry) != 0 { try accept() }
    for client in clients where client.isGone && client.isOwner && !client.hasDetached {
      // The `run` that made the box died: as if its terminal had been closed.
      client.hasDetached = true
      do throws(WallError) { try take(.signal(SIGHUP), client) } catch { throw .wall(error) }
    }
    clients.removeAll { $0.isGone }
  }

  private func accept() throws(SupervisionFailure) {
    do throws(SystemError) {
      while let socket = try UnixSocket.accept(listener.rawValue) {
        let client = AttachedClient(SharedDescriptor(socket))
        client.outbox.append(welcome)
        clients.append(client)
      }
    } catch {
      // Out of descriptors or memory: the clients that are there go on, this one is refused by the socket's queue.
      if error.errno != Errno(rawValue: EMFILE) && error.errno != Errno(rawValue: ENFILE) && error.errno != .noMemory {
        throw .system(error)
      }
    }
  }

  /// Sends a frame to every client.
  func send(_ frame: AttachFrame) {
    for client in clients {
      client.outbox.append(frame)
      client.flush()
      if client.outbox.count > AttachServer.outboxLimit && !client.isOwner { client.isGone = true }
    }
  }

  /// No more clients can come; those that are there are kept.
  func close() {
    // It is gone with its folder, or a removal races with the end: both are as good.
    try? File.remove(AttachServer.socketName, at: directory.rawValue)
  }
}

/// One client at a monitor's socket.
final class AttachedClient {
  let socket: SharedDescriptor
  var outbox = AttachOutbox()
  private var inbox = AttachFrameReader()
  var isGone = false
  var isOwner = false
  var hasDetached = false
  var entry: Int?

  init(_ socket: SharedDescriptor) { self.socket = socket }

  func receive() {
    // Whatever the error is, this client's connection is of no more use and nobody else's is touched.
    guard let bytes = try? File.read(socket.rawValue, atMost: 16 << 10), !bytes.isEmpty else {
      isGone = true
      return
    }
    inbox.append(bytes)
  }

  func next() -> AttachFrame? {
    let frame = inbox.next()
    if inbox.isBroken { isGone = true }
    if case .hello(let owner)? = frame {
      isOwner = owner
      return next()
    }
    return frame
  }

  func flush() {
    do throws(SystemError) {
      try outbox.flush { bytes throws(SystemError) in try UnixSocket.send(socket.rawValue, bytes) }
    } catch { isGone = true }
  }
}
