public import Policy
import Seccomp
import SentryCalls
import SentryPlatform

extension SentryWall {
  /// As the program says that stands over the guests: each call is put to it, of the stub's and of anybody's, with and without a file to
  /// map.
  public func callCounts(under policy: Policy) -> CallCounts? {
    let rule = policy.processes.systemCalls?.value ?? .nativeHarmless
    let filter = StubFilter(StubFilter.Policy(rule), hasClone3: true)
    let program = filter.instructions
    var (native, asked): (Set<UInt32>, Set<UInt32>) = ([], [])
    for number in UInt32(0)..<512 {
      for place in [StubProgram.base, 0x40_1000] {
        for flags: UInt64 in [0, UInt64.max] {
          var data = SeccompData(
            number: number, architecture: StubFilter.architecture, arguments: [UInt64](repeating: flags, count: 6))
          data.instructionPointer = place
          // The kernel would have refused a program that fails here; none of its calls counts.
          guard let outcome = try? Simulator.run(program, data) else { return nil }
          if outcome.action == .allow { native.insert(number) }
          if outcome.action == .notify { asked.insert(number) }
        }
      }
    }
    let names = Dictionary(filter.native.map { ($0.number, $0.name) }, uniquingKeysWith: { first, _ in first })
    return CallCounts(
      policy: rule, native: native.sorted().map { names[$0] ?? "\($0)" },
      continued: filter.continued.map { CallCounts.Kind(name: $0.kind, calls: $0.calls) },
      served: CallTable.all.all.filter { asked.contains(UInt32($0.number)) && $0.isServed }.count)
  }

  public func calls(under policy: Policy) -> [CallEntry]? {
    CallFact.all(StubFilter.Policy(policy.processes.systemCalls?.value ?? .nativeHarmless)).map { fact in
      CallEntry(
        number: fact.number, name: fact.name, answer: fact.answer, error: fact.error,
        servers: fact.servers.map(\.rawValue), difference: fact.difference)
    }
  }
}

extension CallRow {
  /// Whether the sentry answers it, be it not always.
  fileprivate var isServed: Bool {
    switch extent {
    case .full, .part: true
    case .native, .refused: false
    }
  }
}
