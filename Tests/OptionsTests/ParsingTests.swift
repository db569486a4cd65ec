import Options
import Testing

/// The hand parser over the table of verbs.
@Suite("Command lines")
struct ParsingTests {
  static func parsed(_ words: String...) throws -> ParsedCommand { try parsed(words) }
  static func parsed(_ words: [String]) throws -> ParsedCommand {
    guard case .command(let command) = try CommandLineReading(words) else {
      throw NotACommand(words: words)
    }
    return command
  }
  struct NotACommand: Error { let words: [String] }

  static func problem(_ words: [String]) -> String? {
    do throws(UsageError) {
      _ = try CommandLineReading(words)
      return nil
    } catch {
      return error.description
    }
  }

  struct Good: Sendable {
    let line: String
    let verb: String
    var values: [String: [String]] = [:]
    var operands: [String] = []
    var separator = false
  }

  @Test(
    "lines that are understood",
    arguments: [
      Good(line: "run alpine", verb: "run", operands: ["alpine"]),
      Good(line: "run -- true", verb: "run", operands: ["true"], separator: true),
      Good(
        line: "run -it alpine sh", verb: "run", values: ["interactive": [""], "tty": [""]], operands: ["alpine", "sh"]),
      Good(line: "run -ti alpine", verb: "run", values: ["interactive": [""], "tty": [""]], operands: ["alpine"]),
      Good(line: "run -dit alpine", verb: "run", values: ["detach": [""], "tty": [""]], operands: ["alpine"]),
      Good(line: "run --memory=256m -- a", verb: "run", values: ["memory": ["256m"]], operands: ["a"], separator: true),
      Good(line: "run --memory 256m -- a", verb: "run", values: ["memory": ["256m"]], operands: ["a"], separator: true),
      Good(line: "run -m 256m -- a", verb: "run", values: ["memory": ["256m"]], operands: ["a"], separator: true),
      Good(line: "run -m256m -- a", verb: "run", values: ["memory": ["256m"]], operands: ["a"], separator: true),
      Good(line: "run -m=256m -- a", verb: "run", values: ["memory": ["256m"]], operands: ["a"], separator: true),
      Good(
        line: "run -ie A=1 -- a", verb: "run", values: ["interactive": [""], "env": ["A=1"]], operands: ["a"],
        separator: true),
      Good(line: "run -e A=1 -eB=2 --env=C=3 x", verb: "run", values: ["env": ["A=1", "B=2", "C=3"]], operands: ["x"]),
      Good(line: "run --env= x", verb: "run", values: ["env": [""]], operands: ["x"]),
      Good(line: "run --rm=true x", verb: "run", values: ["rm": [""]], operands: ["x"]),
      Good(line: "run --rm=false x", verb: "run", values: ["rm": []], operands: ["x"]),
      // What follows the image belongs to the program, whatever it looks like.
      Good(line: "run x --rm -it -- y --help", verb: "run", operands: ["x", "--rm", "-it", "--", "y", "--help"]),
      Good(line: "run -- x -- y -q", verb: "run", operands: ["x", "--", "y", "-q"], separator: true),
      Good(line: "run -- --rm", verb: "run", operands: ["--rm"], separator: true),
      Good(line: "exec web sh -c ls", verb: "exec", operands: ["web", "sh", "-c", "ls"]),
      Good(line: "--root /r --debug ps -a", verb: "ps", values: ["root": ["/r"], "debug": [""], "all": [""]]),
      Good(line: "--root=/r ps", verb: "ps", values: ["root": ["/r"]]),
      Good(line: "ps --root /r", verb: "ps", values: ["root": ["/r"]]),
      Good(line: "policy explain --wall jail", verb: "policy explain", values: ["wall": ["jail"]]),
      Good(line: "rm a -f b", verb: "rm", values: ["force": [""]], operands: ["a", "b"]),
      Good(line: "import - n", verb: "import", operands: ["-", "n"]),
      // The same twice says nothing new.
      Good(line: "run --name a --name a x", verb: "run", values: ["name": ["a", "a"]], operands: ["x"]),
    ])
  func good(_ row: Good) throws {
    let command = try Self.parsed(row.line.split(separator: " ").map(String.init))
    #expect(command.verb.name == row.verb)
    #expect(command.operands == row.operands)
    #expect(command.afterSeparator == row.separator)
    for (name, values) in row.values {
      #expect(command.all(name) == values, "\(name)")
      #expect(command.value(name) == values.last)
      #expect(command.flag(name) == !values.isEmpty)
    }
  }

  @Test(
    "lines that are not: one line that holds the offending text",
    arguments: [
      ("run", "is missing"),
      ("run --memroy 1g x", "unknown option --memroy; did you mean --memory?"),
      ("run --nonsense x", "unknown option --nonsense; see"),
      ("run -Z x", "unknown option -Z"),
      ("run -iZ x", "unknown option -Z"),
      ("run --memory", "--memory wants a value (SIZE)"),
      ("run -m", "-m wants a value (SIZE)"),
      ("run -im", "-m wants a value (SIZE)"),
      ("run --rm=no x", "--rm takes no value, but \"no\" was given"),
      ("run --memory 1g --memory 2g x", "--memory is given twice (\"1g\" and \"2g\")"),
      ("run -m 1g --memory=2g x", "is given twice"),
      ("exec web", "is missing"),
      ("ps extra", "\"extra\" is one word too many"),
      ("tag a b c", "\"c\" is one word too many"),
      ("rnu x", "there is no command \"rnu\"; did you mean \"run\"?"),
      ("frobnicate", "there is no command \"frobnicate\"; see"),
      ("workspace", "wants a second word: list, diff, apply, discard"),
      ("workspace dif x", "wants a second word"),
      ("--nonsense ps", "unknown option --nonsense"),
      ("--root", "--root wants a value"),
      ("help nothing", "there is no command \"nothing\""),
    ])
  func bad(_ line: String, _ words: String) {
    let said = Self.problem(line.split(separator: " ").map(String.init))
    let wanted =
      words == "wants a second word: list, diff, apply, discard" ? "wants a second word: workspace list" : words
    #expect(said?.contains(wanted) == true, "\(said ?? "understood")")
    #expect(said?.contains("\n") == false)
  }

  @Test("control characters and long words cannot break the line")
  func presented() throws {
    let said = try #require(Self.problem(["run", "--a\u{1b}[2J\n" + String(repeating: "x", count: 500), "y"]))
    #expect(!said.unicodeScalars.contains { $0.value < 32 })
    #expect(said.count < 200)
  }

  @Test("help and version", arguments: [["--help"], ["-h"], ["help"], []])
  func help(_ words: [String]) throws {
    guard case .help(nil) = try CommandLineReading(words) else {
      Issue.record("\(words)")
      return
    }
  }

  @Test("every verb has a page of help, under each spelling", arguments: Verb.all.map(\.name))
  func verbHelp(_ name: String) throws {
    let words = name.split(separator: " ").map(String.init)
    for line in [words + ["--help"], words + ["-h"], ["help"] + words] {
      guard case .help(let verb?) = try CommandLineReading(line) else {
        Issue.record("\(line)")
        continue
      }
      #expect(verb.name == name)
    }
  }

  @Test("version") func version() throws {
    for word in ["--version", "-V"] {
      guard case .version = try CommandLineReading([word]) else {
        Issue.record("\(word)")
        continue
      }
    }
  }
}
