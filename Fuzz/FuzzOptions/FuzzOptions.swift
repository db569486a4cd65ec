import CFuzz
import Glibc
import Options

/// A command line, its words apart by zero bytes: what is understood obeys the table, what is not is one short line.
func check(_ bytes: [UInt8]) {
  let words = bytes.split(separator: 0, omittingEmptySubsequences: false).prefix(64).map {
    String(decoding: $0, as: UTF8.self)
  }
  do throws(UsageError) {
    guard case .command(let command) = try CommandLineReading(words) else { return }
    precondition(command.verb.count.contains(command.operands.count), "operands that the table does not allow")
    for option in command.verb.options {
      let values = command.all(option.name)
      precondition(option.value != nil || values.allSatisfy(\.isEmpty), "a flag with a value")
      precondition(option.repeats || Set(values).count <= 1, "two values of one option")
      precondition(command.flag(option.name) == !values.isEmpty)
    }
    // Every operand was a word of the line.
    precondition(command.operands.allSatisfy(words.contains), "a word that nobody wrote")
  } catch {
    let line = error.description
    precondition(!line.unicodeScalars.contains { $0.value < 32 || $0.value == 127 }, "an error that breaks its line")
    precondition(line.unicodeScalars.count < 1000, "an error without end")
  }
}

@main
enum FuzzOptions {
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
