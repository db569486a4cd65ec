/// One classic BPF instruction, laid out as the kernel's `struct sock_filter` (linux/filter.h): 8 bytes, no padding.
public struct FilterInstruction: Sendable, Hashable, BitwiseCopyable {
  public var code: UInt16
  /// Instructions to skip when a jump's test holds.
  public var jt: UInt8
  /// Instructions to skip when it does not.
  public var jf: UInt8
  public var k: UInt32

  @inlinable
  public init(code: UInt16, jt: UInt8 = 0, jf: UInt8 = 0, k: UInt32) {
    self.code = code
    self.jt = jt
    self.jf = jf
    self.k = k
  }
}

/// The instructions the compiler emits. Only these keep the kernel's constant-action cache alive:
/// `seccomp_is_const_allow` (kernel/seccomp.c, 5.11) gives a call without running the program only where the walk
/// meets nothing else, so arithmetic tricks that would make the program smaller would make every call slower.
public enum Opcode {
  /// `BPF_LD | BPF_W | BPF_ABS`: A = the 32-bit word of `seccomp_data` at offset k.
  public static let load: UInt16 = 0x20
  /// `BPF_ALU | BPF_AND | BPF_K`: A &= k.
  public static let and: UInt16 = 0x54
  /// `BPF_JMP | BPF_JA`: skip k instructions.
  public static let jump: UInt16 = 0x05
  public static let jumpIfEqual: UInt16 = 0x15
  public static let jumpIfGreater: UInt16 = 0x25
  public static let jumpIfGreaterOrEqual: UInt16 = 0x35
  /// `BPF_JMP | BPF_JSET | BPF_K`: the test is A & k != 0.
  public static let jumpIfSet: UInt16 = 0x45
  /// `BPF_RET | BPF_K`: the filter's answer is k.
  public static let ret: UInt16 = 0x06
}

/// Byte offsets within `struct seccomp_data` (linux/seccomp.h); the argument words are those of a little-endian
/// machine.
public enum SeccompDataOffset {
  public static let number: UInt32 = 0
  public static let architecture: UInt32 = 4
  public static let instructionPointer: UInt32 = 8
  public static let size: UInt32 = 64

  @inlinable
  public static func low(ofArgument index: UInt8) -> UInt32 { 16 + 8 * UInt32(index) }
  @inlinable
  public static func high(ofArgument index: UInt8) -> UInt32 { 20 + 8 * UInt32(index) }
}

/// What the kernel shows a filter of one system call: `struct seccomp_data`.
public struct SeccompData: Sendable, Hashable {
  public var number: UInt32
  /// An `AUDIT_ARCH_*` token.
  public var architecture: UInt32
  public var instructionPointer: UInt64 = 0
  public var arguments: [6 of UInt64] = [0, 0, 0, 0, 0, 0]

  public init(number: UInt32, architecture: UInt32, arguments: [UInt64] = []) {
    self.number = number
    self.architecture = architecture
    for index in 0..<min(arguments.count, 6) { self.arguments[index] = arguments[index] }
  }

  public static func == (one: Self, other: Self) -> Bool {
    one.number == other.number && one.architecture == other.architecture
      && one.instructionPointer == other.instructionPointer
      && (0..<6).allSatisfy { one.arguments[$0] == other.arguments[$0] }
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(number)
    hasher.combine(architecture)
    for index in 0..<6 { hasher.combine(arguments[index]) }
  }

  /// The 32-bit word at a byte offset, as `BPF_LD | BPF_W | BPF_ABS` reads it; nil outside or unaligned.
  public func word(at offset: UInt32) -> UInt32? {
    guard offset % 4 == 0, offset < SeccompDataOffset.size else { return nil }
    switch offset {
    case SeccompDataOffset.number: return number
    case SeccompDataOffset.architecture: return architecture
    case 8: return UInt32(truncatingIfNeeded: instructionPointer)
    case 12: return UInt32(truncatingIfNeeded: instructionPointer >> 32)
    default:
      let argument = arguments[Int(offset - 16) / 8]
      return UInt32(truncatingIfNeeded: offset % 8 == 0 ? argument : argument >> 32)
    }
  }
}
