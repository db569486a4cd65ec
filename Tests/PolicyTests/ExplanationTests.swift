import Formats
import Policy
import Testing

@Suite("explain")
struct ExplanationTests {
  static func explanation() throws -> PolicyExplanation {
    var policy = Policy()
    try policy.apply(.memory, "256m")
    policy.set(FileRule(.read, "/srv/a\nb", at: "/b"), .file(path: "p.toml", line: 3))
    let verdicts: [String: Enforcement] = [
      "limits.memory": .weaker("RLIMIT_AS, of each process"), "processes.others": .unenforced("they are \"visible\""),
    ]
    return PolicyExplanation(wall: .jail, policy.rules.map { ($0, verdicts[$0.name] ?? .enforced("it")) })
  }

  @Test func table() throws {
    let expected = """
      RULE                      VALUE            FROM      VERDICT     BY
      files.read                /srv/a\\nb at /b  p.toml:3  enforced    it
      network                   none             default   enforced    it
      processes.others          hidden           default   unenforced  they are "visible"
      processes.new_privileges  refused          default   enforced    it
      processes.user_namespace  auto             default   enforced    it
      processes.capabilities    default          default   enforced    it
      processes.seccomp         default          default   enforced    it
      limits.memory             256 MiB          --memory  weaker      RLIMIT_AS, of each process

      """
    #expect(try Self.explanation().text() == expected)
  }

  @Test func json() throws {
    var writer = JSONWriter()
    let explanation = try Self.explanation()
    explanation.write(to: &writer)
    let root = try JSONNode.parse(writer.bytes, source: "explain")
    #expect(try root.string("wall") == "jail")
    let rows = try root.optionalArray("rules")
    #expect(rows.count == explanation.rows.count)
    #expect(try rows[0].string("value") == "/srv/a\nb at /b")
    #expect(try rows[7].string("verdict") == "weaker")
    #expect(try rows[7].string("from") == "--memory")
    #expect(try rows[7].string("by") == "RLIMIT_AS, of each process")
  }
}
