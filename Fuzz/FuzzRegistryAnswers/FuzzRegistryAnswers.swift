import CFuzz
import Formats
import Glibc

/// What helpers and registries answer, and what the environment says of proxies: taken only as what it can mean.
func check(_ bytes: [UInt8]) {
  let text = String(decoding: bytes, as: UTF8.self)
  do throws(FormatError) {
    let answer = try CredentialAnswer(bytes, source: "helper")
    precondition(!answer.user.isEmpty && !answer.secret.isEmpty, "an empty secret")
    precondition(!(answer.user + answer.secret).utf8.contains { $0 < 0x20 || $0 == 0x7F }, "a secret of several lines")
    guard let again = try? CredentialAnswer(answer.storing("x"), source: "again") else {
      fatalError("cannot be stored")
    }
    precondition(again == answer, "another secret")
  } catch {
    precondition(!error.description.utf8.contains { $0 < 0x20 }, "a message of more than one line")
    precondition(error.offending.isEmpty, "a message that shows what a helper said")
  }
  _ = try? CredentialAnswer.list(bytes, source: "helper")
  if CredentialAnswer.isHelper(text) { precondition(!text.contains("/"), "another folder") }
  if let range = try? ContentRange(text) {
    precondition(range.first >= 0 && range.first <= range.last && range.last < range.size ?? .max, "a range")
  }
  if let range = try? ByteRange(text) { precondition(range.first >= 0 && range.first <= range.last, "a range") }
  if let seconds = RetryAfter.seconds(text, now: 1_700_000_000) { precondition(seconds >= 0, "a moment before") }
  if let address = IPAddress(text) {
    precondition([4, 16].contains(address.bytes.count), "an address")
    precondition(address.isWithin(address, bits: address.bytes.count * 8), "not in itself")
  }
  if let rules = try? ProxyRules(http: text, https: text, spared: text) {
    precondition(rules.proxy(for: "localhost", port: 443, isSecure: true) == nil, "a proxy for this machine")
    if let proxy = rules.proxy(for: "registry.example", port: 443, isSecure: true) {
      precondition(!proxy.host.isEmpty && (1...65535).contains(proxy.port), "a proxy")
      precondition(!(proxy.host + (proxy.credentials ?? "")).utf8.contains { $0 < 0x20 }, "a header of several lines")
    }
  }
}

@main
enum FuzzRegistryAnswers {
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
