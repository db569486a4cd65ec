import Linux
import Seccomp
import SentryCalls
import SentryPlatform
import Testing

/// What the filter does with each call, as the kernel would run it.
@Suite("The filter over every stub")
struct StubFilterTests {
  static let machine: UInt32 = 0xc000_003e

  static func answer(
    _ policy: StubFilter.Policy, _ number: UInt32, _ arguments: [UInt64] = [], at place: UInt64 = 0x40_1000,
    architecture: UInt32 = machine, hasClone3: Bool = false
  ) throws -> Action {
    var data = SeccompData(number: number, architecture: architecture, arguments: arguments)
    data.instructionPointer = place
    return try Simulator.run(StubFilter(policy, hasClone3: hasClone3).instructions, data).action
  }

  @Test("what no list names is the sentry's to answer", arguments: StubFilter.Policy.allCases)
  func notified(policy: StubFilter.Policy) throws {
    let named = Set((StubFilter(policy).native + StubFilter(policy).refused).map(\.number))
    for number in UInt32(0)..<600 where !named.contains(number) {
      #expect(try Self.answer(policy, number) == .notify, "call \(number)")
    }
    for number in [StubCall.hello, StubCall.next, StubCall.reaped, StubCall.fetch, StubCall.failed] {
      #expect(try Self.answer(policy, UInt32(number)) == .notify)
    }
  }

  @Test("other architectures end the process, x32 is not there", arguments: StubFilter.Policy.allCases)
  func foreign(policy: StubFilter.Policy) throws {
    for architecture: UInt32 in [0x4000_0003, 0xc000_00b7, 0] {
      #expect(try Self.answer(policy, 202, architecture: architecture) == .killProcess)
    }
    for number: UInt32 in [0x4000_0000, 0x4000_0000 + 202, .max] {
      #expect(try Self.answer(policy, number) == .errno(38))
    }
    for row in StubFilter(policy).refused { #expect(try Self.answer(policy, row.number) == .errno(38), "\(row.name)") }
  }

  @Test("the stub maps what it was given, nobody else does", arguments: StubFilter.Policy.allCases)
  func stub(policy: StubFilter.Policy) throws {
    for number: UInt32 in [9, 3, 462] {
      #expect(try Self.answer(policy, number, at: StubProgram.base) == .allow)
      #expect(try Self.answer(policy, number, at: StubProgram.base + StubProgram.limit - 1) == .allow)
      #expect(try Self.answer(policy, number, at: StubProgram.base + StubProgram.limit) == .notify)
      #expect(try Self.answer(policy, number, at: StubProgram.base - 1) == .notify)
      // The low half alone is no place.
      #expect(try Self.answer(policy, number, at: 0x10) == .notify)
    }
  }

  @Test("waiting for a child by descriptor is asked about, other waiting is not")
  func waiting() throws {
    for kind: UInt64 in [0, 1, 2, 4] { #expect(try Self.answer(.nativeHarmless, 247, [kind]) == .allow) }
    #expect(try Self.answer(.nativeHarmless, 247, [3]) == .notify)
    #expect(try Self.answer(.nativeHarmless, 247, [1 << 32 | 3]) == .notify)
    #expect(try Self.answer(.strict, 247, [1]) == .notify)
  }

  @Test("private memory is the host's under native-harmless, the sentry's under strict")
  func memory() throws {
    let anonymous: [UInt64] = [0, 4096, 3, 0x22, .max, 0]
    let file: [UInt64] = [0, 4096, 3, 0x02, 3, 0]
    #expect(try Self.answer(.nativeHarmless, 9, anonymous) == .allow)
    #expect(try Self.answer(.nativeHarmless, 9, file) == .notify)
    #expect(try Self.answer(.strict, 9, anonymous) == .notify)
    for number: UInt32 in [10, 11, 12, 25, 28, 24, 61, 247] {
      #expect(try Self.answer(.nativeHarmless, number) == .allow)
      #expect(try Self.answer(.strict, number) == .notify)
    }
  }

  @Test("of what is asked about the host performs eight kinds at most", arguments: StubFilter.Policy.allCases)
  func continued(policy: StubFilter.Policy) throws {
    #expect(!StubFilter(policy).mayContinue(435))
    let filter = StubFilter(policy, hasClone3: true)
    #expect(filter.continued.count <= 8)
    #expect(filter.continued.allSatisfy { !$0.reason.isEmpty && !$0.numbers.isEmpty })
    for number in Int32(0)..<600 {
      let isListed = filter.continued.contains { $0.numbers.contains(UInt32(number)) }
      #expect(filter.mayContinue(number) == isListed)
      // A file is mapped, and the descriptor closed, from anywhere; a wait is asked about where it is P_PIDFD's.
      if isListed { #expect(try Self.answer(policy, UInt32(number), [3], hasClone3: true) == .notify) }
      // What is said to be the host's can be let through, or never reaches the sentry.
      if case .native = CallTable.all[number]?.extent {
        let isAllowed = try Self.answer(policy, UInt32(number)) == .allow
        #expect(isListed || isAllowed, "\(number)")
      }
    }
    for number: Int32 in [-1, .min, .max, StubCall.hello] { #expect(!filter.mayContinue(number)) }
  }

  @Test("at most 32 calls are let through unasked, 16 under strict; each with a reason")
  func counts() throws {
    #expect(StubFilter(.nativeHarmless).native.count <= 32)
    #expect(StubFilter(.strict).native.count <= 16)
    for policy in StubFilter.Policy.allCases {
      let rows = StubFilter(policy).native + StubFilter(policy).refused
      #expect(Set(rows.map(\.number)).count == rows.count)
      #expect(rows.allSatisfy { !$0.reason.isEmpty })
    }
  }

  @Test("every call that the filter asks about and the host performs has a row", arguments: StubFilter.Policy.allCases)
  func rows(policy: StubFilter.Policy) {
    for row in StubFilter(.nativeHarmless).native where row.number != 462 && row.number != 3 {
      let isAsked = !StubFilter(policy).native.contains { $0.number == row.number }
      if isAsked { #expect(CallTable.all[Int32(row.number)] != nil, "\(row.name)") }
    }
  }
}
