import Formats
import Testing

@Suite struct TOMLTests {
  /// Judged by Python's tomllib too: both must accept with equal values, or both refuse.
  static let table: [String] = [
    "", "\n", "# c", "#\t\n", "a=1", "a = 1 # c\n", "a=1\r\nb=2\r\n", "a=1\rb=2", "a=1 b=2", "a", "a=", "=1",
    "a=1\na=2", "a.b=1",
    "a.b=1\na.c=2", "a.b=1\na.b.c=2", "a=1\na.b=2", "a . b = 1", "\"a.b\".'c d'=1", "''=1", "\"\"=1", "a..b=1", ".a=1",
    "a.=1", "é=1",
    "\"é\"=1", "1=1", "1.2=3", "-=1", "a b=1", "\"\"\"a\"\"\"=1", "true=1", "[a]", "[a]\n[a]", "[a]\n[b]\n[a]",
    "[a.b]\n[a]",
    "[a]\n[a.b]\n[a.c]", "[a.b]\n[a]\nb=1", "[a.b.c]\n[a]\nb.d=1", "[a]\nb.c=1\n[a.b]", "[a]\nb.c=1\n[a.b.d]",
    "a.b=1\n[a]",
    "a.b=1\n[a.c]", "[ a . b ]", "[a]x=1", "[a]#c", "[]", "[a", "[a]]", "[.a]", "[a.]", "[a..b]", "[\"a\"]\n[a]",
    "[[a]]", "[[a]]\n[[a]]",
    "[[a]]\nb=1\n[[a]]\nb=2\n[a.c]\nd=1\n[[a.e]]\n[[a.e]]", "[[a]]\n[a]", "[a]\n[[a]]", "a=[]\n[[a]]", "a=[{}]\n[[a]]",
    "a={}\n[a.b]",
    "a=[{}]\n[a.b]", "[[a.b]]\n[a]\nb.c=1", "[[a]]\n[a.b]\n[[a]]\n[a.b]", "[[a.b]]\n[[a]]", "[ [a] ]", "[[a] ]",
    "[[ a ]]", "[[]]",
    "a=\"\"", "a=\"x\\n\\t\\b\\f\\r\\\"\\\\\"", "a=\"\\u00e9\\U0001F600\"", "a=\"\\ud800\"", "a=\"\\U00110000\"",
    "a=\"\\x41\"", "a=\"\\e\"",
    "a=\"\\u12\"", "a=\"\\", "a=\"x", "a=\"x\ny\"", "a=\"\t\"", "a=\"\u{1}\"", "a=\"\u{7f}\"", "a=''", "a='\\n'",
    "a='x", "a='x\ny'",
    "a='\u{0}'", "a=\"\"\"\"\"\"", "a=\"\"\"\nx\ny\"\"\"", "a=\"\"\"\r\nx\r\ny\"\"\"", "a=\"\"\"x\\\n   \n  y\"\"\"",
    "a=\"\"\"x\\  \n y\"\"\"",
    "a=\"\"\"x\\  y\"\"\"", "a=\"\"\"\"x\"\"\"\"", "a=\"\"\"\"\"x\"\"\"\"\"", "a=\"\"\"x\"\"\"\"\"\"",
    "a=\"\"\"x\"\" y\"\"\"", "a=\"\"\"x",
    "a=\"\"\"x\"\"", "a=\"\"\"\\\"\"\"\"", "a=''''''", "a='''\nx\\\n'y'''", "a='''''x'''''", "a='''x''''''", "a='''x",
    "a=\"\"\"\r\"\"\"",
    "a='''\u{1}'''", "a=0", "a=-0", "a=+0", "a=+1", "a=-1", "a=01", "a=-01", "a=1_000", "a=1__0", "a=_1", "a=1_",
    "a=0x", "a=0xDEAD_beef",
    "a=0x_1", "a=0x1_", "a=-0x1", "a=0X1", "a=0o17", "a=0o8", "a=0b101", "a=0b2", "a=9223372036854775807",
    "a=-9223372036854775808",
    "a=0x7fffffffffffffff", "a=1.0", "a=-1.5", "a=+1.5e3", "a=1e5", "a=1E+05", "a=1e-5", "a=1.", "a=.5", "a=1.e5",
    "a=1e", "a=1e5.0",
    "a=1_0.2_5e1_0", "a=1._5", "a=1_.5", "a=00.5", "a=0.5", "a=0e0", "a=1e400", "a=inf", "a=+inf", "a=-inf", "a=nan",
    "a=-nan", "a=Inf",
    "a=+ 1", "a=++1", "a=1-", "a=true", "a=false", "a=True", "a=truex", "a=1979-05-27T07:32:00Z",
    "a=1979-05-27T07:32:00-07:00",
    "a=1979-05-27T00:32:00.999999", "a=1979-05-27 07:32:00Z", "a=1979-05-27t07:32:00", "a=1979-05-27", "a=07:32:00",
    "a=07:32:00.5",
    "a=07:32", "a=1979-05-27T07:32", "a=1979-13-01", "a=1979-02-30", "a=2000-02-29", "a=1900-02-29", "a=24:00:00",
    "a=00:60:00",
    "a=00:00:60", "a=1979-05-27T", "a=1979-05-27 ", "a=1979-05-27 # c", "a=1979-05-27 x", "a=1979-05-27T07:32:00+24:00",
    "a=1979-05-27T07:32:00+7:00", "a=79-05-27", "a=1979-5-27", "a=1979-05-27T07:32:00.", "a=07:32:00Z",
    "a=1979-05-27T07:32:00ZZ",
    "a=[]", "a=[1,2]", "a=[1,]", "a=[,]", "a=[1,,2]", "a=[ 1 , 'x' , [2] ]", "a=[\n1, # c\n\n2\n]", "a=[1 2]", "a=[1",
    "a=[1\n,2]", "a=]",
    "a={}", "a={ }", "a={b=1}", "a={b=1,}", "a={,}", "a={b=1,c=2}", "a={b=1 c=2}", "a={b=1,b=2}", "a={b.c=1,b.d=2}",
    "a={b={},b.c=1}",
    "a={b.c=1,b={}}", "a={b=1\n}", "a={\n}", "a={b=[\n1\n]}", "a={b=1}\na.c=2", "a={b=1", "a={b}", "a=[{b=1},{b=2}]",
    "a={} x", "a=b",
    "a='x'y", "a=\"x\" # c", "a=1 #c\u{1}", "a=1 #c\u{7f}", "\u{feff}a=1", "a = 1\u{c}", "a=\u{a0}1", "a\n=1", "a=\n1",
    "[a]\nb=1\n[a.b]", "[a.b]\nc=1\n[a]\nd=2\n[e]\n", "[a]\nb={}\n[a.b.c]", "a.b.c=1\na.d=2\na.b.e=3",
    "[x]\na.b=1\n[y]\n[x.a.c]",
    "[t]\n[t.a.b]\n[t.a]\nc=1", "fruit=[]\n[[fruit]]", "[fruit]\n[[fruit.v]]\n[fruit.v.w]\n[[fruit.v]]\n[fruit.v.w]\n",
    "a=\"\"\"\\\n\n\n  x\"\"\"", "a=\"\"\"a\\\r\n  b\"\"\"", "a.'b'.\"c\"=1\na.b.c=2",
  ]

