import Formats
import Testing

private func record(
  _ kind: LayerRecord.Kind, _ path: String, target: String = "", size: Int64 = 0,
  attributes: [(name: String, value: [UInt8])] = [], mode: UInt32 = 0o755
) -> LayerRecord {
  var record = LayerRecord(kind: kind, path: Array(path.utf8))
  record.target = Array(target.utf8)
  record.size = size
  record.mode = mode
  record.attributes = attributes.map { TarEntry.Attribute(name: Array($0.name.utf8), value: $0.value) }
  return record
}

/// The image of these records; a file's contents are as many "x" as its size.
private func image(_ records: [LayerRecord], limits: LayerLimits = LayerLimits()) throws -> [UInt8] {
  var writer = EROFSLayerWriter(limits: limits)
  for record in records {
    try writer.add(record)
    if record.size > 0 { try writer.data([UInt8](repeating: 0x78, count: Int(record.size)).span) }
  }
  let summary = try writer.finish()
  return summary.block0 + writer.output.dropFirst(4096)
}

private func problem(_ records: [LayerRecord], limits: LayerLimits = LayerLimits()) -> String {
  do { _ = try image(records, limits: limits) } catch { return "\(error)" }
  return ""
}

/// A value of system.posix_acl_access.
private func list(_ entries: [(tag: UInt16, permissions: UInt16, id: UInt32)]) -> [UInt8] {
  var bytes: [UInt8] = [2, 0, 0, 0]
  for entry in entries {
    bytes += [UInt8(entry.tag), 0, UInt8(entry.permissions), 0]
    for shift: UInt32 in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: entry.id >> shift)) }
  }
  return bytes
}

/// Memory that plays a file's part.
@safe private final class Spill: PageSpill {
  private(set) var pages: [UnsafeMutableRawPointer] = unsafe []
  private(set) var relaxed = 0
  /// Bytes that there are.
  var room = Int.max

  func take(_ bytes: Int) throws(FormatError) -> UnsafeMutableRawPointer {
    guard bytes <= room else { throw FormatError("no room") }
    room -= bytes
    let page = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    unsafe pages.append(page)
    return unsafe page
  }

  func relax() { relaxed += 1 }

  deinit { for index in unsafe pages.indices { unsafe pages[index].deallocate() } }
}

@Suite struct EROFSTests {
  /// Ways out of a layer, or round its bounds: each is refused, and the message names the entry.
  @Test func refusesWhatLeadsAstray() {
    let long = (0..<41).map { record(.symbolicLink, "l\($0)", target: "l\($0 + 1)") } + [record(.directory, "l41")]
    let cases: [([LayerRecord], String)] = [
      ([record(.file, "../x")], "plain path"), ([record(.file, "a/../x")], "plain path"),
      ([record(.hardLink, "h", target: "../x")], "outside"),
      ([record(.file, "")], "root is not a directory"),
      ([record(.symbolicLink, "")], "root is not a directory"),
      ([record(.whiteout, "")], "root"),
      ([record(.file, "f"), record(.file, "f/below")], "not a directory"),
      ([record(.symbolicLink, "l", target: "/nowhere"), record(.file, "l/x")], "does not have"),
      ([record(.symbolicLink, "l", target: "l"), record(.file, "l/x")], "40 symbolic links"),
      (long + [record(.file, "l0/x")], "40 symbolic links"),
      ([record(.hardLink, "h", target: "absent")], "does not have"),
      ([record(.directory, "d"), record(.hardLink, "h", target: "d")], "directory"),
      // The name that gives way holds the target: nothing would be left to link to.
      ([record(.file, "d/f"), record(.hardLink, "d", target: "d/f")], "does not have"),
      ([record(.characterDevice, "c")], "0:0"),
      ([record(.file, "f"), record(.opaque, "f")], "not a directory"),
      ([record(.file, "f"), record(.whiteout, "f/x")], "not a directory"),
      ([record(.directory, "d", attributes: [("trusted.overlay.opaque", [0x79])])], "overlayfs"),
      ([record(.directory, "d", attributes: [("user.overlay.redirect", [0x79])])], "overlayfs"),
      ([record(.file, "f", attributes: [("security.capability", [1, 2, 3])])], "capabilities"),
      ([record(.file, "f", attributes: [("system.posix_acl_access", [2, 0, 0, 0, 1])])], "access control list"),
      ([record(.file, "f", attributes: [("system.posix_acl_default", list([]))])], "not a directory"),
      ([record(.file, "f", attributes: [("user.", [])])], "without a name"),
      ([record(.file, "f", attributes: [("user.x", [UInt8](repeating: 1, count: 65_536))])], "65535"),
    ]
    for (records, words) in cases {
      let problem = problem(records)
      #expect(problem.contains(words), "\(records.last?.name ?? ""): \(problem)")
      #expect(!problem.utf8.contains { $0 < 0x20 })
    }
  }

