import Formats
import Foundation
import Testing

/// The short fuzz run of `make test`: every seed of the corpus and seeded mutations of them through each parser. The long
/// runs, guided by coverage, are `make fuzz`.
@Suite struct CorpusTests {
  enum Parser: String, CaseIterable {
    case json = "FuzzJSON"
    case toml = "FuzzTOML"
    case tar = "FuzzTar"
    case reference = "FuzzReference"
    case imageTypes = "FuzzImageTypes"
    case layerStream = "FuzzLayerStream"
    case erofs = "FuzzEROFS"
    case challenge = "FuzzChallenge"
    case registries = "FuzzRegistries"
    case registryAnswers = "FuzzRegistryAnswers"
    case runtimeConfiguration = "FuzzRuntimeConfiguration"
    case busMessage = "FuzzBusMessage"
    case elf = "FuzzELF"
  }

  @Test(arguments: Parser.allCases) func bearsTheCorpusAndItsMutations(_ parser: Parser) throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Fuzz/Corpus/\(parser.rawValue)").standardizedFileURL
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    try #require(!names.isEmpty)
    let seeds = try names.map { Array(try Data(contentsOf: folder.appendingPathComponent($0))) }

    let seed = UInt64.random(in: 0...UInt64.max)
    print("CorpusTests \(parser.rawValue) seed \(seed)")
    var random = SeededGenerator(seed: seed)
    var outcomes = Set<String>()
    for input in seeds { outcomes.insert(run(parser, input)) }
    #expect(outcomes.count > 1, "the corpus has good and bad inputs")
    for _ in 0..<2_000 {
      let input = mutated(seeds[random.below(seeds.count)], by: &random)
      let outcome = run(parser, input)
      #expect(!outcome.utf8.contains { $0 < 0x20 || $0 == 0x7F }, "a message of one line, seed \(seed)")
      outcomes.insert(outcome)
    }
    #expect(outcomes.count > 5, "the mutations reach different errors")
  }

  /// "ok", or the error's message.
  private func run(_ parser: Parser, _ bytes: [UInt8]) -> String {
    do {
      switch parser {
      case .json:
        let value = try JSONValue.parse(bytes)
        #expect(try JSONValue.parse(value.bytes()) == value)
      case .toml: _ = try TOMLNode.parse(bytes, source: "t")
      case .runtimeConfiguration:
        let configuration = try RuntimeConfiguration.read(bytes, source: "c")
        var again = try RuntimeConfiguration.read(configuration.json.bytes(), source: "again")
        again.ignoredFields = configuration.ignoredFields
        #expect(again == configuration)
      case .reference:
        let reference = try ImageReference(String(decoding: bytes, as: UTF8.self))
        #expect(try ImageReference(reference.canonical) == reference)
      case .registries:
        let read = try RegistriesConfiguration(bytes, source: "r.conf")
        _ = try read.sources(for: ImageReference("example.com/foo/x"))
      case .registryAnswers:
        do { _ = try CredentialAnswer(bytes, source: "h") } catch {
          let text = String(decoding: bytes, as: UTF8.self)
          _ = try ProxyRules(http: nil, https: nil, spared: text)
          _ = RetryAfter.seconds(text, now: 0)
          _ = try ContentRange(text)
        }
      case .busMessage:
        let message = try BusMessage(bytes: bytes)
        #expect(try BusMessage(bytes: message.encoded()) == message)
      case .challenge: _ = try AuthenticationChallenge.parse(String(decoding: bytes, as: UTF8.self))
      case .imageTypes:
        do { _ = try ImageDocument.parse(bytes) } catch { _ = try ImageConfiguration.parse(bytes) }
      case .tar:
        var reader = TarReader()
        var position = 0
        loop: while true {
          switch try reader.next(bytes.span, at: &position) {
          case .entry(let entry): #expect(!entry.path.isEmpty && !entry.path.contains(0))
          case .data(_, let range): #expect(range.upperBound <= bytes.count)
          case .end, .needsInput: if position == bytes.count { break loop }
          }
        }
        try reader.finish()
      case .elf:
        let place = try ELFProgram.programHeaders(bytes.span)
        let table = bytes[min(Int(place.lowerBound), bytes.count)..<min(Int(place.upperBound), bytes.count)]
        let program = try ELFProgram(bytes.span, table: Array(table).span)
        #expect(program.span.upperBound <= 0x8000_0000_0000)
      case .erofs: try readImage(bytes)
      case .layerStream:
        if bytes.starts(with: "ImLayer".utf8) {
          try decode(bytes)
        } else {
          var translator = LayerTranslator()
          try translator.feed(bytes.span)
          try translator.finish(digest: Digest.of([]))
          // What the translator lets through, the decoder takes.
          let stream = translator.encoder.bytes
          #expect(throws: Never.self) { try decode(stream) }
        }
      }
    } catch { return error.description }
    return "ok"
  }

  /// An image, its superblock's checksum left out, for mutations alone would hardly pass it; it may have circles.
  private func readImage(_ bytes: [UInt8]) throws(FormatError) {
    var bytes = bytes
    if bytes.count >= 1152 { bytes[1032] &= ~1 }
    var reader = try EROFSReader(EROFSBytes(bytes))
    var stack = [reader.rootID]
    var steps = 0
    while let id = stack.popLast(), steps < 200 {
      steps += 1
      let inode = try reader.inode(id)
      _ = try reader.attributes(of: inode)
      switch inode.kind {
      case .directory:
        for entry in try reader.entries(of: inode) {
          _ = try reader.lookup(entry.name, in: inode)
          stack.append(entry.id)
        }
      case .symbolicLink: _ = try reader.target(of: inode)
      case .file: if inode.size > 0 { _ = try reader.extent(of: inode, at: inode.size - 1) }
      default: break
      }
    }
    var again = try EROFSReader(EROFSBytes(bytes))
    var limits = LayerLimits()
    limits.entries = 100
    var merger = EROFSMerger(limits: limits)
    try merger.add(&again)
  }

  private func decode(_ stream: [UInt8]) throws(FormatError) {
    var decoder = LayerStreamDecoder()
    var position = 0
    loop: while true {
      switch try decoder.next(stream.span, at: &position) {
      case .entry(let record): #expect(!record.components.contains { $0.elementsEqual("..".utf8) })
      case .data(let range): #expect(range.upperBound <= stream.count)
      case .hole(let length): #expect(length > 0)
      case .needsInput: break loop
      }
    }
    _ = try decoder.finish()
  }

  private func mutated(_ bytes: [UInt8], by random: inout SeededGenerator) -> [UInt8] {
    var bytes = bytes
    for _ in 0...random.below(4) where !bytes.isEmpty {
      let place = random.below(bytes.count)
      switch random.below(6) {
      case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
      case 1: bytes[place] ^= 1 << UInt8(random.below(8))
      case 2: bytes.insert(bytes[random.below(bytes.count)], at: place)
      case 3: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.below(8)))
      case 4: bytes.insert(contentsOf: Array(bytes[place..<min(bytes.count, place + 1 + random.below(32))]), at: place)
      default: if random.below(8) == 0 { bytes.removeSubrange(place...) }
      }
    }
    return random.below(2) == 0 ? repaired(bytes) : bytes
  }

  /// The same bytes with the checksum of every block that looks like a header put right: mutations alone would hardly pass it.
  private func repaired(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for start in stride(from: 0, to: bytes.count - 511, by: 512)
    where bytes[start + 257..<start + 262].elementsEqual("ustar".utf8) {
      for index in 148..<156 { bytes[start + index] = 0x20 }
      let sum = bytes[start..<start + 512].reduce(0) { $0 + Int($1) }
      for (index, digit) in String(sum, radix: 8).utf8.enumerated() { bytes[start + 149 + index] = digit }
    }
    return bytes
  }
}
