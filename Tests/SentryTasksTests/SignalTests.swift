import Linux
import SentryABI
import SentrySignals
import Testing

@Suite("Signals")
struct SignalTests {
  @Test("sets hold 1 to 64 and nothing else")
  func sets() {
    var set = SignalBits()
    for number in [0, -1, 65, .min, .max] as [Int32] {
      set.insert(number)
      #expect(set.isEmpty && !set.contains(number))
    }
    for number in 1...64 as ClosedRange<Int32> { set.insert(number) }
    #expect(set.bits == .max)
    set.remove(64)
    #expect(set.bits == .max >> 1 && !set.contains(64))
  }

  @Test("faults are delivered first, then by number")
  func order() {
    var set = SignalBits()
    for number in [64, 1, Signal.segmentation, Signal.child, Signal.bus] { set.insert(number) }
    #expect(set.inOrder == [Signal.bus, Signal.segmentation, 1, Signal.child, 64])
  }

  @Test("an action goes through its struct")
  func actions() {
    var action = SignalAction()
    action.handler = 0x1122_3344_5566
    action.flags = SignalAction.restart | 4
    action.restorer = 7
    action.mask = SignalBits(1 << 9)
    #expect(action.bytes.count == SignalAction.size)
    #expect(SignalAction(action.bytes) == action)
    #expect(action.isCaught && action.restarts)
  }

  @Test("execve forgets handlers and keeps what is ignored; a copy is apart")
  func exec() {
    let actions = SignalActions()
    actions[Signal.user1].handler = 0x1000
    actions[Signal.user2].handler = 1
    let copy = actions.copy()
    copy.resetForExec()
    #expect(copy[Signal.user1].isDefault && copy[Signal.user2].isIgnored)
    #expect(actions[Signal.user1].isCaught)
    #expect(actions.caught.inOrder == [Signal.user1] && actions.ignored.inOrder == [Signal.user2])
    #expect(actions.ignores(Signal.child) && actions.ignores(Signal.user2) && !actions.ignores(Signal.terminate))
    actions[0].handler = 1
    actions[99].handler = 1
    #expect(actions[99].isDefault)
  }

  @Test("siginfo_t: what is given is cut or filled up")
  func info() {
    let info = SignalInfo(signal: 10, code: SignalInfo.queued, process: 77, user: 5, value: 0x1_0000_0002)
    #expect(info.bytes.count == 128 && info.signal == 10 && info.code == -1)
    #expect(info.bytes[12..<16] == [0, 0, 0, 0] && info.bytes[16] == 77 && info.bytes[20] == 5 && info.bytes[24] == 2)
    #expect(SignalInfo([1]).bytes.count == 128)
    #expect(info.with(signal: 12).signal == 12 && info.with(signal: 12).code == -1)
  }
}
