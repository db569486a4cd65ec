import Linux

/// UDP of published ports: a connected socket towards the box for each peer that has sent something lately.
struct DatagramRelay {
  static let flowLimit = 1024
  private static let lifetime: UInt64 = 60_000_000_000

  private final class Flow {
    let socket: FileDescriptor
    let listener: Int32
    let peer: [UInt8]
    var lastUse = Clock.monotonicNanoseconds()
    init(socket: consuming FileDescriptor, listener: Int32, peer: [UInt8]) {
      self.socket = socket
      self.listener = listener
      self.peer = peer
    }
  }
  private struct Key: Hashable {
    let listener: Int32
    let peer: [UInt8]
  }

  private var flows: [Int: Flow] = [:]
  private var numbers: [Key: Int] = [:]
  private var next = 0
  private var lastSweep: UInt64 = 0

  var isEmpty: Bool { flows.isEmpty }

  /// Sends everything that waits at a listener into the box.
  mutating func forward(_ listener: PublishedPorts.Listener, _ poll: borrowing EventPoll) {
    // UDP may lose datagrams: one that cannot be received or passed on is lost, as on any network.
    for _ in 0..<64 {
      guard let received = try? InternetSocket.receive(listener.descriptor) else { return }
      guard let flow = flow(listener, received.from, poll) else { continue }
      flow.lastUse = Clock.monotonicNanoseconds()
      try? InternetSocket.send(flow.socket.rawValue, received.bytes)
    }
  }

  private mutating func flow(
    _ listener: PublishedPorts.Listener, _ peer: [UInt8], _ poll: borrowing EventPoll
  ) -> Flow? {
    let key = Key(listener: listener.descriptor, peer: peer)
    if let number = numbers[key] { return flows[number] }
    if flows.count >= Self.flowLimit, let oldest = flows.min(by: { $0.value.lastUse < $1.value.lastUse })?.key {
      remove(oldest)
    }
    do throws(SystemError) {
      let socket = try InternetSocket.open(2, datagrams: true)
      try InternetSocket.connect(
        socket.rawValue, to: InternetSocket.address(AddressPlan.box, port: listener.boxPort))
      try poll.add(socket.rawValue, .readable, tag: Forwarder.tag(.datagrams, next))
      let flow = Flow(socket: socket, listener: listener.descriptor, peer: peer)
      flows[next] = flow
      numbers[key] = next
      next += 1
      return flow
    } catch {
      return nil
    }
  }

  /// Sends what the box answers back to the flow's peer.
  mutating func answer(_ number: Int) {
    guard let flow = flows[number] else { return }
    for _ in 0..<64 {
      do throws(SystemError) {
        guard let received = try InternetSocket.receive(flow.socket.rawValue) else { return }
        flow.lastUse = Clock.monotonicNanoseconds()
        try InternetSocket.send(flow.listener, received.bytes, to: flow.peer)
      } catch {
        // The box refused a datagram (its ICMP answer reads as an error), or the peer cannot be reached: it is lost.
        return
      }
    }
  }

  /// Forgets flows that were silent for a minute.
  mutating func expire(_ poll: borrowing EventPoll) {
    let now = Clock.monotonicNanoseconds()
    if flows.isEmpty || now - lastSweep < Self.lifetime / 4 { return }
    lastSweep = now
    for (number, flow) in flows where now - flow.lastUse > Self.lifetime { remove(number) }
  }

  /// Closing the socket also ends its being watched (epoll(7)).
  private mutating func remove(_ number: Int) {
    guard let flow = flows.removeValue(forKey: number) else { return }
    numbers[Key(listener: flow.listener, peer: flow.peer)] = nil
  }
}
