import CFuzz
import Formats
import Glibc

/// What is read must be within its bounds, and mean the same when it is spelled out again.
func check(_ bytes: [UInt8]) {
  let text = String(decoding: bytes, as: UTF8.self)
  guard let challenges = try? AuthenticationChallenge.parse(text) else { return }
  precondition(challenges.count <= 16, "more challenges than are taken")
  for challenge in challenges {
    precondition(!challenge.scheme.isEmpty && challenge.scheme == challenge.scheme.lowercased(), "a scheme")
    for name in challenge.parameters.keys {
      precondition(!name.isEmpty && name == name.lowercased(), "a parameter's name")
    }
  }
  let spelled = challenges.map { challenge in
    let parameters = challenge.parameters.sorted { $0.key < $1.key }.map { name, value in
      var quoted = name + "=\""
      for scalar in value.unicodeScalars {
        if scalar == "\"" || scalar == "\\" { quoted.unicodeScalars.append("\\") }
        quoted.unicodeScalars.append(scalar)
      }
      return quoted + "\""
    }
    return challenge.scheme + (parameters.isEmpty ? "" : " " + parameters.joined(separator: ", "))
  }.joined(separator: ", ")
  // Quotation marks that are escaped now can make it longer than is taken.
  guard spelled.utf8.count <= 8192 else { return }
  guard let again = try? AuthenticationChallenge.parse(spelled) else { fatalError("\(spelled) is refused") }
  precondition(again == challenges, "\(spelled) means something else")
}

@main
enum FuzzChallenge {
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
