import ChildProcesses
import Foundation
import SentryGuests
import Testing

/// What a call costs the sentry's heap: a guest makes the same call some times and then more, and the difference is the calls'.
@Suite("Allocations of a call")
struct AllocationTests {
  #if DEBUG
    static let obstacle: Comment? = "what the compiler has not optimised says nothing"
  #else
    static let obstacle: Comment? = GuestProgram.obstacle.map { Comment(rawValue: $0) }
  #endif

  /// Retains and releases of a call at most: what each was found to cost, which may only shrink.
  static let mostReferences = [
    "read": 24, "pread": 24, "read-own": 24, "write-null": 12, "write-own": 18, "stat": 35, "fstat": 26,
  ]

  @Test(
    "read, write, stat and their like allocate nothing",
    .enabled(if: obstacle == nil, obstacle ?? ""),
    arguments: [false, true])
  func steady(ofImage: Bool) throws {
    let program = try GuestProgram("files/steady")
    var root = program.root
    if ofImage {
      guard FileManager.default.isExecutableFile(atPath: "/usr/bin/mkfs.erofs") else {
        try Test.cancel("wants mkfs.erofs (erofs-utils)")
      }
      // In the program's own folder, with which it goes.
      root = program.root + ".erofs"
      let made = try program.start(["mkfs.erofs", "-T0", root, program.root])
      try #require(made.status == 0, "\(made)")
    }
    for (call, most) in Self.mostReferences {
      let (few, many) = (try count(program, root, call, 1000), try count(program, root, call, 3000))
      // A few are the ticks' and the heap's own.
      #expect(many.allocations - few.allocations < 20, "\(call): allocations of 2000 calls")
      #expect(
        (many.references - few.references) / 2000 <= most,
        "\(call): retains and releases of a call")
    }
  }

  private func count(
    _ program: GuestProgram, _ root: String, _ call: String, _ times: Int
  ) throws -> (allocations: Int, references: Int) {
    let run = try program.start(
      [
        GuestProgram.probe, "--no-answers", "--allocations", root, "/bin/program", call, "\(times)",
        "/bin/program",
      ])
    try #require(run.status == 0 && run.output == "\(times)\n", "\(call): \(run)")
    let words = run.error.split(whereSeparator: { $0 == " " || $0 == "\n" })
    try #require(words.count == 3 && words[0] == "SentryProbe:", "\(run)")
    return (try #require(Int(words[1])), try #require(Int(words[2])))
  }
}
