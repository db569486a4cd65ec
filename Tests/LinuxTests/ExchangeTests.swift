import CLinux
import Linux
import Testing

import func Foundation.NSTemporaryDirectory
import struct Foundation.UUID

/// A file that is replaced by the one before the last.
@Suite struct ExchangeTests {
  let path = NSTemporaryDirectory() + "immure-exchange-\(UUID().uuidString.prefix(8))"

  private func put(_ text: String) throws {
    let folder = try File.open(path, O_RDONLY | O_DIRECTORY)
    try File.exchange("f", Array(text.utf8), at: folder.rawValue)
  }

  private func got() throws -> String { String(decoding: try File.exchangedContents(path + "/f"), as: UTF8.self) }

  @Test func longerAndShorterTextsTakeTurnsInTwoFiles() throws {
    try File.makeDirectory(path)
    defer { try? File.removeTree(path) }
    var files: Set<UInt> = []
    for text in ["one", "the second, which is longer", "3", "", "five"] {
      try put(text)
      #expect(try got() == text)
      files.insert(try File.status(path + "/f").st_ino)
      #expect(try Set(File.names(inDirectory: path)).subtracting([".f.spare"]) == ["f"])
    }
    #expect(files.count == 2)
  }

  /// What a reader has open is never written, however often the file is replaced meanwhile.
  @Test func whoReadsLateReadsWhatHeFound() throws {
    try File.makeDirectory(path)
    defer { try? File.removeTree(path) }
    try put("first")
    let late = try File.open(path + "/f", O_RDONLY)
    _ = try File.lock(late.rawValue, exclusive: false)
    for number in 0..<4 {
      try put("text \(number) that would show")
      #expect(try got() == "text \(number) that would show")
    }
    #expect(try File.readAll(late.rawValue) == Array("first".utf8))
  }

  /// Killed while it wrote: the spare file is half written, and nobody minds.
  @Test func aHalfWrittenSpareIsWrittenOver() throws {
    try File.makeDirectory(path)
    defer { try? File.removeTree(path) }
    try put("first")
    let spare = try File.open(path + "/.f.spare", O_WRONLY | O_CREAT, mode: 0o600)
    try File.writeAll(spare.rawValue, "nonsense that is longer than what comes")
    _ = consume spare
    #expect(try got() == "first")
    try put("next")
    #expect(try got() == "next")
  }

  /// Code and constants go, and come back when they are run.
  @Test func theExecutablesOwnPagesAreGivenBack() throws {
    func resident() throws -> UInt64 {
      let fields = try File.text("/proc/self/statm").split(separator: " ")
      return try #require(UInt64(fields[2]))
    }
    let before = try resident()
    CodeMappings.releaseOwn()
    #expect(try resident() < before)
  }
}
