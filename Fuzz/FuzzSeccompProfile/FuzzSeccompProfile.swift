import CFuzz
import Glibc
import Seccomp

/// A profile is refused in one line, or compiles to a program that the kernel's checks pass and that ends on every call.
func check(_ bytes: [UInt8]) {
  let machine = machines[bytes.count % machines.count]
  let context = ProfileContext(capabilities: 0xA804_25FB, kernel: (6, 1), machine: machine)
  do {
    let profile = try SeccompProfile(json: bytes, source: "fuzz.json", context)
    do {
      let program = try profile.compile(for: context.machine)
      try Validator.check(program.instructions)
      for number in [0, 1, 16, 41, 56, 0x4000_0001, UInt32.max] as [UInt32] {
        for architecture in context.machine.family ?? [] {
          let call = SeccompData(
            number: number, architecture: architecture.auditToken ?? 0, arguments: [1, .max, 1 << 32, 0, 5, 6])
          let outcome = try Simulator.run(program.instructions, call)
          precondition(outcome.steps <= program.instructions.count, "an instruction ran twice")
        }
      }
    } catch {
      precondition(error.description.contains("4096"), "a profile was read but not compiled: \(error)")
    }
  } catch {
    precondition(!"\(error)".utf8.contains { $0 < 0x20 }, "a message of more than one line")
  }
}

private let machines: [Architecture] = [.x86_64, .arm64, .riscv64]

@main
enum FuzzSeccompProfile {
  static func main() {
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
    // SAFETY: the arguments live as long as the process; libFuzzer promises `size` readable bytes at `data`.
    let status = unsafe LLVMFuzzerRunDriver(&count, &arguments) { data, size in
      unsafe check(Array(UnsafeBufferPointer(start: data, count: size)))
      return 0
    }
    exit(status)
  }
}
