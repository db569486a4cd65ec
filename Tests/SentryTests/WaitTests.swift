import SentryWait
import Testing

@Suite("Who waits")
struct WaitTests {
  final class Recorder: Waiter {
    var woken: [PollEvents] = []
    override func wake(_ events: PollEvents) { woken.append(events) }
  }

  @Test("only those are woken who wait for what happened; hangup wakes all; one exclusive waiter at a time")
  func queue() {
    let queue = WaitQueue()
    let (reader, writer, first, second) = (Recorder(), Recorder(), Recorder(), Recorder())
    queue.add(reader, for: .readable)
    queue.add(writer, for: .writable)
    queue.add(first, for: .readable, isExclusive: true)
    queue.add(second, for: .readable, isExclusive: true)
    queue.wake(.readable)
    #expect(reader.woken == [.readable] && writer.woken.isEmpty && first.woken.count == 1 && second.woken.isEmpty)
    queue.wake(.hangup)
    #expect(writer.woken == [.hangup])
    for waiter in [reader, writer, first, second] { waiter.leave() }
    #expect(queue.isEmpty)
  }

  @Test("deadlines fire in their order, and those taken back never")
  func deadlines() {
    let deadlines = Deadlines()
    var generator = SystemRandomNumberGenerator()
    var expected: [UInt64] = []
    let waiters = (0..<200).map { _ in Recorder() }
    var tokens: [(UInt64, Deadlines.Token)] = []
    for waiter in waiters {
      let time = UInt64.random(in: 1...1000, using: &generator)
      tokens.append((time, deadlines.add(waiter, at: time)))
    }
    for (index, (time, token)) in tokens.enumerated() {
      if index % 3 == 0 { deadlines.cancel(token) } else { expected.append(time) }
    }
    #expect(deadlines.next == expected.min())
    deadlines.fire(now: 500)
    for (index, (time, _)) in tokens.enumerated() {
      #expect(waiters[index].woken.count == (index % 3 != 0 && time <= 500 ? 1 : 0))
    }
    #expect(deadlines.next == expected.filter { $0 > 500 }.min())
    deadlines.fire(now: 1000)
    #expect(deadlines.next == nil)
  }

  @Test("far deadlines that are taken back do not stay until their time")
  func takenBack() {
    final class Nobody: Waiter {}
    let (deadlines, nobody) = (Deadlines(), Nobody())
    let near = deadlines.add(nobody, at: 1)
    for time in 0..<10_000 as Range<UInt64> { deadlines.cancel(deadlines.add(nobody, at: 1_000_000 + time)) }
    #expect(deadlines.count < 100)
    #expect(deadlines.next == 1)
    deadlines.cancel(near)
    #expect(deadlines.next == nil)
  }
}
