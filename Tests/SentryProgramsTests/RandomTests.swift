import Foundation
import SentryGuests
import Testing

/// Sequences of random calls, valid and not: natively, in namespaces of their own, and in the sentry they answer the same.
@Suite(
  "Random calls", .enabled(if: GuestProgram.canRun, "\(GuestProgram.obstacle ?? "")"), .serialized,
  .timeLimit(.minutes(60)))
struct RandomTests {
  private static let isWhole = ProcessInfo.processInfo.environment["IMMURE_TEST_ALL"] == "1"
  /// The same in every run of `make test`; with everything, other ones each time, whose first is told.
  private static let first = isWhole ? Int(Date().timeIntervalSince1970) % 1_000_000 * 1000 : 0
  private static let (batches, count, length) = isWhole ? (250, 150, 40) : (2, 150, 40)

  @Test("what they answer", arguments: [[], ["--strict"]])
  func answers(options: [String]) throws {
    let program = try GuestProgram("random/random")
    let jail = program.root + "/../jail"
    try FileManager.default.createDirectory(atPath: jail, withIntermediateDirectories: false)
    var known = try KnownDifferences()
    for batch in 0..<Self.batches {
      let first = Self.first + batch * Self.count
      let words = ["\(first)", "\(Self.count)", "\(Self.length)"]
      let native = try program.natively(["--jail", jail] + words)
      try #require(native.status == 0, "\(native.error)")
      let sentry = try program.inSentry(words, options: options)
      #expect(sentry.status == 0 && sentry.error.isEmpty, "from \(first): \(sentry.status) \(sentry.error)")
      let (here, there) = (sequences(native.output), sequences(sentry.output))
      #expect(here.count == Self.count && there.count == Self.count)
      for (one, other) in zip(here, there) {
        // Only the first difference of a sequence says something: what follows it starts from elsewhere.
        guard let difference = Difference(one, other) else { continue }
        let isKnown = known.explains(difference)
        #expect(
          isKnown,
          "sequence \(one.first ?? ""): natively \(difference.native), in the sentry \(difference.sentry)")
      }
    }
    if Self.isWhole {
      for line in known.unmet { Issue.record("no sequence differs so any more; take it away: \(line)") }
    }
  }

  /// Each with its number, its calls, and how it ended.
  private func sequences(_ output: String) -> [[Substring]] {
    var found: [[Substring]] = []
    for line in output.split(separator: "\n") {
      if line.hasPrefix("= ") { found.append([line.dropFirst(2)]) } else { found[found.count - 1].append(line) }
    }
    return found
  }
}

/// The first line that two runs of a sequence do not share.
private struct Difference {
  let native: Substring
  let sentry: Substring

  init?(_ native: [Substring], _ sentry: [Substring]) {
    for index in 0..<max(native.count, sentry.count) {
      let one = index < native.count ? native[index] : "nothing"
      let other = index < sentry.count ? sentry[index] : "nothing"
      if one != other {
        (self.native, self.sentry) = (one, other)
        return
      }
    }
    return nil
  }

  /// "12 read(5, OUT+0, 8) = -11 #696b6325" is a read.
  var call: Substring { native.drop { $0 != " " }.dropFirst().prefix { $0 != "(" } }
  private func answer(_ line: Substring) -> String {
    guard let sign = line.range(of: ") = ", options: .backwards) else { return "ended" }
    return String(line[sign.upperBound...].prefix { $0 != " " })
  }
  /// As a line of the file names it: "read -11 -9".
  var name: String { "\(call) \(answer(native)) \(answer(sentry))" }
  /// The same for whatever the sentry's or the native answer was.
  var names: [String] { [name, "\(call) \(answer(native)) *", "\(call) * \(answer(sentry))", "\(call) * *"] }
}

/// Tests/SentryPrograms/random/differences.txt: what is known to differ, a line each with its cause. It only ever gets shorter.
private struct KnownDifferences {
  private let lines: Set<String>
  private var met: Set<String> = []

  init() throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "SentryPrograms/random/differences.txt")
    var lines: Set<String> = []
    for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ", omittingEmptySubsequences: true)
      try #require(words.count > 3, "a call, its answer on Linux and here, and why: \(line)")
      lines.insert(words[..<3].joined(separator: " "))
    }
    self.lines = lines
  }

  mutating func explains(_ difference: Difference) -> Bool {
    guard let name = difference.names.first(where: lines.contains) else { return false }
    met.insert(name)
    return true
  }
  var unmet: [String] { lines.subtracting(met).sorted() }
}
