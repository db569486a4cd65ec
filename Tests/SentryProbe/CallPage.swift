import SentryPlatform

/// docs/sentry-calls.md: every system call as the sentry's table and the filter over its guests have it.
enum CallPage {
  static func text() -> String {
    let (harmless, strict) = (CallFact.all(.nativeHarmless), CallFact.all(.strict))
    var lines = [
      "# The system calls that guests of the sentry have",
      "",
      "Made from the table in `Sources/SentryCalls` and the filter over the guests by `make docs`; a test holds it to them. `immure policy explain --wall",
      "sentry --calls` prints the same, `--format json` for programs. [What gVisor has of each](sentry-gvisor.md).",
      "",
      "- **full**: answered as by Linux, but for what [the wall](walls/sentry.md#what-does-not-hold), [files](sentry-files.md#what-is-not-there) and",
      "  [events](sentry-events.md#where-it-differs-from-linux) say of all calls. Each that can come to the sentry has a program",
      "  under `Tests/SentryPrograms` that prints on Linux what it prints here.",
      "- **part**: the last column says what is answered otherwise than by Linux.",
      "- **refused**: always this error, on purpose. **absent**: ENOSYS, as a kernel says that is older than the call; so is every number that is not in the table.",
      "",
      "Who answers: the *stub* in the guest's own process, where the sentry has told it what holds; the *sentry*; the *host*'s kernel unasked, or *after a look*",
      "of the sentry at the call; the *filter*. Under `--syscalls strict` another one where the table says so.",
      "",
      "| | full | part | refused | absent | all |",
      "| --- | --- | --- | --- | --- | --- |",
      "| calls | " + ["full", "part", "refused", "absent"].map { "\(count(harmless, $0))" }.joined(separator: " | ")
        + " | \(harmless.count) |",
      "",
      "| who may answer | calls | under strict |",
      "| --- | --- | --- |",
    ]
    for server in [CallFact.Server.stub, .sentry, .host, .hostAsked] {
      lines.append("| \(server.rawValue) | \(count(harmless, server)) | \(count(strict, server)) |")
    }
    lines += [
      "", "| number | call | | by | may wait for | otherwise than Linux |", "| --- | --- | --- | --- | --- | --- |",
    ]
    for (fact, other) in zip(harmless, strict) { lines.append(row(fact, other)) }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func row(_ fact: CallFact, _ strict: CallFact) -> String {
    var by = names(fact)
    if fact.servers != strict.servers { by += "; strict: \(names(strict))" }
    if fact.extent == nil { by = "" }
    return cells(["\(fact.number)", fact.name, word(fact), by, fact.blocksOn, fact.difference])
  }

  private static func names(_ fact: CallFact) -> String { fact.servers.map(\.rawValue).joined(separator: ", ") }

  /// "part", "refused: EPERM".
  static func word(_ fact: CallFact) -> String {
    fact.answer == "refused" ? "refused: \(fact.error ?? "")" : fact.answer
  }

  /// A line of a table. An asterisk would be emphasis.
  static func cells(_ words: [String]) -> String {
    let shown = words.map { word in word.map { $0 == "*" ? "\\*" : String($0) }.joined() }
    return "|" + shown.map { $0.isEmpty ? " |" : " \($0) |" }.joined()
  }

  static func count(_ facts: [CallFact], _ answer: String) -> Int { facts.count { $0.answer == answer } }
  private static func count(_ facts: [CallFact], _ server: CallFact.Server) -> Int {
    facts.count { $0.extent != nil && $0.servers.contains(server) }
  }
}