  /// Bombs: entries, contents, and folders that a path only implies.
  @Test func holdsItsBounds() {
    var limits = LayerLimits()
    limits.entries = 3
    #expect(problem((0..<4).map { record(.file, "f\($0)") }, limits: limits).contains("more than 3 entries"))
    limits = LayerLimits()
    limits.totalBytes = 10
    #expect(problem([record(.file, "f", size: 11)], limits: limits).contains("more than 10 bytes"))
    limits = LayerLimits()
    limits.entries = 1000
    limits.totalBytes = 1 << 20
    let deep = (0..<1000).map { number in record(.fifo, "\(number)/" + String(repeating: "d/", count: 1000) + "f") }
    #expect(problem(deep, limits: limits).contains("more than 65536 files"))
    // A piece here and there in a large file would cost zeros without end.
    var writer = EROFSLayerWriter(limits: limits)
    let error = #expect(throws: FormatError.self) {
      try writer.add(record(.file, "f", size: 1 << 40))
      for _ in 0..<200 {
        try writer.hole(1 << 24)
        try writer.data([1, 2, 3].span)
        writer.removeOutput()
      }
    }
    #expect(error?.description.contains("bytes of zeros") == true)
  }

  @Test func filesMustBeWhole() throws {
    var writer = EROFSLayerWriter()
    try writer.add(record(.file, "f", size: 5))
    try writer.data([1, 2].span)
    #expect(throws: FormatError.self) { try writer.data([1, 2, 3, 4].span) }
    #expect(throws: FormatError.self) { try writer.hole(4) }
    #expect(throws: FormatError.self) { try writer.hole(-1) }
    #expect(throws: FormatError.self) { try writer.add(record(.file, "g")) }
    var other = EROFSLayerWriter()
    #expect(throws: FormatError.self) { try other.data([1].span) }
    #expect(throws: FormatError.self) { try other.hole(1) }
    #expect(throws: FormatError.self) { try other.hole(.max) }
  }

  /// What Linux does with modes and lists: a file's mode follows its list, a directory's list its mode.
  @Test func modesAndListsAgree() throws {
    let entries: [(tag: UInt16, permissions: UInt16, id: UInt32)] = [
      (1, 6, .max), (2, 7, 1000), (4, 4, .max), (16, 5, .max), (32, 1, .max),
    ]
    let name = "system.posix_acl_access"
    let bytes = try image([
      record(.file, "f", attributes: [(name, list(entries))], mode: 0o4777),
      record(.directory, "d", attributes: [(name, list(entries))], mode: 0o1753),
      record(.file, "plain", attributes: [(name, list([(1, 7, .max), (4, 0, .max), (32, 2, .max)]))], mode: 0o644),
    ])
    var reader = try EROFSReader(EROFSBytes(bytes))
    func inode(_ path: String, _ reader: inout EROFSReader<EROFSBytes>) throws -> EROFSInode {
      try reader.inode(try #require(try reader.resolve(Array(path.utf8))))
    }
    let file = try inode("f", &reader)
    #expect(file.permissions == 0o4651)
    #expect(try reader.attributes(of: file).map(\.value) == [list(entries)])
    let directory = try inode("d", &reader)
    #expect(directory.permissions == 0o1753)
    let changed = list([(1, 7, .max), (2, 7, 1000), (4, 4, .max), (16, 5, .max), (32, 3, .max)])
    #expect(try reader.attributes(of: directory).map(\.value) == [changed])
    let plain = try inode("plain", &reader)
    #expect(plain.permissions == 0o702)
    #expect(try reader.attributes(of: plain).isEmpty)
  }

  @Test func aBigDirectoryIsFoundInAndDeterministic() throws {
    let records = (0..<5000).map { record(.file, "dir/\($0 * 7919 % 5000)-\(String(repeating: "n", count: $0 % 200))") }
    let bytes = try image(records)
    #expect(try image(records) == bytes)
    var reader = try EROFSReader(EROFSBytes(bytes))
    let directory = try reader.inode(try #require(try reader.resolve(Array("dir".utf8))))
    let names = try reader.entries(of: directory).map(\.name)
    #expect(names.count == 5000)
    #expect(zip(names, names.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
    for record in records {
      #expect(try reader.lookup(Array(record.path.dropFirst(4)), in: directory) != nil)
    }
    #expect(try reader.lookup(Array("absent".utf8), in: directory) == nil)
    #expect(try reader.lookup([0xFF], in: directory) == nil)
    #expect(directory.links == 2)
  }

  @Test func pathsStayInside() throws {
    let bytes = try image([
      record(.file, "etc/passwd"), record(.symbolicLink, "up", target: "../../../etc"),
      record(.symbolicLink, "abs", target: "/up/passwd"), record(.symbolicLink, "loop", target: "loop"),
    ])
    var reader = try EROFSReader(EROFSBytes(bytes))
    let file = try #require(try reader.resolve(Array("/etc/passwd".utf8)))
    for path in ["up/passwd", "abs", "../../etc/./passwd", "up/../etc/passwd"] {
      #expect(try reader.resolve(Array(path.utf8)) == file, "\(path)")
    }
    #expect(try reader.resolve(Array("abs".utf8), followsLast: false) != file)
    #expect(try reader.resolve(Array("etc/passwd/x".utf8)) == nil)
    #expect(throws: FormatError.self) { try reader.resolve(Array("loop".utf8)) }
  }

  /// Five hundred layers, each of which takes something away again; the metadata's head has a device for each.
  @Test func manyLayersMerge() throws {
    var merger = EROFSMerger()
    for number in 0..<500 {
      var records = [record(.file, "dir/f\(number)", size: Int64(number % 3) * 3000), record(.file, "same", size: 10)]
      if number > 0, number % 2 == 0 { records.append(record(.whiteout, "dir/f\(number - 1)")) }
      var reader = try EROFSReader(EROFSBytes(try image(records)))
      try merger.add(&reader)
    }
    let summary = try merger.finish()
    #expect(summary.block0.count % 4096 == 0 && summary.block0.count >= 1152 + 500 * 128)
    let metadata = summary.block0 + merger.output.dropFirst(summary.block0.count)
    #expect(UInt64(metadata.count) == summary.size)
    var reader = try EROFSReader(EROFSBytes(metadata))
    #expect(reader.superblock.devices.count == 500)
    #expect(reader.superblock.devices.last.map { ($0.mappedBlock + $0.blocks) * 4096 } == summary.flatSize)
    let directory = try reader.inode(try #require(try reader.resolve(Array("dir".utf8))))
    #expect(try reader.entries(of: directory).count == 251)
    let last = try reader.inode(try #require(try reader.resolve(Array("dir/f499".utf8))))
    #expect(
      try reader.extent(of: last, at: 0)
        == EROFSExtent(fileOffset: 0, length: 3000, device: 500, offset: 4096, isHole: false))
    #expect(summary.entries == 1 + 1 + 251 + 1)
  }

  /// A log that names bytes which the image does not have reads nothing beyond it.
  @Test func aLogStaysInsideItsImage() throws {
    let magic = Array("ImTarLg1".utf8)
    func read(_ bytes: [UInt8], imageSize: UInt64 = 100) throws -> [TarHeaderLogReader.Piece] {
      var reader = TarHeaderLogReader(imageSize: imageSize)
      var pieces: [TarHeaderLogReader.Piece] = []
      var position = 0
      while true {
        let piece = try reader.next(bytes.span, at: &position)
        if piece == .needsInput { break }
        pieces.append(piece)
      }
      try reader.finish()
      return pieces
    }
    // Ten bytes from 90 on, a distance of 90 being 180 in zigzag.
    let copy: [UInt8] = [10 << 2 | 1, 180, 1]
    let end: [UInt8] = [10 << 2 | 3]
    #expect(try read(magic + copy + end) == [.copy(offset: 90, length: 10)])
    #expect(throws: FormatError.self) { try read(magic + copy + end, imageSize: 99) }
    #expect(throws: FormatError.self) { try read(magic + [10 << 2 | 1, 1] + end) }  // a distance of -1
    #expect(throws: FormatError.self) { try read(magic + copy) }
    #expect(throws: FormatError.self) { try read(magic + copy + [11 << 2 | 3]) }
    #expect(throws: FormatError.self) { try read(magic + copy + end + [0]) }
    #expect(throws: FormatError.self) { try read(magic + [UInt8](repeating: 0xFF, count: 10)) }
    #expect(throws: FormatError.self) { try read(Array("ImTarLg2".utf8)) }
  }

  /// A tree whose tables have outgrown memory goes on in a spill, and the image is the same; where that is full the layer is refused.
  @Test func spillsWhatMemoryHasNoRoomFor() throws {
    let limits = LayerLimits()
    func image(_ pool: PagePool) throws -> [UInt8] {
      var writer = EROFSLayerWriter(limits: limits, pool: pool)
      var bytes: [UInt8] = []
      for number in 0..<20_000 { try writer.add(record(.file, "d\(number % 7)/a name of some length \(number)")) }
      for number in 0..<1000 {
        try writer.add(record(.symbolicLink, "l\(number)", target: "d1/x\(number)"))
        try writer.add(record(.hardLink, "h\(number)", target: "d\(number % 7)/a name of some length \(number)"))
      }
      while try writer.finishStep() {
        bytes += writer.output
        // Bounded pieces, also of a large directory.
        #expect(writer.output.count < 2 << 20)
        writer.removeOutput()
      }
      let summary = try writer.finish()
      return summary.block0 + (bytes + writer.output).dropFirst(4096)
    }
    let spill = Spill()
    let plain = try image(PagePool())
    #expect(try image(PagePool(limit: 0, spill: spill)) == plain)
    #expect(unsafe spill.pages.count > 10 && spill.relaxed > 0)
    // Half of it in memory.
    #expect(try image(PagePool(limit: 1 << 20, spill: Spill())) == plain)
    let full = Spill()
    full.room = 1 << 20
    #expect(throws: FormatError.self) { try image(PagePool(limit: 0, spill: full)) }
  }
}
