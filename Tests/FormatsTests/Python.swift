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
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("formats-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }  // a leftover in the temporary folder harms nobody
    let files = ["input", "output", "errors"].map { folder.appendingPathComponent($0) }
    for (file, content) in zip(files, [Data(input), Data(), Data()]) { try content.write(to: file) }

    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["timeout", "60", "python3", "-c", script]
    process.standardInput = try FileHandle(forReadingFrom: files[0])
    process.standardOutput = try FileHandle(forWritingTo: files[1])
    process.standardError = try FileHandle(forWritingTo: files[2])
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failed(description: String(decoding: try Data(contentsOf: files[2]), as: UTF8.self))
    }
    return Array(try Data(contentsOf: files[1]))
  }
}
