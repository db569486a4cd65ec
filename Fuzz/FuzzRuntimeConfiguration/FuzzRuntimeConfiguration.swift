import CFuzz
import Formats
import Glibc

/// A configuration is refused in one line, or written so that the same one is read again.
func check(_ bytes: [UInt8]) {
  do {
    let configuration = try RuntimeConfiguration.read(bytes, source: "config.json")
    do {
      var again = try RuntimeConfiguration.read(configuration.json.bytes(), source: "again")
      precondition(again.ignoredFields.isEmpty, "an unknown field was written")
      again.ignoredFields = configuration.ignoredFields
      precondition(again == configuration, "another configuration was written")
    } catch { fatalError("what was written is not read: \(error)") }
  } catch {
    precondition(!"\(error)".utf8.contains { $0 < 0x20 }, "a message of more than one line")
  }
  var ignored: [String] = []
  // Other documents of the same words: only that they are borne.
  _ = try? ProcessConfiguration.read(bytes, source: "process.json", ignored: &ignored)
  _ = try? ResourceConfiguration.read(bytes, source: "resources.json", ignored: &ignored)
}

@main
enum FuzzRuntimeConfiguration {
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
