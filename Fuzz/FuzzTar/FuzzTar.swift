import CFuzz
import Formats
import Glibc

/// The size of the chunks must make no difference, and what was read must be writable and read back the same.
func check(_ bytes: [UInt8]) {
  checkOne(bytes)
  checkOne(repaired(bytes))
}

private func checkOne(_ bytes: [UInt8]) {
  let whole = read(bytes, chunk: max(bytes.count, 1))
  precondition(whole == read(bytes, chunk: 61), "chunks make a difference")
  for entry in whole.entries {
    guard let header = try? TarWriter.header(for: entry) else { continue }
    guard let again = read(header, chunk: header.count).entries.first else {
      fatalError("own header is refused")
    }
    precondition(
      again.mode == entry.mode && again.uid == entry.uid && again.gid == entry.gid,
      "own header reads differently")
    precondition(
      again.size == entry.size && again.modified == entry.modified, "own header reads differently")
    precondition(again.linkTarget == entry.linkTarget, "own header reads differently")
  }
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

private struct Outcome: Equatable {
  var entries: [TarEntry] = []
  var dataBytes = 0
  var lastOffset: Int64 = 0
  var problem: String?
}

private func read(_ bytes: [UInt8], chunk: Int) -> Outcome {
  var reader = TarReader()
  var outcome = Outcome()
  do {
    var start = 0
    while start < bytes.count {
      let piece = Array(bytes[start..<min(start + chunk, bytes.count)])
      var position = 0
      loop: while true {
        switch try reader.next(piece.span, at: &position) {
        case .entry(let entry):
          outcome.entries.append(entry)
          outcome.lastOffset = 0
        case .data(let offset, let range):
          precondition(
            offset >= outcome.lastOffset && range.upperBound <= piece.count, "data out of order")
          outcome.lastOffset = offset + Int64(range.count)
          precondition(
            outcome.lastOffset <= outcome.entries[outcome.entries.count - 1].size,
            "data beyond the file")
          outcome.dataBytes += range.count
        case .end, .needsInput: if position == piece.count { break loop }
        }
      }
      start += piece.count
    }
    try reader.finish()
  } catch {
    precondition(!error.description.utf8.contains { $0 < 0x20 }, "a message of more than one line")
    outcome.problem = error.description
  }
  return outcome
}

@main
enum FuzzTar {
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
