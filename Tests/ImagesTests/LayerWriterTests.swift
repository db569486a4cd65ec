import CLinux
import Formats
import Foundation
import Images
import Linux
import Testing

/// A throw-away folder.
final class Scratch: Sendable {
  let path: String
  init() throws {
    path = NSTemporaryDirectory() + "immure-images-test-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Records straight into the writer: what a worker that was taken over could send.
@Suite struct LayerWriterTests {
  let scratch: Scratch
  let tree: String
  init() throws {
    scratch = try Scratch()
    tree = scratch.path + "/tree"
    try FileManager.default.createDirectory(atPath: tree, withIntermediateDirectories: true)
    try "untouched".write(toFile: scratch.path + "/victim", atomically: true, encoding: .utf8)
  }

  private func record(
    _ kind: LayerRecord.Kind, _ path: String, target: String = "", mode: UInt32 = 0o755, size: Int64 = 0
  ) -> LayerRecord {
    var record = LayerRecord(kind: kind, path: Array(path.utf8))
    record.target = Array(target.utf8)
    record.mode = mode
    record.size = size
    (record.uid, record.gid) = (Process.effectiveUser, Process.effectiveGroup)
    return record
  }

  /// Writes the records; a file's content is as many "x" as its size.
  private func write(_ records: [LayerRecord], _ options: LayerWriter.Options = .init()) throws -> LayerSummary {
    let root = try File.open(tree, 0)
    var writer = LayerWriter(root: root.rawValue, options: options)
    for record in records {
      try writer.add(record)
      if record.size > 0 { try writer.write([UInt8](repeating: 0x78, count: Int(record.size)).span) }
    }
    try writer.finish()
    return writer.summary(diffID: Digest.of([]))
  }

  private var victim: String? { try? String(contentsOfFile: scratch.path + "/victim", encoding: .utf8) }

  /// Deeper than the levels whose names are remembered, several folders at each, more in one than a read of it gives; some may not be read.
  @Test func aTreeGivesWayWhole() throws {
    var records = [record(.directory, "a")]
    var path = "a"
    for level in 0..<80 {
      for beside in ["x", "y"] {
        records.append(record(.directory, "\(path)/\(beside)"))
        records.append(record(.file, "\(path)/\(beside)/file", size: 1))
      }
      path += "/d\(level)"
      records.append(record(.directory, path, mode: level % 10 == 9 ? 0o000 : 0o755))
    }
    for number in 0..<2500 {
      records.append(record(.directory, "a/many/\(number)-of-a-name-that-takes-its-room"))
      if number % 2 == 0 { records.append(record(.file, "a/many/\(number)-of-a-name-that-takes-its-room/file")) }
    }
    records.append(record(.file, "a", size: 3))
    _ = try write(records)
    #expect(try String(contentsOfFile: tree + "/a", encoding: .utf8) == "xxx")
    #expect(try FileManager.default.contentsOfDirectory(atPath: tree) == ["a"])
  }

  @Test(arguments: ["../victim", "a/../../victim", "..", "a/..", "\(String(repeating: "n", count: 256))"])
  func refusesNames(_ path: String) {
    #expect(throws: ImageError.self) { try write([record(.file, path, size: 1)]) }
    #expect(throws: ImageError.self) { try write([record(.whiteout, path)]) }
    #expect(throws: ImageError.self) { try write([record(.hardLink, "h", target: path)]) }
    #expect(victim == "untouched")
  }

  @Test func linksLeadNowhereOutside() throws {
    // "door" leads to the scratch folder by name; seen from the layer's root there is no such place.
    #expect(throws: ImageError.self) {
      try write([record(.symbolicLink, "door", target: scratch.path), record(.file, "door/victim", size: 3)])
    }
    #expect(throws: ImageError.self) {
      try write([record(.symbolicLink, "up", target: "../../.."), record(.hardLink, "h", target: "up/victim")])
    }
    #expect(victim == "untouched")
  }

  @Test func relativeLinksStopAtTheRoot() throws {
    _ = try write([record(.symbolicLink, "up", target: "../../../.."), record(.file, "up/inside", size: 2)])
    #expect(FileManager.default.fileExists(atPath: tree + "/inside"))
  }

  @Test(arguments: [LayerRecord.Kind.file, .symbolicLink, .fifo, .characterDevice, .hardLink])
  func theRootIsNeverReplaced(_ kind: LayerRecord.Kind) {
    #expect(throws: ImageError.self) { try write([record(kind, "", target: "x", size: 0)]) }
    #expect(throws: ImageError.self) { try write([record(kind, ".", target: "x", size: 0)]) }
  }

  @Test func boundsHold() throws {
    var options = LayerWriter.Options()
    options.bytes = 10
    #expect(throws: ImageError.self) { try write([record(.file, "a", size: 6), record(.file, "b", size: 6)], options) }
    options = LayerWriter.Options()
    options.entries = 2
    #expect(throws: ImageError.self) {
      try write([record(.directory, "a"), record(.directory, "b"), record(.directory, "c")], options)
    }
    let root = try File.open(tree, 0)
    var writer = LayerWriter(root: root.rawValue)
    #expect(throws: ImageError.self) { try writer.write([1, 2, 3].span) }
    try writer.add(record(.file, "short", size: 2))
    #expect(throws: ImageError.self) { try writer.write([1, 2, 3].span) }
  }

  @Test func holesAndSizes() throws {
    let root = try File.open(tree, 0)
    var writer = LayerWriter(root: root.rawValue)
    try writer.add(record(.file, "sparse", mode: 0o640, size: 1 << 30))
    try writer.skip(1 << 29)
    try writer.write([1, 2, 3].span)
    try writer.skip((1 << 29) - 3)
    try writer.finish()
    let status = try File.status(tree + "/sparse")
    #expect(status.st_size == 1 << 30)
    #expect(status.st_blocks < 1024)
    #expect(status.st_mode & 0o7777 == 0o640)
  }

  @Test func foldersKeepTheirTimeAndMode() throws {
    var folder = record(.directory, "d", mode: 0o500)
    folder.modified = 1_000_000
    folder.modifiedNanoseconds = 7
    _ = try write([folder, record(.file, "d/f", size: 4), record(.directory, "d/e")])
    let status = try File.status(tree + "/d")
    #expect(status.st_mode & 0o7777 == 0o500)
    #expect(status.st_mtim.tv_sec == 1_000_000 && status.st_mtim.tv_nsec == 7)
    try File.changeMode(tree + "/d", 0o700)
  }

  @Test func clearingTakesEverything() throws {
    _ = try write([
      record(.directory, "a", mode: 0), record(.file, "a/f", mode: 0, size: 1), record(.symbolicLink, "l", target: "/"),
    ])
    let root = try File.open(tree, 0)
    try LayerWriter.clear(root.rawValue)
    #expect(try FileManager.default.contentsOfDirectory(atPath: tree).isEmpty)
    #expect(victim == "untouched")
  }

  @Test func whiteoutsWaitForTheEnd() throws {
    let summary = try write([
      record(.whiteout, "gone"), record(.whiteout, "here"), record(.file, "here", size: 1), record(.whiteout, "folder"),
      record(.directory, "folder"), record(.file, "folder/new", size: 1),
    ])
    #expect(summary.entries == 6)
    #expect(try File.status(tree + "/gone", followSymlinks: false).st_mode & 0o170000 == 0o020000)
    #expect(try File.status(tree + "/here").st_size == 1)
    #expect(try File.status(tree + "/folder/new").st_size == 1)
  }
}
