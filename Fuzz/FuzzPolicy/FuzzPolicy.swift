import CFuzz
import Glibc
import Policy

/// The first byte chooses what the rest is: a policy file, an --env-file, or an option's text.
@main
enum FuzzPolicy {
  static func main() {
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
    // SAFETY: the pointers outlive the call; libFuzzer promises `size` readable bytes at `data` to its callback.
    let status = unsafe LLVMFuzzerRunDriver(&count, &arguments) { data, size in
      let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: size))
      if let choice = bytes.first { FuzzPolicy.one(choice, Array(bytes.dropFirst())) }
      return 0
    }
    exit(status)
  }

  static func one(_ choice: UInt8, _ bytes: [UInt8]) {
    var policy = Policy.untrusted(memoryBytesOfHost: 8 << 30)
    let before = policy
    do {
      switch choice {
      case UInt8(ascii: "f"):
        policy = try PolicyFile.read(bytes, path: "p.toml", folder: "/etc", over: policy)
      case UInt8(ascii: "e"):
        try policy.applyEnvironmentFile(bytes, path: "vars")
      default:
        let options = PolicyOption.allCases
        try policy.apply(
          options[Int(choice) % options.count], String(decoding: bytes, as: UTF8.self),
          surroundings: OptionSurroundings(folder: "/home/u"))
      }
    } catch {
      // One line, whatever the input; and an option that is refused has changed nothing.
      precondition(!error.description.utf8.contains(10) && !error.description.utf8.contains(27))
      precondition(choice == UInt8(ascii: "e") || policy == before)
    }
    // What was accepted can be explained, and no path in it leads out of where it says.
    let explanation = PolicyExplanation(wall: .jail, policy.rules.map { ($0, .enforced("x")) })
    precondition(explanation.text().utf8.count(where: { $0 == 10 }) == policy.rules.count + 1)
    for file in policy.files {
      for path in [file.value.path, file.value.destination] {
        precondition(path.hasPrefix("/") && !path.split(separator: "/").contains(".."))
      }
    }
  }
}
