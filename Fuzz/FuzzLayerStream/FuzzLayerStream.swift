import CFuzz
import Formats
import Glibc

/// The decoder must bear any stream; what the translator makes of any tar, the decoder must accept.
func check(_ bytes: [UInt8]) {
  var limits = LayerLimits()
  limits.fileSize = 1 << 30
  if let records = decode(bytes, limits) {
    for record in records {
      precondition(
        !record.components.contains { $0.elementsEqual("..".utf8) }, "a path that climbs")
    }
  }
  translate(bytes, limits)
  translate(repaired(bytes), limits)
}

private func translate(_ bytes: [UInt8], _ limits: LayerLimits) {
  var translator = LayerTranslator(limits: limits)
  do {
    try translator.feed(bytes.span)
    try translator.finish(digest: Digest.of([]))
  } catch {
    precondition(!error.description.utf8.contains { $0 < 0x20 }, "a message of more than one line")
    return
  }
  precondition(decode(translator.encoder.bytes, limits) != nil, "own stream is refused")
}

/// The same bytes with the checksum of every block that looks like a header put right: mutations alone would hardly pass it.
private func repaired(_ bytes: [UInt8]) -> [UInt8] {
  var bytes = bytes
  for start in stride(from: 0, to: bytes.count - 511, by: 512)
  where bytes[start + 257..<start + 262].elementsEqual("ustar".utf8) {
    for index in 148..<156 { bytes[start + index] = 0x20 }
    let sum = bytes[start..<start + 512].reduce(0) { $0 + Int($1) }
    for (index, digit) in String(sum, radix: 8).utf8.enumerated() { bytes[start + 149 + index] = digit }
  }
  return bytes
}

private func decode(_ bytes: [UInt8], _ limits: LayerLimits) -> [LayerRecord]? {
  var decoder = LayerStreamDecoder(limits: limits)
  var records: [LayerRecord] = []
  do {
    var position = 0
    loop: while true {
      switch try decoder.next(bytes.span, at: &position) {
      case .entry(let record): records.append(record)
      case .data(let range):
        precondition(range.upperBound <= bytes.count && !records.isEmpty, "data of nothing")
      case .hole(let length): precondition(length > 0 && !records.isEmpty, "a hole of nothing")
      case .needsInput: break loop
      }
    }
    let end = try decoder.finish()
    precondition(end.entryCount == records.count, "entries do not add up")
    return records
  } catch {
    precondition(!error.description.utf8.contains { $0 < 0x20 }, "a message of more than one line")
    return nil
  }
}

@main
enum FuzzLayerStream {
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