  @Test(.enabled(if: Python.isAvailable, "python3 with tomllib is the oracle")) func agreesWithTomllib() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("TOMLTests.agreesWithTomllib seed \(seed)")
    var random = SeededGenerator(seed: seed)
    var documents = Self.table.map { Array($0.utf8) }
    let salt = Array("[]{}=.,\"'\\#\n\r \t_-+:0123456789aexuTZ".utf8)
    for _ in 0..<4_000 {
      var document = documents[random.below(Self.table.count)] + [0x0A] + documents[random.below(Self.table.count)]
      for _ in 0..<random.below(3) {
        let place = random.below(document.count)
        switch random.below(3) {
        case 0: document[place] = salt[random.below(salt.count)]
        case 1: document.insert(salt[random.below(salt.count)], at: place)
        default: document.remove(at: place)
        }
      }
      documents.append(document)
    }
    documents.append([0x61, 0x3D, 0x22, 0xFF, 0x22])

    let script = """
      import sys, json, tomllib, datetime
      def tag(v):
        if isinstance(v, bool): return ["bool", str(v).lower()]
        if isinstance(v, int): return ["integer", str(v)]
        if isinstance(v, float): return ["double", repr(v)]
        if isinstance(v, str): return ["string", v]
        if isinstance(v, list): return ["array", [tag(x) for x in v]]
        if isinstance(v, dict): return ["table", {k: tag(x) for k, x in v.items()}]
        return ["dateTime", str(v)[:10]] if not isinstance(v, datetime.time) else ["dateTime", str(v)[:8]]
      out = []
      for text in json.load(sys.stdin):
        try: out.append(tag(tomllib.loads(bytes.fromhex(text).decode())))
        except (ValueError, RecursionError): out.append(None)
      json.dump(out, sys.stdout)
      """
    let hex = JSONValue.array(documents.map { .string($0.map { String(format($0)) }.joined()) })
    let answers = try JSONNode.parse(try Python.run(script, input: hex.bytes()), source: "oracle").elements()
    try #require(answers.count == documents.count)
    for (document, theirs) in zip(documents, answers) {
      let text = String(decoding: document, as: UTF8.self)
      do {
        let ours = try TOMLNode.parse(document, source: "")
        let difference = theirs.value == .null ? "accepted here only" : difference(ours.value, theirs.value)
        #expect(difference == nil, "\(text.debugDescription) seed \(seed)")
      } catch {
        // Python has integers of any size and years without a calendar's year 0.
        if error.problem == "is not an integer of 64 bits" { continue }
        let accepted = theirs.value != .null
        #expect(!accepted, "\(text.debugDescription): \(error) seed \(seed)")
      }
    }
  }

  private func format(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

  private func difference(_ ours: TOMLValue, _ theirs: JSONValue) -> String? {
    guard case .array(let pair) = theirs, pair.count == 2, case .string(let kind) = pair[0] else { return "no answer" }
    let (name, same): (String, Bool)
    switch (ours, pair[1]) {
    case (.string(let text), .string(let other)): (name, same) = ("string", Array(text.utf8) == Array(other.utf8))
    case (.integer(let number), .string(let other)): (name, same) = ("integer", String(number) == other)
    case (.double(let number), .string(let other)):
      (name, same) = ("double", number.isNaN && other == "nan" || Double(other) == number)
    case (.bool(let value), .string(let other)): (name, same) = ("bool", other == "\(value)")
    case (.dateTime(let text), .string(let other)): (name, same) = ("dateTime", text.hasPrefix(other))
    case (.array(let items), .array(let others)):
      guard items.count == others.count else { return "count of an array" }
      if let inner = zip(items, others).lazy.compactMap({ difference($0.value, $1) }).first { return inner }
      (name, same) = ("array", true)
    case (.table(let table), .object(let others)):
      guard table.entries.count == others.count else { return "count of a table" }
      for entry in table.entries {
        guard let other = others[entry.key] else { return "no \(entry.key)" }
        if let inner = difference(entry.item.value, other) { return inner }
      }
      (name, same) = ("table", true)
    default: return "\(ours) against \(theirs.text())"
    }
    return same && name == kind ? nil : "\(ours) against \(theirs.text())"
  }

  @Test(arguments: [
    ("a=1\n\n  b = 01\n", "p.toml:3:7: \"01\" is a number with leading zeros"),
    ("a=1\na=2", "p.toml:2:1: \"a\" is defined already, in line 1"),
    ("[a]\n[b]\n[a]", "p.toml:3:1: \"a\" is defined already, in line 1"),
    ("a = maybe", "p.toml:1:5: \"maybe\" is not a value; text stands in quotes"),
    ("a = ", "p.toml:1:5: the TOML text ends early"),
    ("a = \nb = 1", "p.toml:1:5: the line ends where a value should be"),
    ("a = 'x", "p.toml:1:5: \"'x\" is a string that does not end"),
    ("a 1", "p.toml:1:3: \"1\" stands where = should be, after a key"),
    ("a = 99999999999999999999", "p.toml:1:5: \"99999999999999999999\" is not an integer of 64 bits"),
    ("x = \"\"\"\n\n\"\"\"\ny = [1,\n2,\nz]", "p.toml:6:1: \"z\" is not a value; text stands in quotes"),
  ]) func namesWhatAndWhere(_ text: String, _ message: String) {
    let error = #expect(throws: FormatError.self) { try TOMLNode.parse(Array(text.utf8), source: "p.toml") }
    #expect(error?.description == message)
  }

  @Test func typedAccessNamesLineAndKey() throws {
    let text = """
      at_least = "container"

      [limits]
      memory = "12 parrots"
      pids = -1
      rules = [
        "a",
        7,
      ]
      [[mounts]]
      path = "/a"
      [[mounts]]
      paht = "/b"
      """
    let root = try TOMLNode.parse(Array(text.utf8), source: "policy.toml")
    let limits = try root.required("limits")
    #expect(
      try limits.required("memory").failure("is not a size").description
        == "policy.toml:4: limits.memory: \"12 parrots\" is not a size")
    func message(_ body: () throws -> Void) -> String {
      do { try body() } catch { return "\(error)" }
      return ""
    }
    #expect(
      message { _ = try limits.required("pids").integer(UInt32.self) }
        == "policy.toml:5: limits.pids: \"-1\" is not between 0 and 4294967295")
    #expect(
      message { _ = try limits.strings("rules") }
        == "policy.toml:8: limits.rules[1]: \"7\" is an integer where a string should be")
    let mounts = try root.array("mounts")
    #expect(
      message { _ = try mounts[1].string("path") } == "policy.toml:12: mounts[1]: \"path\" is missing and must be there"
    )
    #expect(
      message { try mounts[1].refuseUnknownKeys(allowed: ["path"]) }
        == "policy.toml:13: mounts[1]: \"paht\" is not a key known here")
    #expect(message { _ = try root.int("limits") } == "policy.toml:3: limits: must be an integer, not a table")
  }

  @Test func boundsDepthAndStaysLinear() throws {
    for opening in [
      "a=" + String(repeating: "[", count: 100_000), "a=" + String(repeating: "{a=", count: 100_000),
      "[" + String(repeating: "a.", count: 100_000) + "a]", String(repeating: "a.", count: 100_000) + "a=1",
    ] {
      let error = #expect(throws: FormatError.self) { try TOMLNode.parse(Array(opening.utf8), source: "") }
      #expect(error?.problem == "nests deeper than 64 levels")
    }
    var keys = ""
    for index in 0..<20_000 { keys += "k\(index)=1\n[[t]]\nx=1\n" }
    // Every k after the first belongs to a [[t]].
    #expect(try TOMLNode.parse(Array(keys.utf8), source: "").array("t").count == 20_000)
  }
}
