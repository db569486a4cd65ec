import SentryTasks

/// What stands in front of a guest's own filter: the stub's words to the sentry and what a tracer's waits are made into, and what it needs to load a program, from its own text
/// alone. A guest that jumps there wins no more than these: mappings of its own memory that its filter may have forbidden.
enum FilterPrologue {
  private static let calls: [UInt32] = [3, 9, 11, 231, 462]
  /// recvmsg and dup3: how files come in without notification (GuestPassage).
  private static let passage: [UInt32] = [47, 292]

  /// Words of struct sock_filter.
  static let notified = bytes(calls)
  static let traced = bytes(calls + passage)

  private static func bytes(_ calls: [UInt32]) -> [UInt8] {
    let (load, loadImmediate, jump, equal, above, atLeast, end):
      (UInt16, UInt16, UInt16, UInt16, UInt16, UInt16, UInt16) =
        (0x20, 0x00, 0x05, 0x15, 0x25, 0x35, 0x06)
    let (number, placeLow, placeHigh): (UInt32, UInt32, UInt32) = (0, 8, 12)
    let (first, last) = (UInt32(StubCall.hello), UInt32(StubCall.waitsForTraceeByID))
    var lines: [(code: UInt16, yes: UInt8, no: UInt8, k: UInt32)] = []
    // Distances: `allow` is the line before the last, the guest's own begin after it.
    let count = 11 + calls.count
    func allow(_ at: Int) -> UInt8 { UInt8(count - 2 - at - 1) }
    func guest(_ at: Int) -> UInt8 { UInt8(count - 1 - at - 1) }
    lines.append((load, 0, 0, number))
    lines.append((atLeast, 0, 1, first))
    lines.append((above, 0, allow(2), last))
    lines.append((load, 0, 0, placeHigh))
    lines.append((equal, 0, guest(4), UInt32(StubProgram.base >> 32)))
    lines.append((load, 0, 0, placeLow))
    lines.append((atLeast, guest(6), 0, UInt32(StubProgram.limit)))
    lines.append((load, 0, 0, number))
    for call in calls { lines.append((equal, allow(lines.count), 0, call)) }
    lines.append((jump, 0, 0, 1))
    let allowed: UInt32 = 0x7fff_0000
    lines.append((end, 0, 0, allowed))
    // The accumulator is 0 where a program begins.
    lines.append((loadImmediate, 0, 0, 0))
    var bytes: [UInt8] = []
    for line in lines {
      bytes.append(UInt8(truncatingIfNeeded: line.code))
      bytes.append(UInt8(truncatingIfNeeded: line.code >> 8))
      bytes += [line.yes, line.no]
      for shift in [UInt32(0), 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: line.k >> shift)) }
    }
    return bytes
  }
}
