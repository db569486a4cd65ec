import Formats
import Testing

@Suite struct SHA256Tests {
  /// NIST's examples (FIPS 180-4; the Cryptographic Toolkit's "SHA256" examples).
  @Test(arguments: [
    ("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
      1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
    ),
    ("a", 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
  ]) func knownAnswers(_ text: String, _ count: Int, _ hex: String) {
    let bytes = Array(String(repeating: text, count: count).utf8)
    #expect(Digest.of(bytes).hex == hex)
  }

  @Test(.enabled(if: Python.isAvailable, "python3 is the oracle")) func agreesWithHashlibOnEveryLength() throws {
    let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) }
    let script = """
      import sys, hashlib
      data = sys.stdin.buffer.read()
      for n in range(len(data) + 1): print(hashlib.sha256(data[:n]).hexdigest())
      """
    let theirs = String(decoding: try Python.run(script, input: bytes), as: UTF8.self).split(separator: "\n")
    #expect(theirs.count == 301)
    for (length, hex) in theirs.enumerated() {
      var hash = SHA256()
      // In uneven pieces, to cross the block's edges.
      var rest = bytes[..<length]
      while !rest.isEmpty {
        let piece = Array(rest.prefix(1 + length % 67))
        hash.update(piece.span)
        rest = rest.dropFirst(piece.count)
      }
      #expect(Digest(bytes: hash.finish().span)?.hex == String(hex), "length \(length)")
    }
  }
}
