import Formats
import Testing

private let digest = Digest.of(Array("layer".utf8))

/// What a stream says, contents put together.
private struct Decoded: Equatable {
  var records: [LayerRecord] = []
  var contents: [[UInt8]] = []
  var end: LayerStreamDecoder.End?
}

private func decode(_ stream: [UInt8], chunk: Int = 4096, limits: LayerLimits = LayerLimits()) throws -> Decoded {
  var decoder = LayerStreamDecoder(limits: limits)
  var decoded = Decoded()
  var start = 0
  while start < stream.count {
    let piece = Array(stream[start..<min(start + chunk, stream.count)])
    var position = 0
    loop: while true {
      switch try decoder.next(piece.span, at: &position) {
      case .entry(let record):
        decoded.records.append(record)
        decoded.contents.append([])
      case .data(let range): decoded.contents[decoded.contents.count - 1] += piece[range]
      case .hole(let length):
        decoded.contents[decoded.contents.count - 1] += [UInt8](repeating: 0, count: Int(length))
      case .needsInput: break loop
      }
    }
    start += piece.count
  }
  decoded.end = try decoder.finish()
  return decoded
}

private func translate(_ tar: [UInt8], chunk: Int = 4096, limits: LayerLimits = LayerLimits()) throws -> [UInt8] {
  var translator = LayerTranslator(limits: limits)
  var stream: [UInt8] = []
  var start = 0
  while start < tar.count {
    let piece = Array(tar[start..<min(start + chunk, tar.count)])
    try translator.feed(piece.span)
    stream += translator.encoder.bytes
    translator.encoder.removeAll()
    start += piece.count
  }
  try translator.finish(digest: digest)
  return stream + translator.encoder.bytes
}

private func member(
  _ kind: TarEntry.Kind, _ path: String, _ contents: String = "", link: String = "",
  _ change: (inout TarEntry) -> Void = { _ in }
) throws -> [UInt8] {
  var entry = TarEntry(kind: kind, path: Array(path.utf8))
  entry.size = Int64(contents.utf8.count)
  entry.linkTarget = Array(link.utf8)
  change(&entry)
  return try TarWriter.header(for: entry) + Array(contents.utf8) + TarWriter.padding(after: entry.size)
}

