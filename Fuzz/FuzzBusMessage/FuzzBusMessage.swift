import CFuzz
import Formats
import Glibc

/// A message that is read is written and read again as the same; so is a value's text, where it is one.
func check(_ bytes: [UInt8]) {
  if let length = try? BusMessage.length(of: bytes) { precondition(length <= BusMessage.limit, "longer than is taken") }
  _ = try? BusText.parse(String(decoding: bytes, as: UTF8.self))
  guard let message = try? BusMessage(bytes: bytes) else { return }
  // A header without fields that nobody knows is shorter, but a body is aligned anew: it may become too long, and nothing else.
  guard let again = try? message.encoded() else {
    precondition(bytes.count > BusMessage.limit / 2, "what was read cannot be written: \(message)")
    return
  }
  guard let second = try? BusMessage(bytes: again) else { fatalError("what was written cannot be read: \(message)") }
  precondition(second == message, "\(message) became \(second)")
}

@main
enum FuzzBusMessage {
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
