/// Runs filters as the kernel's `bpf_prog_run` does, and counts.
public enum Simulator {
  public struct Outcome: Sendable, Hashable {
    public var action: Action
    /// The raw return value.
    public var value: UInt32
    /// Instructions executed, the return among them.
    public var steps: Int
    /// Whether an argument or the instruction pointer was looked at: if not, the kernel (5.11 and newer) answers an
    /// allowed call from its bitmap without running the filter.
    public var readsArguments: Bool
  }

  /// The answer of a validated program to a call.
  /// - Throws: what a program does that the kernel's checker would have refused.
  public static func run(_ program: [FilterInstruction], _ data: SeccompData) throws(SeccompError) -> Outcome {
    var accumulator: UInt32 = 0
    var counter = 0
    var steps = 0
    var readsArguments = false
    while counter < program.count {
      let instruction = program[counter]
      counter += 1
      steps += 1
      let holds: Bool
      switch instruction.code {
      case Opcode.load:
        guard let word = data.word(at: instruction.k) else {
          throw SeccompError("instruction \(counter - 1) loads offset \(instruction.k), outside seccomp_data")
        }
        accumulator = word
        if instruction.k >= SeccompDataOffset.instructionPointer { readsArguments = true }
        continue
      case Opcode.and:
        accumulator &= instruction.k
        continue
      case Opcode.jump:
        counter += Int(instruction.k)
        continue
      case Opcode.ret:
        return Outcome(
          action: Action(value: instruction.k), value: instruction.k, steps: steps, readsArguments: readsArguments)
      case Opcode.jumpIfEqual: holds = accumulator == instruction.k
      case Opcode.jumpIfGreater: holds = accumulator > instruction.k
      case Opcode.jumpIfGreaterOrEqual: holds = accumulator >= instruction.k
      case Opcode.jumpIfSet: holds = accumulator & instruction.k != 0
      default:
        throw SeccompError("instruction \(counter - 1) has the code \(instruction.code), which no filter of ours has")
      }
      counter += Int(holds ? instruction.jt : instruction.jf)
    }
    throw SeccompError("the program runs past its end at instruction \(counter)")
  }
}
