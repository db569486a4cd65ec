import Formats
import Foundation
import Testing

@Suite struct JSONTests {
  /// Each text is judged by JSONSerialization too: both must accept it, with equal values, or both refuse it.
  static let nasty: [String] = [
    "", " ", "null", "nul", "nullx", "true", "false", "tru", "0", "-0", "-", "+1", "01", "-01", "1.", ".5", "1.5",
    "1e5",
    "1E+5", "1e-5", "1e", "1e+", "0x10", "1_000", "NaN", "Infinity", "-Infinity", "123456789012345678",
    "9223372036854775807", "-9223372036854775808", "0.1", "1.7976931348623157e308", "5e-324", "1e-400", "2.5e-3",
    "\"\"", "\"a", "\"\\u0041\"", "\"\\u00e9\"", "\"\\ud83d\\ude00\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83dx\"",
    "\"\\ud83d\\u0041\"", "\"\\uD83D\\uDE00\"", "\"\\x41\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\", "\"\\\"",
    "\"\\b\\f\\n\\r\\t\\/\\\\\\\"\"", "\"\t\"", "\"\n\"", "\"\u{7f}\"", "\"\u{1}\"", "\"é漢😀\"", "'a'",
    "[]", "[ ]", "[1]", "[1,2,3]", "[1,]", "[,1]", "[,]", "[1 2]", "[", "]", "[[]", "[]]", "[1,[2,[3,{}]]]", "[\"a\",]",
    "{}", "{ }", "{\"a\":1}", "{\"a\":1,}", "{,}", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}",
    "{\"a\":{\"b\":[]}}", "{\"\":0}", "{1:2}", "{\"a\":1}}", "{\"a\":1}x", "[1]\n", "\n[1]", "\u{c}[1]", "\u{a0}[1]",
    "//x\n1", "/*x*/1", "1 // x", "[1}", "{\"a\":1]", "\u{0}", "[tru]", "[nulll]", "{\"a\":tru}", "[-]",
    "[1e1]",
    "[\"\\u0000\"]", "{\"a\\u0062\":1}", " \t\r\n1 \t\r\n",
  ]

  @Test(arguments: nasty) func agreesWithFoundation(_ text: String) throws {
    try expectAgreement(Array(text.utf8))
  }

  /// Not UTF-8 (or a sniffed UTF-16): overlong, surrogates, cut short, above U+10FFFF, stray bytes. Foundation's verdict differs by version.
  @Test(
    arguments: [
      [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xE2, 0x82, 0x22],
      [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
      [0x22, 0xFF, 0x22], [0x31, 0x00], [0xFF, 0xFE, 0x31, 0x00], [0x22, 0x80, 0x22], [0x22, 0xC3, 0x22],
      [0x22, 0x5C, 0x6E, 0xFF, 0x22],
      [0xEF, 0xBB, 0xBF, 0x31],
      [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D],
    ] as [[UInt8]]) func refusesWhatIsNotUTF8(_ bytes: [UInt8])
  {
    #expect(throws: FormatError.self) { try JSONValue.parse(bytes) }
    #expect(throws: FormatError.self) {
      var reader = JSONReader(bytes.span)
      try reader.skip()
      try reader.finish()
    }
  }

  @Test func integersAreExact() throws {
    let cases: [(String, JSONValue)] = [
      ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
      ("9223372036854775808", .unsigned(1 << 63)), ("18446744073709551615", .unsigned(.max)),
      ("18446744073709551616", .double(0x1p64)),
      ("-9223372036854775809", .double(-0x1p63)),
      ("-0", .integer(0)), ("1.0", .double(1)), ("1e2", .double(100)),
    ]
    for (text, value) in cases { #expect(try JSONValue.parse(Array(text.utf8)) == value, "\(text)") }
  }

  @Test(arguments: [
    ("{\"a\":1,\n \"a\":2}", "line 2, column 2: \"a\" occurs twice in one object"),
    ("1e999", "line 1, column 1: \"1e999\" is a number too large for a double"),
    ("[1,\n  nope]", "line 2, column 3: \"nope\" is not a JSON value"),
    ("[1,]", "line 1, column 4: \"]\" stands after a trailing comma"),
    ("", "line 1, column 1: the JSON text is empty"),
    ("[1", "line 1, column 3: the JSON text ends early"),
    ("{} {}", "line 1, column 4: \"{\" stands after the end of the JSON document"),
    ("[\"\u{1b}[31m\"]", "line 1, column 3: \"\\u{1b}\" is a control character inside a string; JSON wants it escaped"),
    ("[012]", "line 1, column 2: \"012\" is a number with leading zeros"),
  ]) func namesWhatAndWhere(_ text: String, _ message: String) {
    let error = #expect(throws: FormatError.self) { try JSONValue.parse(Array(text.utf8)) }
    #expect(error?.description == message)
  }

  @Test func boundsDepth() throws {
    func nested(_ depth: Int) -> [UInt8] {
      Array(String(repeating: "[", count: depth).utf8) + Array(String(repeating: "]", count: depth).utf8)
    }
    #expect(try JSONValue.parse(nested(128)).kind == "an array")
    #expect(throws: FormatError.self) { try JSONValue.parse(nested(129)) }
    #expect(throws: FormatError.self) { try JSONValue.parse([UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)) }
  }

  @Test func manyKeysAreNotQuadratic() throws {
    var text = "{"
    for index in 0..<50_000 { text += "\"k\(index)\":\(index)," }
    let unique = Array((text + "\"last\":0}").utf8)
    #expect(try JSONNode(JSONValue.parse(unique)).object().count == 50_001)
    let error = #expect(throws: FormatError.self) { try JSONValue.parse(Array((text + "\"k31\":0}").utf8)) }
    #expect(error?.problem == "occurs twice in one object")
  }

  @Test func keysAreComparedByteForByte() throws {
    let value = try JSONValue.parse(Array("{\"\\u212Aey\":1}".utf8))
    #expect(value["Key"] == nil)
    #expect(value["\u{212A}ey"] == 1)
  }

  @Test func readerWalksAndSkips() throws {
    let bytes = Array(#"{"skip":[{"a":"\u0041\n"},1.5,null],"n":-3,"s":"x\ty","b":true,"list":[1,2],"z":null}"#.utf8)
    var reader = JSONReader(bytes.span)
    var seen: [String] = []
    var list: [UInt8] = []
    try reader.beginObject()
    while let key = try reader.nextKey() {
      seen.append(key)
      switch key {
      case "n": #expect(try reader.integer(Int8.self) == -3)
      case "s": #expect(try reader.string() == "x\ty")
      case "b": #expect(try reader.bool())
      case "z": #expect(try reader.null())
      case "list":
        try reader.beginArray()
        while try reader.nextElement() { list.append(try reader.integer()) }
      default: try reader.skip()
      }
    }
    try reader.finish()
    #expect(seen == ["skip", "n", "s", "b", "list", "z"])
    #expect(list == [1, 2])
  }

  @Test func readerRefusesIntegersThatDoNotFit() {
    for text in ["256", "-1", "1.0", "1e1", "99999999999999999999"] {
      #expect(throws: FormatError.self) {
        let bytes = Array(text.utf8)
        var reader = JSONReader(bytes.span)
        _ = try reader.integer(UInt8.self)
      }
    }
  }

  @Test func skipAcceptsWhatValueAccepts() {
    for text in Self.nasty {
      let bytes = Array(text.utf8)
      let built = (try? JSONValue.parse(bytes)) != nil
      var skipped = true
      do {
        var reader = JSONReader(bytes.span)
        try reader.skip()
        try reader.finish()
      } catch { skipped = false }
      #expect(built == skipped, "\(text)")
    }
  }

  @Test func writesCompactAndIndented() throws {
    let value: JSONValue =
      ["a": [1, -2, 2.5], "e": [], "o": [:], "t": "q\"\\\n\u{1}\u{7f}é", "n": nil, "b": true]
      as JSONValue
    #expect(value.text() == #"{"a":[1,-2,2.5],"e":[],"o":{},"t":"q\"\\\n\u0001\u007fé","n":null,"b":true}"#)
    #expect(
      value.text(indented: true)
        == "{\n  \"a\": [\n    1,\n    -2,\n    2.5\n  ],\n  \"e\": [],\n  \"o\": {},\n"
        + "  \"t\": \"q\\\"\\\\\\n\\u0001\\u007fé\",\n  \"n\": null,\n  \"b\": true\n}")
    #expect(JSONValue.double(.nan).text() == "null")
  }

  @Test func typedAccessNamesTheKeyPath() throws {
    let text = #"{"process":{"args":["sh",3],"n":1.5,"big":300,"flag":"yes","none":null},"x y":{"z":[]}}"#
    let root = try JSONNode.parse(Array(text.utf8), source: "config.json")
    let process = try root.required("process")
    func message(_ body: () throws -> Void) -> String? {
      do { try body() } catch { return "\(error)" }
      return nil
    }
    #expect(
      message { _ = try process.strings("args") }
        == "config.json: process.args[1]: \"3\" is an integer where a string should be")
    #expect(message { _ = try process.int("n") } == "config.json: process.n: \"1.5\" is not an integer of 64 bits")
    #expect(
      message { _ = try process.integer("big", UInt8.self) }
        == "config.json: process.big: \"300\" is not between 0 and 255")
    #expect(
      message { _ = try process.bool("flag") }
        == "config.json: process.flag: \"yes\" is a string where true or false should be")
    #expect(message { _ = try process.string("none") } == "config.json: process: \"none\" is missing and must be there")
    #expect(
      message { _ = try root.required("x y").string("z") } == "config.json: [\"x y\"].z: must be a string, not an array"
    )
    #expect(
      message { try root.refuseUnknownKeys(allowed: ["process"]) } == "config.json: \"x y\" is not a field known here")
    #expect(try process.optionalString("none") == nil)
    #expect(try process.optionalArray("absent").isEmpty)
  }

  @Test func randomDocumentsRoundTrip() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("JSONTests.randomDocumentsRoundTrip seed \(seed)")
    var random = SeededGenerator(seed: seed)
    for _ in 0..<2_000 {
      let value = randomValue(&random, depth: 0)
      for indented in [false, true] {
        let bytes = value.bytes(indented: indented)
        #expect(try JSONValue.parse(bytes) == value, "seed \(seed)")
        try expectAgreement(bytes)
      }
      // A damaged copy must be judged as Foundation judges it.
      var damaged = value.bytes()
      let place = random.below(damaged.count)
      damaged[place] = Array("{}[],:\"\\0-1e.tnf u".utf8)[random.below(18)]
      try expectAgreement(damaged)
    }
  }

  private func randomValue(_ random: inout SeededGenerator, depth: Int) -> JSONValue {
    switch random.below(depth > 4 ? 6 : 8) {
    case 0: return .null
    case 1: return .bool(random.below(2) == 0)
    case 2: return .integer(Int64(bitPattern: random.next()) >> Int64(random.below(64)))
    case 3: return JSONValue(random.next())
    case 4:
      let double = Double(bitPattern: random.next())
      return double.isFinite && double != double.rounded() ? .double(double) : .integer(1)
    case 5: return .string(randomText(&random))
    case 6: return .array((0..<random.below(5)).map { _ in randomValue(&random, depth: depth + 1) })
    default:
      var object = JSONObject()
      for index in 0..<random.below(24) {
        object[randomText(&random) + "\(index)"] = randomValue(&random, depth: depth + 1)
      }
      return .object(object)
    }
  }

  private func randomText(_ random: inout SeededGenerator) -> String {
    var text = ""
    for _ in 0..<random.below(12) {
      let bounds: [UInt32] = [0x20, 0x80, 0x800, 0xD800, 0x110000]
      // Foundation takes a byte order mark (U+FEFF) off the front of a key.
      if let scalar = Unicode.Scalar(UInt32(random.next() % UInt64(bounds[random.below(5)]))), scalar != "\u{FEFF}" {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  private func expectAgreement(_ bytes: [UInt8]) throws {
    let ours: JSONValue?
    do { ours = try JSONValue.parse(bytes) } catch {
      // The two things refused here that Foundation takes.
      if error.problem == "occurs twice in one object" || error.problem == "stands after a trailing comma" { return }
      ours = nil
    }
    let theirs = try? JSONSerialization.jsonObject(with: Data(bytes), options: [.fragmentsAllowed])
    let accepted = (ours: ours != nil, theirs: theirs != nil)
    #expect(accepted.ours == accepted.theirs, "\(bytes.count < 2000 ? String(decoding: bytes, as: UTF8.self) : "")")
    if let ours, let theirs {
      let difference = difference(ours, theirs)
      #expect(difference == nil)
    }
  }

  /// The first value that differs, or nil.
  private func difference(_ ours: JSONValue, _ theirs: Any) -> String? {
    let same: Bool
    switch ours {
    case .null: same = theirs is NSNull
    case .bool(let value): same = theirs as? Bool == value
    case .integer(let number): same = (theirs as? NSNumber)?.int64Value == number
    case .unsigned(let number): same = (theirs as? NSNumber)?.uint64Value == number
    case .double(let number):
      // Foundation goes through Decimal and loses the last bits; that ours are exact is what the round trip shows.
      same = (theirs as? NSNumber).map { abs($0.doubleValue - number) <= abs(number) * 1e-14 } ?? false
    case .string(let text): same = (theirs as? String).map { Array($0.utf8) == Array(text.utf8) } ?? false
    case .array(let values):
      guard let others = theirs as? [Any], others.count == values.count else { return "array's count" }
      return zip(values, others).lazy.compactMap { difference($0, $1) }.first
    case .object(let object):
      guard let others = theirs as? [String: Any], others.count == object.count else { return "object's count" }
      return object.members.lazy.compactMap { member in
        others[member.key].map { difference(member.value, $0) } ?? "no \(member.key)"
      }.first
    }
    return same ? nil : "\(ours) against \(theirs)"
  }
}
