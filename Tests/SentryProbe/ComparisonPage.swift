import Linux
import SentryPlatform

/// docs/sentry-gvisor.md: the sentry's calls beside what gVisor's own table says of them (Tests/Fixtures/gvisor/calls.tsv).
enum ComparisonPage {
  /// A line of that file.
  private struct Line {
    let number: Int32
    /// "full", "part", "error" or "absent".
    let support: String
    let error: String
    let difference: String
    var isThere: Bool { support == "full" || support == "part" }
    var word: String { support == "error" ? "refused: \(error)" : support }
  }
  struct Failure: Error {
    let line: String
  }

  private static func parse(_ text: String) throws(Failure) -> [Int32: Line] {
    var found: [Int32: Line] = [:]
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      guard words.count == 5, let number = Int32(words[0]), ["full", "part", "error", "absent"].contains(words[2])
      else {
        throw Failure(line: String(line))
      }
      found[number] = Line(
        number: number, support: words[2], error: words[3], difference: words[4] == "-" ? "" : words[4])
    }
    return found
  }

  static func text(_ source: String) throws(Failure) -> String {
    let theirs = try parse(source)
    var rows: [(own: CallFact, other: Line)] = []
    for fact in CallFact.all(.nativeHarmless) {
      guard let other = theirs[fact.number] else { throw Failure(line: "\(fact.number) \(fact.name): no line") }
      rows.append((fact, other))
    }
    // What no filter sees is nobody's doing.
    let there = { (fact: CallFact) in
      !CallFact.unfiltered.contains(fact.number) && (fact.answer == "full" || fact.answer == "part")
    }
    let onlyTheirs = rows.filter { !there($0.own) && $0.other.isThere }
    let onlyOurs = rows.filter { there($0.own) && !$0.other.isThere }
    let ourWhole = rows.filter { $0.own.answer == "full" && $0.other.support == "part" }
    let theirWhole = rows.filter { $0.own.answer == "part" && $0.other.support == "full" }
    var lines = opening + counts(rows)
    lines += section("What gVisor has and the sentry has not", onlyTheirs) { "\($0.other.word)\(of($0.other))" }
    lines += section("What the sentry has and gVisor has not", onlyOurs) { "gVisor: \($0.other.word)" }
    lines += section("Whole in the sentry, in part in gVisor", ourWhole) { $0.other.difference }
    lines += section("Whole in gVisor, in part in the sentry", theirWhole) { $0.own.difference }
    lines += cost
    lines += [
      "", "## Call by call", "", "| number | call | sentry | gVisor | what differs |",
      "| --- | --- | --- | --- | --- |",
    ]
    for (own, other) in rows {
      let parts = [("sentry", own.difference), ("gVisor", other.difference)].filter { !$0.1.isEmpty }
      lines.append(
        CallPage.cells([
          "\(own.number)", own.name, CallPage.word(own), other.word,
          parts.map { "\($0.0): \($0.1)" }.joined(separator: "; "),
        ]))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func of(_ line: Line) -> String { line.difference.isEmpty ? "" : " (\(line.difference))" }

  private static func counts(_ rows: [(own: CallFact, other: Line)]) -> [String] {
    let own = ["full", "part", "refused", "absent"].map { word in rows.count { $0.own.answer == word } }
    let other = ["full", "part", "error", "absent"].map { word in rows.count { $0.other.support == word } }
    return [
      "| | full | part | refused | absent |", "| --- | --- | --- | --- | --- |",
      "| the sentry | " + own.map(String.init).joined(separator: " | ") + " |",
      "| gVisor | " + other.map(String.init).joined(separator: " | ") + " |",
    ]
  }

  private static func section(
    _ title: String, _ rows: [(own: CallFact, other: Line)], _ what: ((own: CallFact, other: Line)) -> String
  ) -> [String] {
    // Calls of one family that are said the same of stand together.
    var groups: [(what: String, names: [String])] = []
    for row in rows {
      let text = what(row)
      if let at = groups.firstIndex(where: { $0.what == text }) {
        groups[at].names.append(row.own.name)
      } else {
        groups.append((text, [row.own.name]))
      }
    }
    return ["", "## \(title)", "", "\(rows.count) calls:", ""]
      + groups.map {
        "- \($0.names.joined(separator: ", ")): \($0.what.map { $0 == "*" ? "\\*" : String($0) }.joined())"
      }
  }

  private static let opening = [
    "# The sentry's system calls beside gVisor's",
    "",
    "Made by `make docs` from [the sentry's table](sentry-calls.md) and from what gVisor's own table for x86-64 says (`pkg/sentry/syscalls/linux/linux64.go` of",
    "github.com/google/gvisor at commit 02c06d48776e2f2fbe2264fb74a5abb208df4dc5, Apache-2.0), kept as facts in `Tests/Fixtures/gvisor/calls.tsv`. A later gVisor may have more.",
    "",
    "Each project says by itself what is *full*. gVisor's table tells of calls; where a flag or an option of a call is missing it often does not say so, and nothing of it",
    "was run here. The sentry's tells of flags too: so a *part* there may be a *full* by gVisor's measure, and the counts say less than the lists below them.",
    "EPERM/ENOSYS is EPERM without the capability for it, ENOSYS with it.",
    "",
  ]

  private static let cost = [
    "",
    "## What a call costs",
    "",
    "For orientation only: gVisor's systrap platform as it was measured on a machine of the same kind when the sentry was planned, best of its rounds, by its own bench; no bench of this",
    "repository runs gVisor. The sentry's figures are [speed.md](speed.md#the-sentry)'s: its ratio to native times native, on one processor, under `native-harmless`.",
    "",
    "| microseconds | systrap, two processors | systrap, one | the sentry, one | of native |",
    "| --- | --- | --- | --- | --- |",
    "| getpid | 3.6 | 9.5 | 0.003, in the stub | 0.02x |",
    "| pread of 1 byte | 1.1 | 6.1 | 0.28, in the stub | 0.62x |",
    "| stat | 1.2 | 6.2 | 0.23, in the stub | 0.22x |",
    "| open, read, close | 7.3 | 25 | 16 | 5.8x |",
    "| a byte through a pipe and back | 21 | 32 | 39 | 5.3x |",
    "| mmap, touch, munmap | 49 | 39 | 6.3, by the host | 0.97x |",
    "| thread, made and joined | 36 | 79 | 44 | 2.3x |",
    "| fork, exit and wait | 970 | 590 | 230 | 1.6x |",
    "| fork, exec and wait | 2700 | 1800 | 990 | 1.95x |",
    "",
    "A start of `/bin/true` took gVisor 118 to 145 ms and 44 MB; the sentry's takes 3.2 ms more than the container wall's, and 0.8 MB of anonymous memory at rest. Redis answered 0.13x as many",
    "requests under systrap as natively; the sentry's figure is not measured.",
    "",
    "So what the stub or the host answers, processes, start and memory cost less here. What comes to the sentry costs a notification, 4.5 us at least and two switches between processes: with a second processor",
    "free systrap has a thread that polls for the next call, and is faster at opening files, at pipes and at making threads; on one processor it is not, but for pipes.",
  ]
}
