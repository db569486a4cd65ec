import CFuzz
import Formats
import Glibc

/// What is accepted must be accepted in its other spellings, and mean the same.
func check(_ bytes: [UInt8]) {
  let text = String(decoding: bytes, as: UTF8.self)
  if let reference = try? ImageReference(text) {
    for spelling in [reference.canonical, reference.familiar] {
      guard let again = try? ImageReference(spelling) else { fatalError("\(spelling) is refused") }
      precondition(again == reference, "\(spelling) means something else")
    }
    precondition(!reference.repository.split(separator: "/").contains(".."), "a path that climbs")
  }
  if let digest = try? Digest(text) {
    precondition(
      digest.description == text && digest.hex.utf8.count == 64, "a digest that is not one")
  }
  if let platform = try? Platform(text) {
    guard let again = try? Platform(platform.description) else {
      fatalError("\(platform) is refused")
    }
    precondition(again == platform, "\(platform) means something else")
  }
}

@main
enum FuzzReference {
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
