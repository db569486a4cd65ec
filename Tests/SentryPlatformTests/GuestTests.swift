import Foundation
import SentryGuests
import Testing

/// Guests over the probe: each program passes on Linux first.
@Suite(
  "Guests", .enabled(if: GuestProgram.canRun, "\(GuestProgram.obstacle ?? "")"), .serialized, .timeLimit(.minutes(3)))
struct GuestTests {
  @Test("processes are made, replaced and ended as Linux does", arguments: [[], ["--strict"]])
  func processes(options: [String]) throws {
    let program = try GuestProgram("platform/processes")
    let native = try program.natively()
    #expect(native.status == 0, "\(native)")
    let run = try program.inSentry(options: options)
    #expect(run == native, "\(run)")
  }
}
