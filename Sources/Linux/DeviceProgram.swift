/// A device list as a program for version 2 of control groups, which has no files for it (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE;
/// Documentation/admin-guide/cgroup-v2.rst, "Device controller").
///
/// The kernel asks with a kind, two numbers and what is wanted of read, write and mknod. Each wanted right is looked up by itself: the last
/// rule that names the device and the right decides, and nothing is allowed that no rule allows. All wanted rights must be.
public struct DeviceProgram: Sendable, Equatable {
  /// `struct bpf_insn` each: code, registers (destination in the low half), jump offset, constant.
  public let instructions: [UInt64]

  struct Rule: Sendable, Equatable {
    var allow: Bool
    /// 1 block, 2 character; nil both.
    var kind: UInt32?
    var major: UInt32?
    var minor: UInt32?
    /// 1 mknod, 2 read, 4 write.
    var access: UInt32
  }

  /// Rules as devices.allow and devices.deny take them: "a", "c 1:3 rwm", "b *:* m".
  /// - Throws: EINVAL with a rule that is not of that form.
  public init(_ rules: [CgroupLimits.DeviceRule]) throws(SystemError) {
    var parsed: [Rule] = []
    for rule in rules { parsed.append(try DeviceProgram.parse(rule)) }
    instructions = DeviceProgram.assemble(parsed)
  }

  private static func parse(_ rule: CgroupLimits.DeviceRule) throws(SystemError) -> Rule {
    let words = rule.text.split(separator: " ")
    func number(_ text: Substring) throws(SystemError) -> UInt32? {
      if text == "*" { return nil }
      guard let number = UInt32(text) else { throw SystemError("device rule", rule.text, .invalid) }
      return number
    }
    let kinds: [Substring: UInt32?] = ["a": nil, "b": 1, "c": 2]
    guard let first = words.first, let kind = kinds[first], words.count == 3 || rule.text == "a" else {
      throw SystemError("device rule", rule.text, .invalid)
    }
    var result = Rule(allow: rule.allow, kind: kind, major: nil, minor: nil, access: 7)
    if words.count == 3 {
      let numbers = words[1].split(separator: ":")
      guard numbers.count == 2 else { throw SystemError("device rule", rule.text, .invalid) }
      result.major = try number(numbers[0])
      result.minor = try number(numbers[1])
      result.access = 0
      for letter in words[2] {
        guard let bit = ["m": 1, "r": 2, "w": 4][letter] as UInt32? else {
          throw SystemError("device rule", rule.text, .invalid)
        }
        result.access |= bit
      }
    }
    return result
  }

  // MARK: Assembling

  private static let result: UInt8 = 0
  private static let context: UInt8 = 1
  private static let kind: UInt8 = 2
  private static let access: UInt8 = 3
  private static let major: UInt8 = 4
  private static let minor: UInt8 = 5

  /// Documentation/bpf/standardization/instruction-set.rst.
  private enum Code {
    static let loadWord: UInt8 = 0x61
    static let moveRegister: UInt8 = 0xbf
    static let moveConstant: UInt8 = 0xb7
    static let and: UInt8 = 0x57
    static let shiftRight: UInt8 = 0x77
    static let jump: UInt8 = 0x05
    static let jumpIfNotEqual: UInt8 = 0x55
    static let jumpIfAnySet: UInt8 = 0x45
    static let exit: UInt8 = 0x95
  }

  private static func instruction(
    _ code: UInt8, _ destination: UInt8 = 0, from source: UInt8 = 0, jump: Int = 0, _ constant: UInt32 = 0
  ) -> UInt64 {
    UInt64(code) | UInt64(destination | source << 4) << 8 | UInt64(UInt16(truncatingIfNeeded: jump)) << 16
      | UInt64(constant) << 32
  }

  private static func assemble(_ rules: [Rule]) -> [UInt64] {
    var program = [
      // struct bpf_cgroup_dev_ctx: access << 16 | kind, major, minor.
      instruction(Code.loadWord, kind, from: context, jump: 0),
      instruction(Code.moveRegister, access, from: kind),
      instruction(Code.and, kind, 0xffff),
      instruction(Code.shiftRight, access, 16),
      instruction(Code.loadWord, major, from: context, jump: 4),
      instruction(Code.loadWord, minor, from: context, jump: 8),
    ]
    for bit in [1, 2, 4] as [UInt32] {
      let block = decide(rules.reversed().filter { $0.access & bit != 0 })
      // Not asked for: past the block.
      program.append(instruction(Code.jumpIfAnySet, access, jump: 1, bit))
      program.append(instruction(Code.jump, jump: block.count))
      program += block
    }
    return program + [instruction(Code.moveConstant, result, 1), instruction(Code.exit)]
  }

  /// Falls out at its end where the right is allowed, and ends the program where it is not.
  private static func decide(_ rules: [Rule]) -> [UInt64] {
    var parts: [[UInt64]] = []
    for rule in rules {
      var tests: [(UInt8, UInt32)] = []
      if let kind = rule.kind { tests.append((self.kind, kind)) }
      if let major = rule.major { tests.append((self.major, major)) }
      if let minor = rule.minor { tests.append((self.minor, minor)) }
      let verdict = rule.allow ? 1 : 2
      var part: [UInt64] = []
      for (index, test) in tests.enumerated() {
        part.append(instruction(Code.jumpIfNotEqual, test.0, jump: tests.count - index - 1 + verdict, test.1))
      }
      // The jump of an allowing rule is filled in when the block's length is known.
      part +=
        rule.allow
        ? [instruction(Code.jump)] : [instruction(Code.moveConstant, result, 0), instruction(Code.exit)]
      parts.append(part)
      // Nothing after a rule for every device is ever reached, which the verifier would refuse.
      if tests.isEmpty { return join(parts) }
    }
    return join(parts + [[instruction(Code.moveConstant, result, 0), instruction(Code.exit)]])
  }

  private static func join(_ parts: [[UInt64]]) -> [UInt64] {
    var block = parts.flatMap { $0 }
    for index in block.indices where block[index] == instruction(Code.jump) {
      block[index] = instruction(Code.jump, jump: block.count - index - 1)
    }
    return block
  }
}
