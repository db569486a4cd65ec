import CLinux
import Linux

/// Carries published ports into the box until the box ends: one event loop, no privileges, no files.
final class Forwarder {
  /// What an event is about; in the low bits of its tag.
  enum Role: UInt64 { case box, listener, client, inner, datagrams }

  let poll: Polling
  let listeners: [PublishedPorts.Listener]
  var streams: [Int: StreamRelay] = [:]
  var datagrams = DatagramRelay()
  var nextStream = 0
  /// Most streams at once, from the limit on open files.
  let streamLimit: Int
  private var isListening = true

  /// A poll that a class can hold.
  final class Polling {
    let events: EventPoll
    init() throws(SystemError) { events = try EventPoll() }
  }

  init(_ listeners: [PublishedPorts.Listener], box: Int32) throws(SystemError) {
    self.listeners = listeners
    let hard = UInt64(try ResourceLimits.get(ResourceLimits.openFiles).rlim_max)
    let files = min(hard, 65536)
    try ResourceLimits.set(ResourceLimits.openFiles, soft: files, hard: hard)
    streamLimit = max(Int(files) - 64 - DatagramRelay.flowLimit, 64) / 2
    poll = try Polling()
    try poll.events.add(box, .readable, tag: Role.box.rawValue)
    for index in listeners.indices {
      try poll.events.add(listeners[index].descriptor, .readable, tag: Forwarder.tag(.listener, index))
    }
  }

  static func tag(_ role: Role, _ number: Int) -> UInt64 { UInt64(number) << 3 | role.rawValue }

  /// Returns when the box has ended.
  func run() throws(SystemError) {
    while true {
      let timeout: Int32 = datagrams.isEmpty ? -1 : 15_000
      let ready = try poll.events.wait(milliseconds: timeout)
      for (tag, events) in ready {
        let number = Int(tag >> 3)
        switch Role(rawValue: tag & 7) {
        case .box: return
        case .listener: acceptAll(number)
        case .client: advance(number, client: events, inner: [])
        case .inner: advance(number, client: [], inner: events)
        case .datagrams: datagrams.answer(number)
        case nil: continue
        }
      }
      datagrams.expire(poll.events)
    }
  }

  private func acceptAll(_ index: Int) {
    let listener = listeners[index]
    if listener.isUDP { return datagrams.forward(listener, poll.events) }
    while true {
      if streams.count >= streamLimit { return pauseListening(true) }
      // A connection that is gone again, or for which there is no descriptor, is its peer's to repeat.
      guard let client = try? InternetSocket.accept(listener.descriptor) else { return }
      let number = nextStream
      nextStream += 1
      // A box that refuses at once refuses its peer: the client is closed here.
      guard let stream = try? StreamRelay(client: client, boxPort: listener.boxPort) else { continue }
      streams[number] = stream
      if !stream.watch(number, poll.events) { streams[number] = nil }
    }
  }

  private func pauseListening(_ pause: Bool) {
    if isListening != pause { return }
    isListening = !pause
    for index in listeners.indices where !listeners[index].isUDP {
      // The descriptor is watched already; changing what for cannot fail but for want of memory.
      try? poll.events.change(
        listeners[index].descriptor, pause ? [] : .readable, tag: Forwarder.tag(.listener, index))
    }
  }

  private func advance(_ number: Int, client: EventPoll.Events, inner: EventPoll.Events) {
    guard let stream = streams[number] else { return }
    if stream.advance(client: client, inner: inner), stream.watch(number, poll.events) { return }
    streams[number] = nil
    pauseListening(false)
  }
}
