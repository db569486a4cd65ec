public import Formats

/// The keys that leave a sandbox's terminal without ending it, in Docker's words: letters or "ctrl-" with one of a-z @ [ \ ] ^ _,
/// separated by commas (docker-attach(1), "--detach-keys").
public struct DetachKeys: Equatable, Sendable {
  /// As the terminal sends them; never empty.
  public let bytes: [UInt8]

  /// Ctrl-P, Ctrl-Q.
  public static let standard = DetachKeys(bytes: [16, 17])

  private init(bytes: [UInt8]) { self.bytes = bytes }

  public init(parsing text: String) throws(FormatError) {
    var bytes: [UInt8] = []
    for key in text.split(separator: ",", omittingEmptySubsequences: false) {
      let letters = Array(key.utf8)
      if letters.count == 1, let letter = letters.first, letter > 32, letter < 127 {
        bytes.append(letter)
      } else if letters.count == 6, key.hasPrefix("ctrl-"), let control = DetachKeys.control(letters[5]) {
        bytes.append(control)
      } else {
        throw FormatError("is not a key: a character, or ctrl- and one of a-z @ [ \\ ] ^ _", offending: String(key))
      }
    }
    self.bytes = bytes
  }

  private static func control(_ letter: UInt8) -> UInt8? {
    switch letter {
    case UInt8(ascii: "a")...UInt8(ascii: "z"): letter - 96
    case UInt8(ascii: "@"), UInt8(ascii: "[")...UInt8(ascii: "_"): letter - 64
    default: nil
    }
  }
}

/// Finds the detach keys in what is typed. Keys that may be their beginning are held back until the next one decides.
package struct DetachMatcher {
  private let keys: [UInt8]
  private var held = 0

  package init(_ keys: DetachKeys) { self.keys = keys.bytes }

  /// What is to be passed on of `typed`, and whether the keys came; nothing behind them is passed on.
  package mutating func feed(_ typed: [UInt8]) -> (pass: [UInt8], detach: Bool) {
    var pass: [UInt8] = []
    for byte in typed {
      if byte == keys[held] {
        held += 1
        if held == keys.count {
          held = 0
          return (pass, true)
        }
        continue
      }
      // The longest end of what is held and typed that still begins the keys stays held.
      let candidate = Array(keys[..<held]) + [byte]
      var keep = held
      while keep > 0 && !candidate.suffix(keep).elementsEqual(keys[..<keep]) { keep -= 1 }
      pass += candidate.dropLast(keep)
      held = keep
    }
    return (pass, false)
  }
}
