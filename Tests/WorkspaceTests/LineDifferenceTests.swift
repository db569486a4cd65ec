import Testing
import Workspace

@Suite struct LineDifferenceTests {
  @Test(arguments: [
    ("", "", ""),
    ("a\n", "a\n", ""),
    ("a\nb\nc\n", "a\nc\n", "@@ -1,3 +1,2 @@\n a\n-b\n c\n"),
    ("", "x\n", "@@ -0,0 +1 @@\n+x\n"),
    ("x\n", "", "@@ -1 +0,0 @@\n-x\n"),
    ("a", "b", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n"),
    (
      "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n",
      "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
    ),
  ])
  func hunks(old: String, new: String, expected: String) {
    let hunks = LineDifference.unified(Array(old.utf8), Array(new.utf8))
    #expect(hunks.map { String(decoding: $0, as: UTF8.self) } == expected)
  }

  /// Random edits: diff(1)'s patch(1) is the oracle.
  @Test func patchMakesTheNewFileFromTheOld() throws {
    let scratch = try Scratch()
    var random = SystemRandomNumberGenerator()
    for round in 0..<40 {
      let old = (0..<Int.random(in: 0...60, using: &random)).map { _ in "line \(Int.random(in: 0...20, using: &random))"
      }
      var new = old
      for _ in 0..<Int.random(in: 0...8, using: &random) {
        let place = Int.random(in: 0...new.count, using: &random)
        if Bool.random(using: &random), place < new.count {
          new.remove(at: place)
        } else {
          new.insert("new \(place)", at: place)
        }
      }
      let oldText = old.map { $0 + "\n" }.joined()
      let newText = new.map { $0 + "\n" }.joined()
      let hunks = try #require(LineDifference.unified(Array(oldText.utf8), Array(newText.utf8)))
      try scratch.write("file", oldText)
      try scratch.write("patch", "--- file\n+++ file\n" + String(decoding: hunks, as: UTF8.self))
      if hunks.isEmpty {
        #expect(oldText == newText)
        continue
      }
      let result = try scratch.run(["patch", "-s", "-p0", "-d", scratch.path, "-i", scratch.path + "/patch"])
      #expect(result.status == 0, "round \(round): \(result.output)\n\(old)\n\(new)")
      #expect(scratch.read("file") ?? "" == newText, "round \(round)")
    }
  }
}
