import CFuzz
import Formats
import Glibc

/// What parses must come back from its own text, and skipping must judge as parsing does.
func check(_ bytes: [UInt8]) {
  var skips = true
  do {
    var reader = JSONReader(bytes.span)
    try reader.skip()
    try reader.finish()
  } catch { skips = false }
  do {
    let value = try JSONValue.parse(bytes)
    precondition(skips, "skip refuses what parse accepts")
    for indented in [false, true] {
      guard let again = try? JSONValue.parse(value.bytes(indented: indented)) else {
        fatalError("own text is refused")
      }
      precondition(again == value, "own text reads differently")
    }
  } catch {
    precondition(
      !skips || error.problem == "occurs twice in one object", "skip accepts what parse refuses")
    precondition(!error.description.utf8.contains { $0 < 0x20 }, "a message of more than one line")
  }
}

@main
enum FuzzJSON {
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
