import SentrySignals
import SentryTasks
import Testing

@Suite("What the host tells of a thread")
struct HostStatusTests {
  @Test("the lines that are wanted, in a file of others")
  func status() {
    let text = """
      Name:\tState:\tT
      State:\tS (sleeping)
      VmHWM:\t    5300 kB
      Threads:\t3
      SigPnd:\t0000000000000200
      ShdPnd:\t0000000000010000
      SigBlk:\tffffffffffffffff
      voluntary_ctxt_switches:\t18446744073709551615
      nonvoluntary_ctxt_switches:\t2
      """
    let status = HostStatus(Array(text.utf8))
    #expect(status.state == UInt8(ascii: "S") && status.values.highWater == 5300 && status.threads == 3)
    #expect(status.pending.inOrder == [10] && status.sharedPending.inOrder == [17] && status.blocked.bits == .max)
    #expect(status.values.voluntarySwitches == .max && status.values.involuntarySwitches == 2)
    #expect(HostStatus([]) == HostStatus() && HostStatus(Array("State:".utf8)).state == 0)
    #expect(HostStatus(Array("SigPnd:\tfffffffffffffffffffff".utf8)).pending.bits == .max)
  }

  @Test("a name of parentheses and spaces does not shift the numbers")
  func stat() {
    let stat = HostStat(Array("7 (a) b ) R 1 7 7 0 -1 4194304 11 12 13 14 15 16 17 18 20 0 1".utf8))
    #expect(
      stat.minorFaults == 11 && stat.childMajorFaults == 14 && stat.userTicks == 15 && stat.childSystemTicks == 18)
    #expect(HostStat([]).userTicks == 0 && stat[99] == 0 && stat[-1] == 0)
  }
}
