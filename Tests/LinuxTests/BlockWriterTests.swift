import CLinux
import Linux
import Testing

/// What comes in pieces of any size is written in whole blocks.
@Suite struct BlockWriterTests {
  /// Each message of a packet socket is one write.
  private func written(_ pieces: [Int], block: Int) throws -> [[UInt8]] {
    let pair = try DescriptorPair.sockets(sequencedPackets: true)
    var writer = BlockWriter(pair.first.rawValue, block: block)
    var next: UInt8 = 0
    for count in pieces {
      let bytes = (0..<count).map { _ in
        next = next &+ 1
        return next
      }
      try writer.append(bytes.span)
    }
    try writer.flush()
    try writer.flush()
    // Nothing is appended that is empty, so an empty message is the end.
    try PacketSocket.send(pair.first.rawValue, [])
    var writes: [[UInt8]] = []
    while true {
      let bytes = try File.read(pair.second.rawValue, atMost: 4096)
      if bytes.isEmpty { return writes }
      writes.append(bytes)
    }
  }

  @Test(
    arguments: [
      ([], []), ([3], [3]), ([16], [16]), ([15, 1, 1], [16, 1]), ([5, 40, 3], [16, 16, 16]), ([0, 7, 0, 9, 0], [16]),
      ([16, 35], [16, 32, 3]), ([1, 1, 1, 13, 33, 15], [16, 32, 16]), ([17, 15, 64], [16, 16, 64]),
    ] as [([Int], [Int])])
  func wholeBlocks(_ pieces: [Int], _ writes: [Int]) throws {
    let found = try written(pieces, block: 16)
    #expect(found.map(\.count) == writes)
    #expect(found.flatMap { $0 } == (0..<pieces.reduce(0, +)).map { UInt8(truncatingIfNeeded: $0 + 1) })
  }

  @Test func whatCannotBeWrittenIsSaid() throws {
    let full = try File.open("/dev/full", O_WRONLY)
    var writer = BlockWriter(full.rawValue, block: 8)
    let seven = [UInt8](repeating: 1, count: 7)
    try writer.append(seven.span)
    var refused: Errno?
    do throws(SystemError) { try writer.append(seven.span) } catch { refused = error.errno }
    #expect(refused == Errno(rawValue: ENOSPC))
  }
}
