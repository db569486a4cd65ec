import CFuzz
import Formats
import Glibc

/// Every value must be reachable with its line, and every message be one line.
func check(_ bytes: [UInt8]) {
  do {
    walk(
      try TOMLNode.parse(bytes, source: "fuzz.toml"),
      lines: bytes.count { $0 == UInt8(ascii: "\n") } + 1)
  } catch {
    precondition(!error.description.utf8.contains { $0 < 0x20 }, "a message of more than one line")
  }
}

private func walk(_ node: TOMLNode, lines: Int) {
  precondition((1...lines).contains(node.line), "a line that is not there")
  precondition(
    !node.failure("is wrong").description.utf8.contains { $0 < 0x20 },
    "a message of more than one line")
  for element in (try? node.elements()) ?? [] { walk(element, lines: lines) }
  for member in (try? node.members()) ?? [] { walk(member.node, lines: lines) }
}

@main
enum FuzzTOML {
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
