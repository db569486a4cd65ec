import Seccomp
import Testing

@Suite("The compiler means what the profile means")
struct CompilerTests {
  static let machines: [Architecture] = [.x86_64, .arm64, .riscv64]

  static let ownProfiles: [DefaultProfile] = [
    DefaultProfile(), DefaultProfile(capabilities: .max), DefaultProfile(capabilities: 0xa804_25fb),
    DefaultProfile(denyNetwork: true), DefaultProfile(.jail), DefaultProfile(.jail, denyNetwork: true),
    DefaultProfile(.worker), DefaultProfile(compat32: true), DefaultProfile(denyNetwork: true, compat32: true),
  ]

  @Test("our own profiles", arguments: ownProfiles, machines)
  func own(_ profile: DefaultProfile, _ machine: Architecture) throws {
    let program = try profile.compile(for: machine)
    let proof = try Proof(profile.rules, program.instructions, on: machine)
    #expect(proof.differences == [])
    #expect(proof.calls > 9000)
  }

  @Test("our own profiles spelt out compile to the same meaning", arguments: ownProfiles, machines)
  func spelt(_ profile: DefaultProfile, _ machine: Architecture) throws {
    let program = try SeccompProfile(profile.rules).compile(for: machine)
    #expect(try Proof(profile.rules, program.instructions, on: machine).differences == [])
  }

  @Test("random profiles", arguments: 0..<120 as Range<UInt64>)
  func random(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let rules = ProfileRules.random(&generator)
    let machine = Self.machines.randomElement(using: &generator)!
    do {
      let program = try SeccompProfile(rules).compile(for: machine)
      #expect(try Proof(rules, program.instructions, on: machine).differences == [], "seed \(seed)")
    } catch {
      Issue.record("seed \(seed): \(error)")
    }
  }

  @Test("every operator alone, at its edges", arguments: Comparison.allCases)
  func operators(_ comparison: Comparison) throws {
    let values: [UInt64] = [
      0, 1, 2, 0xffff_fffe, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000,
      0xffff_ffff_0000_0000, .max - 1, .max,
    ]
    for value in values {
      for two in comparison == .maskedEqual ? values : [0] {
        let rules = ProfileRules(
          defaultAction: .errno(1), architectures: [.x86, .x32],
          rules: [ProfileRule(["read", "write"], .allow, [ArgumentCondition(3, comparison, value, two)])])
        let program = try SeccompProfile(rules).compile(for: .x86_64)
        #expect(try Proof(rules, program.instructions, on: .x86_64).differences == [])
      }
    }
  }

  @Test(
    "every action survives",
    arguments: [
      .killProcess, .killThread, .trap, .errno(0), .errno(38), .errno(4095), .notify, .trace(7), .log, .allow,
    ] as [Action])
  func actions(_ action: Action) throws {
    let rules = ProfileRules(defaultAction: .errno(99), rules: [ProfileRule(["close"], action)])
    let program = try SeccompProfile(rules).compile(for: .riscv64)
    let close = try #require(SyscallTable.number(of: "close", architecture: .riscv64))
    let outcome = try Simulator.run(
      program.instructions, SeccompData(number: close, architecture: Architecture.riscv64.auditToken!))
    #expect(outcome.action == action)
    #expect(program.usesNotify == (action == .notify))
  }

  @Test("a program past 255 instructions reaches its far ends")
  func far() throws {
    var rules = ProfileRules(defaultAction: .killProcess, architectures: [.x86, .x32])
    for (position, call) in SyscallTable.calls(of: .x86_64).prefix(250).enumerated() {
      rules.rules.append(ProfileRule([call.name], .errno(UInt16(position)), [ArgumentCondition(0, .greater, 7)]))
      rules.rules.append(ProfileRule([call.name], .trace(UInt16(position))))
    }
    let program = try SeccompProfile(rules).compile(for: .x86_64)
    #expect(program.instructions.count > 2000)
    #expect(program.instructions.contains { $0.code == Opcode.jump })
    #expect(try Proof(rules, program.instructions, on: .x86_64).differences == [])
  }

  @Test("a profile that needs more than 4096 instructions is refused, not cut")
  func tooLong() throws {
    var rules = ProfileRules(defaultAction: .allow)
    for value in 0..<3000 as Range<UInt64> {
      rules.rules.append(ProfileRule(["read"], .errno(UInt16(value)), [ArgumentCondition(0, .equal, value * 3)]))
    }
    let error = #expect(throws: SeccompError.self) { try SeccompProfile(rules).compile(for: .x86_64) }
    #expect(error?.description.contains("4096") == true)
  }

  @Test("a machine without tables is refused by name")
  func noTables() throws {
    let error = #expect(throws: SeccompError.self) { try SeccompProfile(DefaultProfile()).compile(for: .s390x) }
    #expect(error?.description.contains("SCMP_ARCH_S390X") == true)
  }
}

extension ProfileRules {
  /// A profile made to be hard: few calls, many conditions on them, values that share halves.
  static func random(_ generator: inout some RandomNumberGenerator) -> ProfileRules {
    let actions: [Action] = [
      .killProcess, .killThread, .trap, .errno(1), .errno(22), .notify, .trace(3), .log, .allow, .allow,
    ]
    let interesting: [UInt64] = [0, 1, 2, 3, 0xffff_ffff, 1 << 32, 1 << 32 | 1, 1 << 33, 1 << 63, .max, 0x7e02_0000]
    func value(_ generator: inout some RandomNumberGenerator) -> UInt64 {
      Bool.random(using: &generator)
        ? interesting.randomElement(using: &generator)!
        : UInt64.random(in: 0...40, using: &generator) << (Bool.random(using: &generator) ? 0 : 32)
    }
    let names = SyscallTable.calls(of: .x86_64).map(\.name)
    let crowded = (0..<4).map { _ in names.randomElement(using: &generator)! }
    var rules: [ProfileRule] = []
    for _ in 0..<Int.random(in: 0...60, using: &generator) {
      let conditions = (0..<Int.random(in: 0...3, using: &generator)).map { _ in
        ArgumentCondition(
          UInt8.random(in: 0...(Bool.random(using: &generator) ? 1 : 5), using: &generator),
          Comparison.allCases.randomElement(using: &generator)!, value(&generator), value(&generator))
      }
      let some =
        conditions.isEmpty
        ? (0..<Int.random(in: 1...30, using: &generator)).map { _ in names.randomElement(using: &generator)! }
        : [crowded.randomElement(using: &generator)!, names.randomElement(using: &generator)!]
      rules.append(ProfileRule(some, actions.randomElement(using: &generator)!, conditions))
    }
    return ProfileRules(
      defaultAction: actions.randomElement(using: &generator)!,
      architectures: [.x86, .x32, .arm, .s390x].filter { _ in Bool.random(using: &generator) }, rules: rules)
  }
}
