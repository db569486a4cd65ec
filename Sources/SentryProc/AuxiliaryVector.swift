import Linux
import SentryABI
import SentryMemory
import SentryTasks

/// /proc/PID/auxv: what the program was told of itself (getauxval(3)). The host's file tells of the stub; the stub has corrected the copy on
/// the stack, which lies above the host's start of the stack, or a little below it where a script's interpreters moved it.
enum AuxiliaryVector {
  /// Bytes that arguments' and environment's pointers take at most before it.
  private static let reach = 256 << 10
  /// AT_RANDOM, whose value nobody corrects.
  private static let random: UInt64 = 25
  /// Words of interpreters of scripts (guest/stub.c).
  private static let moved: UInt64 = 1024

  static func bytes(_ task: Task) throws(Errno) -> [UInt8] {
    let host = task.kernel.host
    let stubs = host.contents(task.group.hostID, "auxv", limit: 4096)
    let start = HostStat(host.contents(task.group.hostID, "stat", limit: 4096))[28]
    guard stubs.count >= 32, start > moved, let place = word(random, in: stubs) else { return [] }
    // Up to its strings, in pieces: what there is of a stack that the guest may have unmapped.
    var words: [UInt8] = []
    let from = GuestAddress(start &- moved)
    var looked = 0
    while words.count < reach {
      // To the end of a page: the next one may not be there.
      let next = from.advanced(by: words.count)
      let piece = 4096 - Int(next.bits & 4095)
      do throws(Errno) { words += try task.memory.bytes(next, count: piece) } catch { break }
      if let found = find(stubs, random: place, in: words, from: looked) { return found }
      looked = max(0, words.count - stubs.count)
    }
    return []
  }

  private static func word(_ kind: UInt64, in vector: [UInt8]) -> UInt64? {
    var at = 0
    while at + 16 <= vector.count {
      if vector.little64(at) == kind { return vector.little64(at + 8) }
      at += 16
    }
    return nil
  }

  /// The vector that begins with the same kinds, is as long and names the same AT_RANDOM.
  private static func find(_ stubs: [UInt8], random: UInt64, in words: [UInt8], from: Int) -> [UInt8]? {
    let size = (0..<(stubs.count / 16)).first { stubs.little64(16 * $0) == 0 }.map { 16 * ($0 + 1) } ?? 0
    guard size > 32, words.count >= size else { return nil }
    let kinds = stride(from: 0, to: size, by: 16).map { stubs.little64($0) }
    for at in stride(from: from & ~7, through: words.count - size, by: 8) {
      guard words.little64(at) == kinds[0], words.little64(at + 16) == kinds[1] else { continue }
      let isSame = kinds.indices.allSatisfy { words.little64(at + 16 * $0) == kinds[$0] }
      let found = Array(words[at..<at + size])
      if isSame, word(Self.random, in: found) == random { return found }
    }
    return nil
  }
}
