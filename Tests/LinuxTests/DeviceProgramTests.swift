import CLinux
import ChildProcesses
import Foundation
import Linux
import Testing

/// Device rules of version 2: the program against the rules' meaning, against the kernel's verifier, and in a group.
@Suite struct DeviceProgramTests {
  private typealias Rule = CgroupLimits.DeviceRule

  /// What the rules say, read one by one.
  private func allows(_ rules: [Rule], kind: Character, _ major: UInt32, _ minor: UInt32, wanted: String) -> Bool {
    wanted.allSatisfy { letter in
      for rule in rules.reversed() {
        let words = rule.text == "a" ? ["a", "*:*", "rwm"] : rule.text.split(separator: " ").map(String.init)
        let numbers = words[1].split(separator: ":")
        guard words[0] == "a" || words[0] == String(kind), words[2].contains(letter),
          numbers[0] == "*" || numbers[0] == "\(major)", numbers[1] == "*" || numbers[1] == "\(minor)"
        else { continue }
        return rule.allow
      }
      return false
    }
  }

  /// The few instructions that the assembler uses.
  private func run(_ program: DeviceProgram, _ words: [UInt64]) -> UInt64 {
    var registers = [UInt64](repeating: 0, count: 11)
    var place = 0
    var steps = 0
    while true {
      steps += 1
      precondition(steps <= program.instructions.count, "a program without loops ends")
      let word = program.instructions[place]
      let (destination, source) = (Int(word >> 8 & 15), Int(word >> 12 & 15))
      let jump = Int(Int16(truncatingIfNeeded: word >> 16))
      let constant = word >> 32
      place += 1
      switch UInt8(truncatingIfNeeded: word) {
      case 0x61: registers[destination] = words[jump / 4]
      case 0xbf: registers[destination] = registers[source]
      case 0xb7: registers[destination] = constant
      case 0x57: registers[destination] &= constant
      case 0x77: registers[destination] >>= constant
      case 0x05: place += jump
      case 0x55: if registers[destination] != constant { place += jump }
      case 0x45: if registers[destination] & constant != 0 { place += jump }
      case 0x95: return registers[0]
      default: preconditionFailure("an instruction that is not known")
      }
    }
  }

  @Test func theProgramDecidesAsTheRulesSay() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = Generator(state: seed)
    for _ in 0..<300 {
      let rules = (0..<Int.random(in: 0...8, using: &random)).map { _ -> Rule in
        let number = { (random: inout Generator) in ["*", "1", "3", "5"].randomElement(using: &random) ?? "*" }
        let access = ["r", "w", "m", "rw", "rwm", "rm"].randomElement(using: &random) ?? "r"
        let kind = ["a", "b", "c"].randomElement(using: &random) ?? "a"
        return Rule(
          allow: Bool.random(using: &random), text: "\(kind) \(number(&random)):\(number(&random)) \(access)")
      }
      let program = try DeviceProgram(rules)
      for (kind, bit) in [("b", 1), ("c", 2)] as [(Character, UInt64)] {
        for major in [1, 3, 9] as [UInt32] {
          for minor in [3, 5, 9] as [UInt32] {
            for (wanted, bits) in [("r", 2), ("w", 4), ("m", 1), ("rw", 6), ("rwm", 7)] as [(String, UInt64)] {
              let result = run(program, [bits << 16 | bit, UInt64(major), UInt64(minor)])
              let right = allows(rules, kind: kind, major, minor, wanted: wanted)
              #expect((result == 1) == right, "seed \(seed), \(rules), \(kind) \(major):\(minor) \(wanted)")
            }
          }
        }
      }
    }
  }

  @Test func aRuleOfAnotherFormIsRefused() {
    for text in ["x 1:3 r", "c 1 r", "c 1:3", "c 1:x r", "c 1:3 q"] {
      #expect(throws: SystemError.self) { try DeviceProgram([Rule(allow: true, text: text)]) }
    }
  }

  private static let isRoot = geteuid() == 0
  private static let unified = CgroupLayout.detect().unifiedDirectory

  /// Docker's whole list, and one rule a right, through the kernel's verifier.
  @Test(.enabled(if: isRoot, "bpf(2) is for root"))
  func theVerifierTakesIt() throws {
    let docker =
      [Rule(allow: false, text: "a *:* rwm")]
      + [
        "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm",
        "c 5:2 rwm", "c 136:* rwm",
      ].map { Rule(allow: true, text: $0) }
    for rules in [docker, [], [Rule(allow: true, text: "a")]] {
      let failure = loadFailure(try DeviceProgram(rules))
      // A container around the tests may keep bpf(2) from its root.
      #expect(failure == nil || failure == .notPermitted)
    }
  }

  private func loadFailure(_ program: DeviceProgram) -> Errno? {
    do throws(SystemError) {
      let descriptor = try program.load()
      return descriptor.rawValue >= 0 ? nil : .badDescriptor
    } catch {
      return error.errno
    }
  }

  /// In a group of the unified hierarchy a program that stands in it reads /dev/null and not /dev/zero; then, with other rules, both.
  /// Without `attach` both reads pass the first time, so the first expectation fails.
  @Test(.enabled(if: isRoot && unified != nil, "needs root and a cgroup2 hierarchy"))
  func aGroupIsHeldByIt() throws {
    let folder = try #require(Self.unified) + "/immure-device-test-\(getpid())"
    guard unsafe mkdir(folder, 0o755) == 0 else { return }
    defer { unsafe rmdir(folder) }
    func reads(_ device: String) throws -> Bool {
      try Finished.run(["/bin/sh", "-c", "echo $$ > '\(folder)/cgroup.procs' && exec head -c 1 \(device) > /dev/null"])
        .status == 0
    }
    let deny = Rule(allow: false, text: "a *:* rwm")
    // The shell's own output goes to /dev/null.
    let null = Rule(allow: true, text: "c 1:3 rw")
    if loadFailure(try DeviceProgram([deny, null])) == .notPermitted { return }
    try DeviceProgram([deny, null]).attach(to: folder)
    #expect(try reads("/dev/null"))
    #expect(try !reads("/dev/zero"))
    try DeviceProgram([deny, null, Rule(allow: true, text: "c 1:5 r")]).attach(to: folder)
    #expect(try reads("/dev/zero"))
  }

  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ (state >> 29)
    }
  }
}
