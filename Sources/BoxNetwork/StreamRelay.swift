import Linux

/// One TCP connection: what either side sends goes to the other, and so does the end of it.
final class StreamRelay {
  private let client: FileDescriptor
  private let inner: FileDescriptor
  private var toBox = OneWay()
  private var toClient = OneWay()
  private var watched: (client: EventPoll.Events, inner: EventPoll.Events)?

  /// Bytes on their way, and how far this direction is.
  private struct OneWay {
    var buffer: [UInt8] = []
    var sent = 0
    var hasEnded = false
    var endIsPassedOn = false

    /// Reads and writes what can be; false when the connection is broken.
    mutating func move(from source: Int32, to sink: Int32) -> Bool {
      // Two rounds at most, so that one busy connection does not keep the others waiting.
      for _ in 0..<2 {
        if buffer.isEmpty && !hasEnded {
          do throws(SystemError) {
            buffer = try File.read(source, atMost: 64 << 10)
            sent = 0
            hasEnded = buffer.isEmpty
          } catch  where error.errno == .again {
            return true
          } catch {
            return false
          }
        }
        if !buffer.isEmpty {
          guard let count = try? InternetSocket.write(sink, buffer, from: sent) else { return false }
          sent += count
          if sent < buffer.count { return true }
          buffer = []
        }
        if hasEnded {
          if !endIsPassedOn { InternetSocket.finishSending(sink) }
          endIsPassedOn = true
          return true
        }
      }
      return true
    }
  }

  init(client: consuming FileDescriptor, boxPort: UInt16) throws(SystemError) {
    let inner = try InternetSocket.open(2, datagrams: false)
    try InternetSocket.connect(inner.rawValue, to: InternetSocket.address(AddressPlan.box, port: boxPort))
    self.client = client
    self.inner = inner
  }

  /// Goes on after events; false when the connection is over.
  func advance(client clientEvents: EventPoll.Events, inner innerEvents: EventPoll.Events) -> Bool {
    guard toBox.move(from: client.rawValue, to: inner.rawValue),
      toClient.move(from: inner.rawValue, to: client.rawValue)
    else { return false }
    // An error after the end of what a side sends: nothing will be read that could tell.
    if clientEvents.contains(.failed) && toBox.hasEnded || innerEvents.contains(.failed) && toClient.hasEnded {
      return false
    }
    return !(toBox.endIsPassedOn && toClient.endIsPassedOn)
  }

  /// Watches for what each side can do next; false where the kernel refuses.
  func watch(_ number: Int, _ poll: borrowing EventPoll) -> Bool {
    func wanted(reads: OneWay, writes: OneWay) -> EventPoll.Events {
      var events: EventPoll.Events = []
      if reads.buffer.isEmpty && !reads.hasEnded { events.insert(.readable) }
      if !writes.buffer.isEmpty { events.insert(.writable) }
      return events
    }
    let clientEvents = wanted(reads: toBox, writes: toClient)
    let innerEvents = wanted(reads: toClient, writes: toBox)
    let clientTag = Forwarder.tag(.client, number)
    let innerTag = Forwarder.tag(.inner, number)
    do throws(SystemError) {
      if let watched {
        if watched.client != clientEvents { try poll.change(client.rawValue, clientEvents, tag: clientTag) }
        if watched.inner != innerEvents { try poll.change(inner.rawValue, innerEvents, tag: innerTag) }
      } else {
        try poll.add(client.rawValue, clientEvents, tag: clientTag)
        try poll.add(inner.rawValue, innerEvents, tag: innerTag)
      }
      watched = (clientEvents, innerEvents)
      return true
    } catch {
      return false
    }
  }
}
