import CLinux
import Linux
import SentryABI
import SentryEvents
import SentryFiles
import SentryMemory
import SentryTasks
import Testing

/// What a guest can make grow in the sentry's memory has an end. One after the other: the bounds are the sandbox's.
@Suite("Bounds of a sandbox", .serialized)
struct BoundTests {
  private func guest(descriptors: UInt64 = 65536) throws -> Guest {
    let guest = try Guest()
    guest.task.group.limits[Limits.descriptors] = Limits.Pair(soft: descriptors, hard: descriptors)
    guest.task.descriptors.limit = Int32(descriptors)
    return guest
  }

  @Test("pipes beyond 64 MiB together hold a page each, and go on when they are read")
  func pipes() throws {
    let guest = try guest()
    let bytes = try guest.place([UInt8](repeating: 1, count: 65536))
    var ends: [(Int32, Int32)] = []
    var held = 0
    var last = 0
    for _ in 0..<1100 {
      let pipe = try guest.pipe(O_NONBLOCK)
      ends.append(pipe)
      guard case .value(let count) = guest.call(Int(SYS_write), UInt64(pipe.1), bytes, 65536) else { break }
      last = Int(count)
      held += last
    }
    #expect(ends.count == 1100 && last == QueuedBytes.least)
    #expect(held <= QueuedBytes.limit + 1100 * QueuedBytes.least)
    // One that is full takes no more; once read it takes a page again.
    let pipe = try #require(ends.last)
    #expect(guest.call(Int(SYS_write), UInt64(pipe.1), bytes, 1) == .error(.again))
    #expect(guest.call(Int(SYS_read), UInt64(pipe.0), bytes, 65536) == .value(Int64(QueuedBytes.least)))
    #expect(guest.call(Int(SYS_write), UInt64(pipe.1), bytes, 65536) == .value(Int64(QueuedBytes.least)))
    for end in ends { for number in [end.0, end.1] { try guest.task.descriptors.close(number) } }
    #expect(!QueuedBytes.isFull)
  }

  @Test("sockets too, and messages of nothing end as well", arguments: [1, 2, 5] as [UInt64])
  func sockets(kind: UInt64) throws {
    let guest = try guest()
    let (bytes, ends) = (try guest.place([UInt8](repeating: 1, count: 65536)), guest.room(8))
    var numbers: [Int32] = []
    var held = 0
    var refused: Errno?
    for _ in 0..<2000 {
      #expect(guest.call(Int(SYS_socketpair), 1, kind | UInt64(O_NONBLOCK), 0, ends) == .value(0))
      let far = try guest.word32(ends)
      numbers += [far, try guest.word32(ends + 4)]
      switch guest.call(Int(SYS_sendto), UInt64(far), bytes, 65536) {
      case .value(let count): held += Int(count)
      case .error(let error): refused = error
      case .blocked: Issue.record("it does not wait")
      }
    }
    #expect(held <= QueuedBytes.limit + 2000 * (QueuedBytes.least + 65536 / 32))
    #expect(kind == 1 || refused == Errno(rawValue: ENOBUFS))
    for number in numbers { try guest.task.descriptors.close(number) }
    #expect(!QueuedBytes.isFull)
    if kind == 1 { return }
    #expect(guest.call(Int(SYS_socketpair), 1, kind | UInt64(O_NONBLOCK), 0, ends) == .value(0))
    let far = try guest.word32(ends)
    var sent = 0
    while sent < 100_000, guest.call(Int(SYS_sendto), UInt64(far), bytes, 0) == .value(0) { sent += 1 }
    #expect(sent <= 512)
  }

  @Test("descriptors in flight are no more than a process may have")
  func inFlight() throws {
    let guest = try guest(descriptors: 64)
    let ends = guest.room(8)
    #expect(guest.call(Int(SYS_socketpair), 1, 1 | UInt64(O_NONBLOCK), 0, ends) == .value(0))
    let (one, other) = (try guest.word32(ends), try guest.word32(ends + 4))
    // A socket that is sent to itself: nobody ever takes it.
    var control: [UInt8] = []
    control.append(little: UInt64(20))
    for word in [1, 1, other] as [Int32] { control.append(little: UInt32(bitPattern: word)) }
    let (message, vector, byte) = (guest.room(56), guest.room(16), try guest.place([7]))
    let text = try guest.place(control)
    for (offset, word) in [(0, byte), (8, 1)] as [(UInt64, UInt64)] {
      try guest.task.memory.store(word, at: GuestAddress(vector + offset))
    }
    for (offset, word) in [(16, vector), (24, 1), (32, text), (40, 20)] as [(UInt64, UInt64)] {
      try guest.task.memory.store(word, at: GuestAddress(message + offset))
    }
    var sent = 0
    var answer = Guest.Answer.value(1)
    while sent < 1000, answer == .value(1) {
      answer = guest.call(Int(SYS_sendmsg), UInt64(one), message)
      sent += 1
    }
    #expect(answer == .error(Errno(rawValue: ETOOMANYREFS)))
    #expect(sent <= 66)
  }

  @Test("instances of inotify are as many as on Linux")
  func watches() throws {
    let guest = try guest()
    var made = 0
    while made < 1000, case .value = guest.call(Int(SYS_inotify_init1), 0) { made += 1 }
    #expect(made == 128)
    guest.task.descriptors.leave()
  }

  @Test("epolls within epolls, each within all of the next, are looked at once each")
  func epolls() throws {
    let guest = try guest()
    let event = try guest.place([1, 0, 0, 0] + [UInt8](repeating: 0, count: 8))
    let (count, levels) = (60, 4)
    var layers: [[Int32]] = []
    for _ in 0..<levels {
      layers.append(
        try (0..<count).map { _ in
          guard case .value(let number) = guest.call(Int(SYS_epoll_create1), 0) else { throw Errno.invalid }
          return Int32(number)
        })
    }
    for (above, below) in zip(layers, layers.dropFirst()) {
      for one in above {
        for other in below {
          #expect(guest.call(Int(SYS_epoll_ctl), UInt64(one), 1, UInt64(other), event) == .value(0))
        }
      }
    }
    guard case .value(let counter) = guest.call(Int(SYS_eventfd2), 0, UInt64(O_NONBLOCK)) else { throw Errno.invalid }
    for one in layers[levels - 1] {
      #expect(guest.call(Int(SYS_epoll_ctl), UInt64(one), 1, UInt64(counter), event) == .value(0))
    }
    // All become ready, and then none is: 60 to the fourth ways lead from the first to the counter.
    let bytes = try guest.place([1, 0, 0, 0, 0, 0, 0, 0])
    #expect(guest.call(Int(SYS_write), UInt64(counter), bytes, 8) == .value(8))
    #expect(guest.call(Int(SYS_read), UInt64(counter), bytes, 8) == .value(8))
    let room = guest.room(12)
    for one in layers[0] { #expect(guest.call(Int(SYS_epoll_wait), UInt64(one), room, 1, 0) == .value(0)) }
    #expect(guest.call(Int(SYS_write), UInt64(counter), bytes, 8) == .value(8))
    #expect(guest.call(Int(SYS_epoll_wait), UInt64(layers[0][0]), room, 1, 0) == .value(1))
    guest.task.descriptors.leave()
  }
}
