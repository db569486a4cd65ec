import ChildProcesses
import Foundation

/// Python as an oracle (tomllib, tarfile, hashlib): independent of everything here.
enum Python {
  struct Failed: Error, CustomStringConvertible {
    let description: String
  }

  /// Whether `python3` is there and has tomllib (3.11 or newer).
  static let isAvailable = (try? run("import tomllib, tarfile", input: [])) != nil

  /// Runs a script in one process, its input a file (a pipe would have to be fed while it is read), for at most 60 s.
  static func run(_ script: String, input: [UInt8]) throws -> [UInt8] {
    let result = try Finished.run(["python3", "-c", script], input: .bytes(input))
    guard result.status == 0 else { throw Failed(description: result.error) }
    return Array(result.bytes)
  }
}
