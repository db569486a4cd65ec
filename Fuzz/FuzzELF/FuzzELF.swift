import CFuzz
import Formats
import Glibc

/// Whatever an executable or a script says of itself: what the reader takes keeps the bounds that those who map it count on.
func check(_ bytes: [UInt8]) {
  if let line = ScriptLine(Array(bytes.prefix(ScriptLine.limit))) {
    precondition(
      !line.interpreter.isEmpty && line.interpreter.count < ScriptLine.limit, "a script without an interpreter")
    precondition(line.argument?.isEmpty != true, "an argument of nothing")
  }
  let head = Array(bytes.prefix(ELFProgram.headerSize))
  guard let place = try? ELFProgram.programHeaders(head.span) else { return }
  precondition(place.count <= 1 << 16, "more program headers than the kernel reads")
  guard place.upperBound <= UInt64(bytes.count) else { return }
  let table = Array(bytes[Int(place.lowerBound)..<Int(place.upperBound)])
  guard let program = try? ELFProgram(head.span, table: table.span) else { return }
  let span = program.span
  precondition(!span.isEmpty && span.lowerBound & 4095 == 0 && span.upperBound & 4095 == 0, "not of pages")
  precondition(span.upperBound <= 0x8000_0000_0000, "past what a process has")
  precondition(program.alignment.nonzeroBitCount == 1 && program.alignment >= 4096, "no alignment")
  var end: UInt64 = 0
  for segment in program.segments {
    precondition(segment.address >= end && segment.fileSize <= segment.memorySize, "segments that overlap")
    precondition((segment.address ^ segment.offset) & 4095 == 0, "an offset that no mapping has")
    end = segment.address + segment.memorySize
  }
  if let interpreter = program.interpreter { precondition((1...4095).contains(interpreter.count), "no interpreter") }
}

@main
enum FuzzELF {
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
