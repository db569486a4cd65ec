/// The checks the kernel makes before it takes a filter (`bpf_check_classic` in net/core/filter.c,
/// `seccomp_check_filter` in kernel/seccomp.c), for the instructions we emit: a program that passes here is not
/// refused there.
public enum Validator {
  /// `BPF_MAXINSNS`.
  public static let longest = 4096

  public static func check(_ program: [FilterInstruction]) throws(SeccompError) {
    guard !program.isEmpty else { throw SeccompError("the filter is empty") }
    guard program.count <= longest else {
      throw SeccompError("the filter has \(program.count) instructions, more than the kernel's \(longest)")
    }
    for (index, instruction) in program.enumerated() {
      let after = program.count - index - 1
      switch instruction.code {
      case Opcode.ret, Opcode.and: break
      case Opcode.load:
        guard instruction.k % 4 == 0, instruction.k < SeccompDataOffset.size else {
          throw SeccompError("instruction \(index) loads offset \(instruction.k), not a word of seccomp_data")
        }
      case Opcode.jump:
        guard instruction.k < UInt32(after) else {
          throw SeccompError("instruction \(index) jumps \(instruction.k) ahead, past the end")
        }
      case Opcode.jumpIfEqual, Opcode.jumpIfGreater, Opcode.jumpIfGreaterOrEqual, Opcode.jumpIfSet:
        guard Int(max(instruction.jt, instruction.jf)) < after else {
          throw SeccompError("instruction \(index) jumps past the end")
        }
      default: throw SeccompError("instruction \(index) has the unknown code \(instruction.code)")
      }
    }
    guard program.last?.code == Opcode.ret else { throw SeccompError("the filter does not end in a return") }
  }
}
