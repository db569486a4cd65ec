import SentryPlatform
import Testing

@Suite("What the host tells of threads")
struct ProcessFactsTests {
  static let status = """
    Name:\tTgid:\t7
    Umask:\t0000
    State:\tS (sleeping)
    Tgid:\t1234
    Ngid:\t0
    Pid:\t1235
    PPid:\t1200
    NStgid:\t1234\t5
    NSpid:\t1235\t6

    """

  @Test("a status is read line by line, whatever a program calls itself")
  func read() throws {
    let facts = try #require(ProcessFacts(status: Array(Self.status.utf8)))
    #expect(facts.process == 1234)
    #expect(facts.parent == 1200)
    #expect(facts.guestID == 6)
    #expect(!facts.hasEnded)
    let ended = Self.status.split(separator: "\n").joined(separator: "\n").replacing("S (sleeping)", with: "Z (zombie)")
    #expect(ProcessFacts(status: Array(ended.utf8))?.hasEnded == true)
    #expect(ProcessFacts(status: []) == nil)
    #expect(ProcessFacts(status: Array("Tgid:\t12\n".utf8)) == nil)
  }

  @Test("numbers are numbers only", arguments: ["", "-1", "12a", "99999999999", " 1"])
  func wrong(text: String) {
    #expect(ProcessFacts.number(Array(text.utf8)[...]) == nil)
  }
}
