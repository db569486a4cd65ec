import CFuzz
import Formats
import Glibc

/// What is accepted must come back from its own text, whatever else the document held.
func check(_ bytes: [UInt8]) {
  switch try? ImageDocument.parse(bytes) {
  case .index(let index):
    guard case .index(let again)? = try? ImageDocument.parse(index.json.bytes()) else {
      fatalError("own index is refused")
    }
    precondition(again.json.bytes() == index.json.bytes(), "own index reads differently")
    _ = try? index.manifest(for: Platform(os: "linux", architecture: "amd64"))
  case .manifest(let manifest):
    guard case .manifest(let again)? = try? ImageDocument.parse(manifest.json.bytes()) else {
      fatalError("own manifest is refused")
    }
    precondition(again.json.bytes() == manifest.json.bytes(), "own manifest reads differently")
  case nil: break
  }
  if let configuration = try? ImageConfiguration.parse(bytes) {
    guard let again = try? ImageConfiguration.parse(configuration.json.bytes()) else {
      fatalError("own configuration is refused")
    }
    precondition(
      again.json.bytes() == configuration.json.bytes(), "own configuration reads differently")
  }
}

@main
enum FuzzImageTypes {
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
