import Seccomp
import Testing

/// Compares a program with a profile's meaning over all call numbers and the arguments at which it could err.
struct Proof {
  private(set) var calls = 0
  private(set) var differences: [String] = []

  init(_ rules: ProfileRules, _ program: [FilterInstruction], on machine: Architecture) throws {
    let meaning = Meaning(rules, on: machine)
    let tokens = Set(Architecture.allCases.compactMap(\.auditToken)).sorted() + [0, 0xC000_003F, .max]
    for token in tokens {
      for number in Self.numbers {
        let data = SeccompData(number: number, architecture: token, arguments: [1, 2, 3, 4, 5, 6])
        try compare(meaning, program, data)
      }
    }
    var about: [String: [ArgumentCondition]] = [:]
    for rule in rules.rules where !rule.conditions.isEmpty {
      for name in Set(rule.names) { about[name, default: []] += rule.conditions }
    }
    let vectors = about.mapValues { Self.arguments($0) }
    for architecture in machine.family ?? [] {
      guard let token = architecture.auditToken, let index = SyscallIndex(architecture) else { continue }
      for (name, vectors) in vectors {
        guard let number = index.number(of: name) else { continue }
        for arguments in vectors {
          try compare(meaning, program, SeccompData(number: number, architecture: token, arguments: arguments))
        }
      }
    }
  }

  private mutating func compare(_ meaning: Meaning, _ program: [FilterInstruction], _ data: SeccompData) throws {
    calls += 1
    let (wanted, got) = (meaning.action(of: data), try Simulator.run(program, data).action)
    if wanted != got, differences.count < 10 { differences.append("\(data): \(got), but the profile says \(wanted)") }
  }

  /// All numbers to past the last call, the same under the x32 bit, and the edges of the line.
  static let numbers: [UInt32] =
    Array(0...600) + Array(0x3fff_fff0...0x4000_0258) + Array(0x000f_0000...0x000f_0010)
    + [0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000, 0xc000_0001, 0xffff_fffe, 0xffff_ffff]

  /// Argument vectors at the edges of the conditions: all combinations where they are few, else a seeded sample of
  /// them.
  static func arguments(_ conditions: [ArgumentCondition]) -> [[UInt64]] {
    var edges = [[UInt64]](repeating: [0], count: 6)
    for condition in conditions {
      for value in [condition.value, condition.valueTwo, condition.value ^ condition.valueTwo, ~condition.value] {
        edges[Int(condition.index)] += [
          value, value &- 1, value &+ 1, value | 1 << 32, value ^ 1 << 63, value & 0xffff_ffff, value << 32,
          value &+ 1 << 32, value &- 1 << 32, value | 0xffff_ffff, value & ~0xffff_ffff,
        ]
      }
      edges[Int(condition.index)] += [0, 1, .max, 0xffff_ffff, 1 << 32, 1 << 63]
    }
    edges = edges.map { Array(Set($0)).sorted() }
    let combinations = edges.reduce(1) { min($0 * $1.count, 1 << 20) }
    if combinations <= 3_000 {
      return edges.reduce([[]]) { vectors, values in vectors.flatMap { vector in values.map { vector + [$0] } } }
    }
    var vectors: [[UInt64]] = []
    var random = SeededGenerator(seed: UInt64(combinations))
    for _ in 0..<1_500 { vectors.append(edges.map { $0[Int(random.next() % UInt64($0.count))] }) }
    return vectors
  }
}

/// SplitMix64: the same numbers for the same seed on every machine.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}