@Suite struct LayerStreamTests {
  @Test func translatesALayer() throws {
    let tar =
      try member(.directory, "./") { $0.mode = 0o755 }
      + member(.directory, "/etc/")
      + member(.file, "./etc//./motd", "hello") { entry in
        (entry.mode, entry.uid, entry.gid) = (0o4755, 7, 8)
        (entry.modified, entry.modifiedNanoseconds) = (-5, 17)
        entry.attributes = [.init(name: Array("user.a".utf8), value: [0, 1])]
      }
      + member(.hardLink, "etc/again", link: "./etc/motd") + member(.symbolicLink, "etc/up", link: "../../../x")
      + member(.characterDevice, "dev/null") { ($0.deviceMajor, $0.deviceMinor) = (1, 3) }
      + member(.fifo, "pipe") + member(.file, "etc/.wh.gone") + member(.file, "var/.wh..wh..opq")
      + member(.file, ".wh..wh..opq") + member(.file, ".wh.top") + member(.file, "empty") + TarWriter.end
    let stream = try translate(tar)
    for chunk in [1, 5, 100, stream.count] {
      let decoded = try decode(stream, chunk: chunk)
      #expect(try decode(translate(tar, chunk: chunk)) == decoded)
      #expect(
        decoded.records.map { "\($0.kind) \($0.name)" } == [
          "directory /", "directory etc", "file etc/motd", "hardLink etc/again", "symbolicLink etc/up",
          "characterDevice dev/null", "fifo pipe", "whiteout etc/gone", "opaque var", "opaque /", "whiteout top",
          "file empty",
        ])
      let motd = decoded.records[2]
      #expect(motd.mode == 0o4755 && motd.uid == 7 && motd.gid == 8 && motd.size == 5)
      #expect(motd.modified == -5 && motd.modifiedNanoseconds == 17)
      #expect(motd.attributes == [.init(name: Array("user.a".utf8), value: [0, 1])])
      #expect(decoded.contents[2] == Array("hello".utf8))
      #expect(decoded.records[3].target == Array("etc/motd".utf8))
      #expect(decoded.records[4].target == Array("../../../x".utf8))
      #expect(decoded.records[5].deviceMajor == 1 && decoded.records[5].deviceMinor == 3)
      #expect(decoded.end?.digest == digest)
      #expect(decoded.end?.entryCount == 12)
      #expect(decoded.end?.totalBytes == 5)
    }
  }

  @Test func keepsHoles() throws {
    let map = "3\n4096\n4\n8192\n4\n16384\n0\n"
    var records = ""
    for (key, value) in [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "16384")] {
      records +=
        "\(key.utf8.count + value.utf8.count + 5) \(key)=\(value)\n"
    }
    var extended = TarEntry(kind: .file, path: Array("x".utf8))
    extended.size = Int64(records.utf8.count)
    var block = try TarWriter.header(for: extended)
    // From a file to an extended header: the type's byte and the checksum grow alike.
    block[156] = UInt8(ascii: "x")
    let sum = Int(String(decoding: block[148..<154], as: UTF8.self), radix: 8).map { $0 + 0x78 - 0x30 } ?? 0
    let digits = String(sum, radix: 8)
    block.replaceSubrange(148..<154, with: Array((String(repeating: "0", count: 6 - digits.count) + digits).utf8))
    var sparse = TarEntry(kind: .file, path: Array("sparse".utf8))
    sparse.size = 520
    let tar =
      block + Array(records.utf8) + TarWriter.padding(after: extended.size)
      + (try TarWriter.header(for: sparse)) + Array(map.utf8)
      + TarWriter.padding(after: Int64(map.utf8.count))
      + Array("aaaabbbb".utf8) + TarWriter.padding(after: 8) + (try member(.file, "next", "n"))
    let stream = try translate(tar)
    #expect(stream.count < 400)
    let decoded = try decode(stream, chunk: 3)
    var expected = [UInt8](repeating: 0, count: 16384)
    expected.replaceSubrange(4096..<4100, with: Array("aaaa".utf8))
    expected.replaceSubrange(8192..<8196, with: Array("bbbb".utf8))
    #expect(decoded.contents == [expected, Array("n".utf8)])
    #expect(decoded.end?.totalBytes == 9)
  }

  static let hostile: [(String, String, [UInt8])] = {
    // The writer throws for none of these.
    func tar(_ body: () throws -> [UInt8]) -> [UInt8] { (try? body()) ?? [] }
    return [
      ("..", "has .. in its name", tar { try member(.file, "..") }),
      ("climb", "has .. in its name", tar { try member(.file, "a/../../etc/passwd", "x") }),
      ("climb at the end", "has .. in its name", tar { try member(.directory, "a/../") }),
      ("absolute climb", "has .. in its name", tar { try member(.file, "/../x") }),
      ("root file", "names the layer's root", tar { try member(.file, ".") }),
      ("root link", "names the layer's root", tar { try member(.symbolicLink, "/", link: "x") }),
      ("slash", "ends in a slash", tar { try member(.file, "a/") }),
      ("hard link climb", "has .. in its hard link", tar { try member(.hardLink, "a", link: "../etc/shadow") }),
      ("hard link root", "to the layer's root", tar { try member(.hardLink, "a", link: "/") }),
      ("hard link self", "to itself", tar { try member(.hardLink, "a", link: "./a") }),
      ("hard link to whiteout", "to a whiteout", tar { try member(.hardLink, "a", link: ".wh.b") }),
      ("whiteout of nothing", "nothing that can be deleted", tar { try member(.file, "a/.wh.") }),
      ("whiteout of .", "nothing that can be deleted", tar { try member(.file, "a/.wh..") }),
      ("whiteout of ..", "nothing that can be deleted", tar { try member(.file, "a/.wh...") }),
      ("whiteout with contents", "not an empty file", tar { try member(.file, ".wh.a", "x") }),
      ("whiteout directory", "not an empty file", tar { try member(.directory, ".wh.a") }),
      ("below whiteout", "below a whiteout", tar { try member(.file, ".wh.a/b") }),
      (
        "aufs directory", "not an empty file",
        tar { try member(.directory, ".wh..wh.plnk") + member(.file, ".wh..wh.plnk/1") }
      ),
      ("aufs file", "AUFS", tar { try member(.file, ".wh..wh.aufs") }),
      ("overlay device", "0:0", tar { try member(.characterDevice, "a") }),
      (
        "overlay attribute", "overlayfs",
        tar {
          try member(.directory, "a/") {
            $0.attributes = [.init(name: Array("trusted.overlay.redirect".utf8), value: [47])]
          }
        }
      ),
      ("cut", "cut short", tar { try member(.file, "a", "12345").dropLast(510) }),
    ]
  }()

  @Test func refusesHostileLayers() {
    for (name, message, tar) in Self.hostile {
      let error = #expect(throws: FormatError.self, "\(name)") { _ = try translate(tar) }
      #expect(error?.description.contains(message) == true, "\(name): \(error?.description ?? "nothing")")
    }
  }

  @Test func limitsHold() throws {
    var limits = LayerLimits()
    limits.entries = 2
    limits.totalBytes = 6
    limits.fileSize = 4
    let one = try member(.file, "a", "123")
    #expect(throws: Never.self) { try translate(one + one, limits: limits) }
    let many = #expect(throws: FormatError.self) { try translate(one + one + one, limits: limits) }
    #expect(many?.problem.contains("more than 2 entries") == true)
    let large = #expect(throws: FormatError.self) { try translate(member(.file, "a", "12345"), limits: limits) }
    #expect(large?.problem.contains("4 is the most") == true)
    limits.totalBytes = 5
    let total = #expect(throws: FormatError.self) { try translate(one + one, limits: limits) }
    #expect(total?.problem.contains("more than 5 bytes") == true)
    // The reading end holds the same limits against a worker that does not.
    let stream = try translate(one + one)
    #expect(throws: FormatError.self) { try decode(stream, limits: limits) }
    limits = LayerLimits()
    limits.entries = 1
    #expect(throws: FormatError.self) { try decode(stream, limits: limits) }
    limits = LayerLimits()
    limits.fileSize = 2
    #expect(throws: FormatError.self) { try decode(stream, limits: limits) }
  }

  /// A stream of one record of the test's making, told apart from what the encoder would write.
  private func forged(_ type: UInt8, _ body: [UInt8], length: UInt32? = nil) -> [UInt8] {
    let length = length ?? UInt32(body.count)
    return Array("ImLayer1".utf8) + [type] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * UInt32($0))) }
      + body
  }

  private func entry(
    kind: UInt8 = 1, mode: UInt32 = 0o644, uid: UInt32 = 0, nanoseconds: UInt32 = 0, size: Int64 = 0, major: UInt32 = 0,
    path: String = "a", target: String = "", attributes: UInt16 = 0, tail: [UInt8] = []
  ) -> [UInt8] {
    func little(_ number: some FixedWidthInteger) -> [UInt8] {
      (0..<number.bitWidth / 8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
    var body: [UInt8] = [kind]
    body += little(mode)
    body += little(uid)
    body += little(UInt32(0))
    body += little(Int64(0))
    body += little(nanoseconds)
    body += little(size)
    body += little(major)
    body += little(UInt32(0))
    body += little(UInt16(path.utf8.count)) + Array(path.utf8)
    body += little(UInt16(target.utf8.count)) + Array(target.utf8)
    return body + little(attributes) + tail
  }

  @Test func decoderBelievesNothing() {
    let cases: [(String, [UInt8])] = [
      ("nothing", []), ("magic", Array("ImLayer2".utf8)), ("no end", Array("ImLayer1".utf8)),
      ("unknown type", forged(9, [])), ("huge record", forged(1, [], length: .max)),
      ("short entry", forged(1, [1, 2, 3])),
      ("unknown kind", forged(1, entry(kind: 10))), ("kind 0", forged(1, entry(kind: 0))),
      ("absolute", forged(1, entry(path: "/a"))), ("climb", forged(1, entry(path: "a/../b"))),
      ("dot", forged(1, entry(path: "./a"))),
      ("empty name", forged(1, entry(path: "a//b"))), ("trailing slash", forged(1, entry(path: "a/"))),
      ("NUL", forged(1, entry(path: "a\0b"))),
      ("long name", forged(1, entry(path: String(repeating: "a", count: 256)))),
      ("long path", forged(1, entry(path: String(repeating: "a/", count: 3000) + "a"))),
      ("root file", forged(1, entry(path: ""))), ("mode", forged(1, entry(mode: 0o10644))),
      ("uid", forged(1, entry(uid: .max))),
      ("time", forged(1, entry(nanoseconds: 1_000_000_000))), ("negative size", forged(1, entry(size: -1))),
      ("size of a directory", forged(1, entry(kind: 2, size: 1))), ("device of a file", forged(1, entry(major: 1))),
      ("device number", forged(1, entry(kind: 6, major: 4096))), ("target of a file", forged(1, entry(target: "x"))),
      ("hard link climb", forged(1, entry(kind: 4, target: "../x"))), ("hard link empty", forged(1, entry(kind: 4))),
      ("symbolic link empty", forged(1, entry(kind: 3))),
      ("symbolic link NUL", forged(1, entry(kind: 3, target: "a\0"))),
      ("missing attribute", forged(1, entry(attributes: 1))),
      ("too many attributes", forged(1, entry(attributes: .max))),
      ("something after it", forged(1, entry(tail: [0]))), ("data first", forged(2, [1])),
      ("empty data", forged(2, [])),
      ("data too long", forged(1, entry(size: 1)) + [2, 2, 0, 0, 0, 1, 2]),
      ("hole first", forged(3, [1, 0, 0, 0, 0, 0, 0, 0])),
      ("negative hole", forged(1, entry(size: 1)) + [3, 8, 0, 0, 0] + [UInt8](repeating: 255, count: 8)),
      ("entry in a file", forged(1, entry(size: 1)) + forged(1, entry()).dropFirst(8)),
      ("end in a file", forged(1, entry(size: 1)) + [4, 48, 0, 0, 0] + [UInt8](repeating: 0, count: 48)),
      ("end that lies", forged(4, [UInt8](repeating: 0, count: 32) + [1] + [UInt8](repeating: 0, count: 15))),
      ("after the end", forged(4, [UInt8](repeating: 0, count: 48)) + [0]),
    ]
    for (name, stream) in cases {
      for chunk in [1, 1 << 20] {
        #expect(throws: FormatError.self, "\(name)") { _ = try decode(stream, chunk: chunk) }
      }
    }
    #expect(throws: Never.self) { _ = try decode(forged(4, [UInt8](repeating: 0, count: 48))) }
  }

  @Test func failureIsPassedOnCleaned() {
    var encoder = LayerStreamEncoder()
    encoder.failure("not a gzip\u{1b}[31m\nstream")
    let error = #expect(throws: FormatError.self) { _ = try decode(encoder.bytes) }
    #expect(error?.description == "not a gzip?[31m?stream")
  }
}
