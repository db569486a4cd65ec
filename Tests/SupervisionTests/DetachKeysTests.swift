import Formats
import Supervision
import Testing

@Suite struct DetachKeysTests {
  @Test(arguments: [
    ("ctrl-p,ctrl-q", [UInt8]([16, 17])), ("a", [97]), ("ctrl-a,b,ctrl-@", [1, 98, 0]), ("ctrl-[", [27]),
    ("ctrl-\\,ctrl-],ctrl-^,ctrl-_", [28, 29, 30, 31]), ("ctrl-e,e", [5, 101]),
  ])
  func dockersWordsAreRead(text: String, bytes: [UInt8]) throws {
    #expect(try DetachKeys(parsing: text).bytes == bytes)
  }

  @Test(arguments: ["", ",", "a,", "ctrl-", "ctrl-A", "ctrl-1", "ctrl-ab", "CTRL-a", "ab", "ü", " ", "ctrl-p ctrl-q"])
  func otherWordsAreRefused(text: String) {
    #expect(throws: FormatError.self) { try DetachKeys(parsing: text) }
  }

  @Test(arguments: [
    // keys, what is typed in pieces, what passes, whether it detaches.
    ("ctrl-p,ctrl-q", [[UInt8]([1, 2, 3])], [UInt8]([1, 2, 3]), false),
    ("ctrl-p,ctrl-q", [[1, 16, 17, 9]], [1], true),
    ("ctrl-p,ctrl-q", [[16], [17]], [], true),
    ("ctrl-p,ctrl-q", [[16], [5]], [16, 5], false),
    ("ctrl-p,ctrl-q", [[16, 16, 17]], [16], true),
    ("a,a,b", [[97, 97], [97, 98]], [97], true),
    ("a,b,a,c", [[97, 98, 97, 98, 97, 99]], [97, 98], true),
    ("ctrl-p,ctrl-q", [[17, 16]], [17], false),
  ])
  func theyAreFoundInWhatIsTyped(keys: String, pieces: [[UInt8]], pass: [UInt8], detach: Bool) throws {
    var matcher = DetachMatcher(try DetachKeys(parsing: keys))
    var passed: [UInt8] = []
    var detached = false
    for piece in pieces {
      let result = matcher.feed(piece)
      passed += result.pass
      detached = detached || result.detach
    }
    #expect(passed == pass)
    #expect(detached == detach)
  }
}
