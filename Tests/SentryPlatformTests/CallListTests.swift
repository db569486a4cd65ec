import ChildProcesses
import Foundation
import Seccomp
import SentryCalls
import SentryGuests
import SentryPlatform
import Testing

/// What docs/ and `policy explain --calls` say of system calls, held to the code.
@Suite("The list of system calls")
struct CallListTests {
  static let top = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  private func source(_ path: String) throws -> String {
    try String(contentsOf: Self.top.appending(path: path), encoding: .utf8)
  }

  @Test("every call of x86-64 is in it, and every row of the table", arguments: StubFilter.Policy.allCases)
  func all(policy: StubFilter.Policy) throws {
    let facts = CallFact.all(policy)
    #expect(facts.map(\.number) == SyscallTable.calls(of: .x86_64).map { Int32(bitPattern: $0.number) })
    #expect(Array(facts.prefix(335).map(\.number)) == Array(0..<335))
    for row in CallTable.all.all {
      let fact = try #require(facts.first { $0.number == row.number }, "\(row.name)")
      // The kernel's own name for it, by which programs and profiles know it.
      #expect(SyscallTable.name(of: UInt32(bitPattern: row.number), architecture: .x86_64) == row.name)
      #expect(fact.extent == row.extent && fact.blocksOn == row.blocksOn)
    }
  }

  @Test("each is answered by somebody, and what is missing is said", arguments: StubFilter.Policy.allCases)
  func answered(policy: StubFilter.Policy) {
    for fact in CallFact.all(policy) {
      #expect(!fact.servers.isEmpty, "\(fact.name)")
      #expect((fact.answer == "part") == !fact.difference.isEmpty, "\(fact.name)")
      #expect((fact.answer == "full" || fact.answer == "part") == (fact.error == nil), "\(fact.name)")
      // Nothing is looked at that the table has not.
      if fact.servers.contains(.hostAsked) { #expect(CallTable.all[fact.number] != nil, "\(fact.name)") }
    }
  }

  /// `case SYS_x:` of the stub's own source, and the ids, which it has as words of a page.
  @Test("the stub answers what it is said to")
  func stub() throws {
    let text = try source("guest/answers.c")
    let start = try #require(text.range(of: "long find_answer("))
    var names = Set<String>()
    for line in text[start.upperBound...].split(separator: "\n") {
      let words = line.drop { $0 == " " }
      if words.hasPrefix("case SYS_"), let end = words.firstIndex(of: ":") {
        names.insert(String(words[..<end].dropFirst("case SYS_".count)))
      }
    }
    #expect(names.count > 10)
    names.formUnion(["getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getpgrp"])
    let said = CallFact.all(.strict).filter { $0.servers.contains(.stub) }.map(\.name)
    #expect(Set(said) == names)
  }

  @Test(
    "docs/ says what the table says: `make docs` makes its pages anew",
    .enabled(if: FileManager.default.isExecutableFile(atPath: GuestProgram.probe), "the probe is not built"),
    arguments: [
      ("docs/sentry-calls.md", ["calls"]), ("docs/sentry-gvisor.md", ["gvisor", "Tests/Fixtures/gvisor/calls.tsv"]),
    ])
  func page(path: String, words: [String]) throws {
    let output = FileManager.default.temporaryDirectory.path + "/immure-page-\(UUID().uuidString)"
    // What cannot be removed stays in the temporary folder.
    defer { try? FileManager.default.removeItem(atPath: output) }
    let child = try Child(
      [GuestProgram.probe, "--page"] + words, environment: [:], folder: Self.top.path, input: .path("/dev/null"),
      output: output, error: output + ".errors")
    defer { try? FileManager.default.removeItem(atPath: output + ".errors") }
    #expect(child.wait() == 0)
    let (made, kept) = (try String(contentsOfFile: output, encoding: .utf8), try source(path))
    #expect(made.count > 10_000 && made == kept, "\(path) is not what `make docs` makes")
  }

  @Test(
    "what is refused or absent has the error in the sentry that the list says",
    .enabled(if: GuestProgram.canRun, "\(GuestProgram.obstacle ?? "")"), arguments: [[], ["--strict"], ["--tracing"]])
  func refused(options: [String]) throws {
    let program = try GuestProgram("platform/refusals")
    let facts = CallFact.all(options == ["--strict"] ? .strict : .nativeHarmless).filter { $0.error != nil }
    #expect(facts.count > 50)
    let run = try program.inSentry(facts.map { "\($0.number)" }, options: options)
    let wanted = facts.map { "\($0.number) -\(Self.numbers[$0.error ?? ""] ?? 0)" }
    #expect(run.status == 0, "\(run)")
    #expect(run.output.split(separator: "\n").map(String.init) == ["ok a file"] + wanted, "\(run)")
  }
  private static let numbers: [String: Int32] = [
    "EPERM": EPERM, "EINVAL": EINVAL, "ENOSPC": ENOSPC, "ENOSYS": ENOSYS,
  ]

  @Test(
    "flags and options that the list names beside a call have the error in the sentry that it says",
    .enabled(if: GuestProgram.canRun, "\(GuestProgram.obstacle ?? "")"), arguments: [[], ["--strict"]])
  func options(options: [String]) throws {
    let run = try GuestProgram("platform/refusals").inSentry(options: options)
    #expect(run.status == 0 && !run.output.contains("FAIL"), "\(run)")
    #expect(run.output.split(separator: "\n").count > 60, "\(run)")
  }
}
