import CLinux
import Linux
import SentryABI
import SentryEvents
import SentryFiles
import SentryMemory
import SentrySockets
import SentryTasks
import Testing

@Suite("Sockets and epolls that a hostile guest makes")
struct SocketTests {
  /// sendmsg of one descriptor.
  static func give(_ guest: Guest, _ file: Int32, over socket: Int32) throws -> Guest.Answer {
    var control: [UInt8] = []
    var data: [UInt8] = []
    data.append(little: UInt32(bitPattern: file))
    _ = ControlMessage(level: 1, type: 1, data: data).append(to: &control, limit: 24)
    var vector: [UInt8] = []
    vector.append(little: try guest.place([1]))
    vector.append(little: 1 as UInt64)
    var header: [UInt8] = []
    for word in [0, 0, try guest.place(vector), 1, try guest.place(control), UInt64(control.count), 0] {
      header.append(little: word)
    }
    return guest.call(Int(SYS_sendmsg), UInt64(socket), try guest.place(header), 0)
  }

  @Test("sockets in flight within sockets in flight, as deep as one likes, go one by one")
  func chain() throws {
    let guest = try Guest()
    guest.task.group.limits[Limits.descriptors] = Limits.Pair(soft: 16384, hard: 16384)
    let ends = guest.room(8)
    func pair() throws -> (Int32, Int32) {
      guard guest.call(Int(SYS_socketpair), 1, 1, 0, ends) == .value(0) else { throw Errno.invalid }
      return (try guest.word32(ends), try guest.word32(ends + 4))
    }
    // From the outside in: each next one is put into the one before, of which only the sending end is left.
    let (first, outermost) = try pair()
    var near = first
    for _ in 0..<5_000 {
      let (nextNear, nextFar) = try pair()
      #expect(try Self.give(guest, nextFar, over: near) == .value(1))
      try guest.task.descriptors.close(nextFar)
      try guest.task.descriptors.close(near)
      near = nextNear
    }
    try guest.task.descriptors.close(near)
    try guest.task.descriptors.close(outermost)
    #expect(guest.task.descriptors.numbers == [])
  }

  @Test("epolls are not nested without end, from whichever side")
  func nesting() throws {
    let guest = try Guest()
    var polls: [Int32] = []
    for _ in 0..<8 {
      guard case .value(let number) = guest.call(Int(SYS_epoll_create1), 0) else { throw Errno.invalid }
      polls.append(Int32(number))
    }
    let event = try guest.place([UInt8](repeating: 1, count: 12))
    var last: Guest.Answer = .blocked
    for index in 0..<7 {
      last = guest.call(Int(SYS_epoll_ctl), UInt64(polls[index]), 1, UInt64(polls[index + 1]), event)
      if last != .value(0) { break }
    }
    #expect(last == .error(.loop))
  }

  @Test("control messages of any bytes are taken apart without harm, and what is well formed comes back")
  func control() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<5_000 {
      var bytes = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      // Lengths that mean something, now and then.
      if bytes.count > 8, Bool.random(using: &generator) {
        bytes.replaceSubrange(0..<8, with: [UInt8.random(in: 0...90, using: &generator), 0, 0, 0, 0, 0, 0, 0])
      }
      for message in ControlMessage.list(bytes) { #expect(message.data.count <= bytes.count) }
      _ = ControlMessage.isWellFormed(bytes)
      _ = PollRecord([UInt8](repeating: 0xff, count: 8), at: 0)
    }
    for huge in [UInt64.max, UInt64(Int64.max), 15, 0] {
      var bytes: [UInt8] = []
      bytes.append(little: huge)
      bytes += [UInt8](repeating: 0xff, count: 40)
      #expect(ControlMessage.list(bytes) == [] && !ControlMessage.isWellFormed(bytes))
    }
    var buffer: [UInt8] = []
    let one = ControlMessage(level: 1, type: 2, data: [1, 2, 3])
    #expect(one.append(to: &buffer, limit: 64) && one.append(to: &buffer, limit: 64))
    #expect(buffer.count == 48 && ControlMessage.list(buffer) == [one, one])
  }

  @Test("a descriptor that is passed and never taken is let go with its socket")
  func untaken() throws {
    let guest = try Guest()
    let ends = guest.room(8)
    _ = guest.call(Int(SYS_socketpair), 1, 1, 0, ends)
    let (one, two) = (try guest.word32(ends), try guest.word32(ends + 4))
    let (reading, writing) = try guest.pipe()
    #expect(try Self.give(guest, writing, over: one) == .value(1))
    try guest.task.descriptors.close(writing)
    #expect(guest.read(reading).0 == .blocked)
    try guest.task.descriptors.close(one)
    #expect(guest.goOn() == .blocked)
    try guest.task.descriptors.close(two)
    #expect(guest.goOn() == .value(0))
  }
}
