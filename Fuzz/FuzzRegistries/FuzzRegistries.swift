import CFuzz
import Formats
import Glibc

private let names = [
  "python", "me/app:1", "example.com/foo/image", "a.example.com:80/x", "localhost:5000/a",
  "registry.com/a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
]

/// Every message is one line with the file's name; whatever a file says, an image is asked for somewhere, or refused in words.
func check(_ bytes: [UInt8]) {
  let read: RegistriesConfiguration
  do throws(FormatError) { read = try RegistriesConfiguration(bytes, source: "fuzz.conf") } catch {
    precondition(error.description.hasPrefix("fuzz.conf"), "a message without the file: \(error)")
    precondition(!error.description.utf8.contains { $0 < 0x20 }, "a message of more than one line")
    return
  }
  for remark in read.remarks { precondition(!remark.utf8.contains { $0 < 0x20 }, "a remark of more than one line") }
  var merged = read
  merged.merge(read)
  precondition(merged.registries.count == read.registries.count, "a prefix twice")
  for name in names {
    guard let meanings = try? read.candidates(for: name) else { continue }
    precondition(!ImageReference.isShort(name) || meanings.allSatisfy { $0.registry.utf8.count > 0 }, "no registry")
    for meaning in meanings {
      guard let sources = try? read.sources(for: meaning) else { continue }
      precondition(sources.last?.isMirror == false, "the place itself comes last")
      for source in sources {
        // What is asked for is what was meant: rewriting changes where, never which.
        precondition(source.reference.digest == meaning.digest, "another digest")
        guard let again = try? ImageReference(source.reference.canonical), again == source.reference else {
          fatalError("\(source.reference.canonical) is no name")
        }
      }
    }
  }
}

@main
enum FuzzRegistries {
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
